// The two 16-bit floats, one value at a time: f16 is IEEE binary16, bf16 the upper half of an IEEE binary32. Narrowing
// rounds to nearest, ties to even, once.
#pragma once

#include <cmath>
#include <cstdint>

#include "sluice/config.hpp"

#if defined(__CUDACC__)
#define SLUICE_HOST_DEVICE __host__ __device__
#else
#define SLUICE_HOST_DEVICE
#endif

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// std::bit_cast for this region: that of the standard library GCC does not inline here under -ffast-math.
template <class To, class From>
[[gnu::always_inline]] SLUICE_HOST_DEVICE constexpr To bits_as(From from) noexcept {
  return __builtin_bit_cast(To, from);
}

struct f16 {
  std::uint16_t bits;
};

struct bf16 {
  std::uint16_t bits;
};

// As the processors' own instructions do: denormals are kept in every mode, and a NaN becomes quiet and keeps its payload.
SLUICE_HOST_DEVICE inline float to_float(f16 h) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(h.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(h.bits & 0x7fffu) << 13;
  const std::uint32_t denormal =
      bits_as<std::uint32_t>(bits_as<float>(magnitude + 0x38800000u) - bits_as<float>(0x38800000u));
  const std::uint32_t nan = magnitude > 0x0f800000u ? 0x00400000u : 0u;
  const std::uint32_t rebiased = magnitude + (magnitude >= 0x0f800000u ? 0x70000000u : 0x38000000u);
  return bits_as<float>((magnitude < 0x00800000u ? denormal : rebiased) | nan | sign);
}

SLUICE_HOST_DEVICE inline float to_float(bf16 h) noexcept { return bits_as<float>(static_cast<std::uint32_t>(h.bits) << 16); }

SLUICE_HOST_DEVICE inline f16 to_f16(float x) noexcept {
  const auto bits = bits_as<std::uint32_t>(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  std::uint32_t m = bits & 0x7fffffffu;
  std::uint32_t half;
  if (m >= 0x47800000u) {  // 65,536 and above, infinity, NaN
    half = m > 0x7f800000u ? 0x7e00u | ((m >> 13) & 0x3ffu) : 0x7c00u;
  } else if (m < 0x38800000u) {  // below the least normal: adding 0.5 leaves the rounded denormal in the low bits
    half = bits_as<std::uint32_t>(bits_as<float>(m) + 0.5f) - 0x3f000000u;
  } else {
    half = (m + 0xc8000fffu + ((m >> 13) & 1u)) >> 13;
  }
  return {static_cast<std::uint16_t>(half | sign)};
}

SLUICE_HOST_DEVICE inline bf16 to_bf16(float x) noexcept {
  const auto bits = bits_as<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// f64 -> f32 rounded to odd: rounding the result to 16 bits then gives what rounding the f64 once would give.
inline float to_odd_float(double x) noexcept {
  const float nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || x != x) return nearest;
  const auto bits = bits_as<std::uint32_t>(nearest);
  if ((bits & 1u) != 0) return nearest;
  const bool away = std::fabs(static_cast<double>(nearest)) > std::fabs(x);
  return bits_as<float>(away ? bits - 1 : bits + 1);
}

inline f16 to_f16(double x) noexcept { return to_f16(to_odd_float(x)); }
inline bf16 to_bf16(double x) noexcept { return to_bf16(to_odd_float(x)); }

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
#undef SLUICE_HOST_DEVICE
