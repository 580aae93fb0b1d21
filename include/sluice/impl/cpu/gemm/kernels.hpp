// All kernels of products for one instruction set. levels.hpp says what it defines before.
// clang-format off
#include "sluice/impl/cpu/gemm/vectors.hpp"
#include "sluice/impl/cpu/gemm/tile.hpp"
#include "sluice/impl/cpu/gemm/pack.hpp"
#include "sluice/impl/cpu/gemm/gemv.hpp"
// clang-format on

template <class S>
inline const product_kernels<S>& products_of_level() {
#if SLUICE_SIMD_AVX512
  constexpr bool any_columns = true;
#else
  constexpr bool any_columns = false;
#endif
  static constexpr product_kernels<S> kernels{tile_rows, tile_vectors * lanes<S>(), lanes<S>(), any_columns, run_direct<S>};
  return kernels;
}

template <class T>
inline const packed_kernels<T>& packed_of_level() {
  using S = sum_of<T>;
  static constexpr packed_kernels<T> kernels{
      tile_rows, 2, tile_vectors * lanes<S>(), block_depth, 1, 1, pack_rows<T>, pack_columns<T>, run_panels<S>};
  return kernels;
}

template <class T>
inline vector_kernel<T> vector_of_level() {
  return run_vector<T>;
}

#undef SLUICE_INLINE
