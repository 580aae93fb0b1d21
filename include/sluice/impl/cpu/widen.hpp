// Runs of f16 and bf16 to f32 and back: the vector forms of half.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "sluice/impl/base/half.hpp"
#include "sluice/impl/cpu/host.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

using base::bf16;
using base::f16;

// The type in which products of T are added.
template <class T>
using sum_of = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline double to_sum(double x) noexcept { return x; }
inline float to_sum(float x) noexcept { return x; }
inline float to_sum(f16 x) noexcept { return to_float(x); }
inline float to_sum(bf16 x) noexcept { return to_float(x); }

inline void round_to(double x, double& y) noexcept { y = x; }
inline void round_to(float x, float& y) noexcept { y = x; }
inline void round_to(float x, f16& y) noexcept { y = base::to_f16(x); }
inline void round_to(float x, bf16& y) noexcept { y = base::to_bf16(x); }

#if defined(__x86_64__)
[[gnu::target("avx2,f16c")]] inline std::int64_t widen_8s(const f16* from, std::int64_t n, float* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  return i;
}

[[gnu::target("avx2,f16c")]] inline std::int64_t narrow_8s(const float* from, std::int64_t n, f16* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  return i;
}

[[gnu::target("avx2")]] inline std::int64_t widen_8s(const bf16* from, std::int64_t n, float* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm256_slli_epi32(wide, 16));
  }
  return i;
}

// As base::to_bf16.
[[gnu::target("avx2")]] inline std::int64_t narrow_8s(const float* from, std::int64_t n, bf16* to) noexcept {
  const __m256i half = _mm256_set1_epi32(0x7fff);
  const __m256i one = _mm256_set1_epi32(1);
  const __m256i quiet = _mm256_set1_epi32(0x400000);
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  const __m256i infinity = _mm256_set1_epi32(0x7f800000);
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i));
    const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(half, even));
    const __m256i nan = _mm256_cmpgt_epi32(_mm256_and_si256(bits, magnitude), infinity);
    const __m256i wide = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, _mm256_or_si256(bits, quiet), nan), 16);
    const __m128i narrow = _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), narrow);
  }
  return i;
}

inline bool has_8s() { return simd() == simd_level::avx2 || simd() == simd_level::avx512; }
#endif

// to[i] = from[i * stride], in the type of sums.
template <class T>
inline void widen(const T* from, std::int64_t stride, std::int64_t n, sum_of<T>* to) noexcept {
  std::int64_t i = 0;
  if (stride == 1) {
    if constexpr (std::is_same_v<T, sum_of<T>>) {
      std::copy_n(from, n, to);
      return;
    }
#if defined(__x86_64__)
    if constexpr (sizeof(T) == 2) {
      if (has_8s()) i = widen_8s(from, n, to);
    }
#endif
  }
  for (; i < n; ++i) to[i] = to_sum(from[i * stride]);
}

// to[i] = from[i], rounded to nearest even.
template <class T>
inline void narrow(const sum_of<T>* from, std::int64_t n, T* to) noexcept {
  std::int64_t i = 0;
#if defined(__x86_64__)
  if constexpr (sizeof(T) == 2) {
    if (has_8s()) i = narrow_8s(from, n, to);
  }
#endif
  for (; i < n; ++i) round_to(from[i], to[i]);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
