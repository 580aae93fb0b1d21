// The kernels of products for every instruction set of this processor's kind, and the choice of one.
#pragma once

#include <array>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "sluice/impl/cpu/gemm/common.hpp"
#include "sluice/impl/cpu/host.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

#if defined(__clang__)
#define SLUICE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SLUICE_UNROLL _Pragma("GCC unroll 32")
#pragma GCC optimize("no-version-loops-for-strides")  // a second copy of each loop, which is no faster
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

namespace plain {
#define SLUICE_TARGET
#define SLUICE_SIMD_PLAIN 1
inline constexpr int vector_bytes = 16;
inline constexpr int tile_rows = 4;
inline constexpr int tile_vectors = 1;
inline constexpr int piece_bytes = 16 << 10;
#include "sluice/impl/cpu/gemm/kernels.hpp"
#undef SLUICE_SIMD_PLAIN
#undef SLUICE_TARGET
}  // namespace plain

#if defined(__aarch64__)
namespace neon {
#define SLUICE_TARGET
#define SLUICE_SIMD_NEON 1
inline constexpr int vector_bytes = 16;
inline constexpr int tile_rows = 8;
inline constexpr int tile_vectors = 3;
inline constexpr int piece_bytes = 24 << 10;
#include "sluice/impl/cpu/gemm/kernels.hpp"
#undef SLUICE_SIMD_NEON
#undef SLUICE_TARGET
}  // namespace neon
#endif

#if defined(__x86_64__)
#define SLUICE_AVX512 "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c"
namespace avx2 {
#define SLUICE_TARGET __attribute__((target("avx2,fma,f16c")))
#define SLUICE_SIMD_AVX2 1
inline constexpr int vector_bytes = 32;
inline constexpr int tile_rows = 6;
inline constexpr int tile_vectors = 2;
inline constexpr int piece_bytes = 24 << 10;
#include "sluice/impl/cpu/gemm/kernels.hpp"
#undef SLUICE_SIMD_AVX2
#undef SLUICE_TARGET
}  // namespace avx2

namespace avx512 {
#define SLUICE_TARGET __attribute__((target(SLUICE_AVX512)))
#define SLUICE_SIMD_AVX512 1
inline constexpr int vector_bytes = 64;
inline constexpr int tile_rows = 14;
inline constexpr int tile_vectors = 2;
inline constexpr int piece_bytes = 16 << 10;
#include "sluice/impl/cpu/gemm/kernels.hpp"
#undef SLUICE_SIMD_AVX512
#undef SLUICE_TARGET
}  // namespace avx512

namespace avx512_bf16 {
#define SLUICE_TARGET __attribute__((target(SLUICE_AVX512 ",avx512bf16")))
#define SLUICE_SIMD_AVX512 1
#define SLUICE_SIMD_PAIRS 1
inline constexpr int vector_bytes = 64;
inline constexpr int tile_rows = 14;
inline constexpr int tile_vectors = 2;
inline constexpr int piece_bytes = 16 << 10;
// clang-format off
#include "sluice/impl/cpu/gemm/vectors.hpp"
#include "sluice/impl/cpu/gemm/tile.hpp"
#include "sluice/impl/cpu/gemm/pairs.hpp"
// clang-format on
#undef SLUICE_INLINE
#undef SLUICE_SIMD_PAIRS
#undef SLUICE_SIMD_AVX512
#undef SLUICE_TARGET
}  // namespace avx512_bf16
#undef SLUICE_AVX512
#endif

#define SLUICE_OF_LEVEL(make)      \
  switch (simd()) {                \
    SLUICE_WIDE_LEVELS(make)       \
    default: return plain::make(); \
  }
#if defined(__x86_64__)
#define SLUICE_WIDE_LEVELS(make)                  \
  case simd_level::avx512: return avx512::make(); \
  case simd_level::avx2:                          \
    return avx2::make();
#elif defined(__aarch64__)
#define SLUICE_WIDE_LEVELS(make) \
  case simd_level::neon:         \
    return neon::make();
#else
#define SLUICE_WIDE_LEVELS(make)
#endif

template <class S>
inline const product_kernels<S>& products() {
  SLUICE_OF_LEVEL(products_of_level<S>)
}
template <class T>
inline const packed_kernels<T>& packed() {
  SLUICE_OF_LEVEL(packed_of_level<T>)
}
template <class T>
inline vector_kernel<T> vector_of() {
  SLUICE_OF_LEVEL(vector_of_level<T>)
}

// The processor's own instructions for products of bf16, by which precision::tensor_core multiplies them; null: it has none.
inline const packed_kernels<bf16>* bf16_kernels() {
#if defined(__x86_64__)
  using namespace avx512_bf16;
  static constexpr packed_kernels<bf16> vectors{tile_rows,        2, 2 * 16, 2048, 2, 1, pack_pair_rows, pack_pair_columns,
                                                run_panels<float>};
  static constexpr packed_kernels<bf16> tiles{amx_rows,   amx_rows,      2 * tile_lines,   2048,   2,
                                              tile_steps, pack_amx_rows, pack_amx_columns, run_amx};
  switch (bf16_unit()) {
    case bf16_units::amx: return &tiles;
    case bf16_units::avx512: return &vectors;
    case bf16_units::none: break;
  }
#endif
  return nullptr;
}

#undef SLUICE_WIDE_LEVELS
#undef SLUICE_OF_LEVEL
#undef SLUICE_UNROLL

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
