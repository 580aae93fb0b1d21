// All kernels of products for one instruction set. levels.hpp says what it defines before.
#include "sluice/impl/cpu/gemm/vectors.hpp"
#include "sluice/impl/cpu/gemm/tile.hpp"
#include "sluice/impl/cpu/gemm/pack.hpp"
#include "sluice/impl/cpu/gemm/gemv.hpp"

template <class S>
inline const product_kernels<S>& products_of_level() {
#if SLUICE_SIMD_AVX512
  constexpr bool any_columns = true;
#else
  constexpr bool any_columns = false;
#endif
  static constexpr product_kernels<S> kernels{tile_rows,   tile_vectors * lanes<S>(), lanes<S>(),
                                              any_columns, run_direct<S>,             run_panels<S>};
  return kernels;
}

template <class T>
inline const operand_kernels<T>& operands_of_level() {
  static constexpr operand_kernels<T> kernels{pack_rows<T>, pack_columns<T>, run_vector<T>};
  return kernels;
}

#undef SLUICE_INLINE
