// One element from any dtype to any other, with the bits that the CPU gives: as C converts, but floats saturate to integers,
// NaN gives 0 there, and a NaN keeps its sign and payload between floats. f64 and i64 round once to 16 bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include <cuda_runtime.h>

namespace sluice::cuda {

struct f16 {
  std::uint16_t bits;
};

struct bf16 {
  std::uint16_t bits;
};

template <class To, class From>
__host__ __device__ inline To bits_of(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}

__host__ __device__ inline float to_float(bf16 h) { return bits_of<float>(static_cast<std::uint32_t>(h.bits) << 16); }

#if defined(__CUDACC__)
// One instruction, and exact; it makes NaN canonical.
__device__ inline float to_float_any_nan(f16 h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
  return x;
}
#endif

__host__ __device__ inline float to_float(f16 h) {
#if defined(__CUDA_ARCH__)
  if ((h.bits & 0x7fffu) <= 0x7c00u) return to_float_any_nan(h);
#endif
  const std::uint32_t sign = (h.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = (h.bits & 0x7fffu) << 13;
  if (magnitude >= 0x0f800000u) return bits_of<float>(sign | 0x7f800000u | magnitude);  // infinity and NaN
  return bits_of<float>(sign | bits_of<std::uint32_t>(bits_of<float>(magnitude) * 0x1p112f));
}

__host__ __device__ inline f16 to_f16(float x) {
  const auto bits = bits_of<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  std::uint32_t half;
  if (magnitude > 0x7f800000u)
    half = 0x7e00u;
  else if (magnitude >= 0x47800000u)
    half = 0x7c00u;  // 65,536 and above
  else if (magnitude < 0x38800000u)
    half = bits_of<std::uint32_t>(bits_of<float>(magnitude) + 0.5f) - 0x3f000000u;  // denormal
  else
    half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  return {static_cast<std::uint16_t>(half | ((bits >> 16) & 0x8000u))};
}

__host__ __device__ inline bf16 to_bf16(float x) {
  const auto bits = bits_of<std::uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// GPUs make NaN canonical where processors keep its payload.
__host__ __device__ inline float to_f32(double x) {
  if (x == x) return static_cast<float>(x);
  const auto bits = bits_of<std::uint64_t>(x);
  return bits_of<float>(static_cast<std::uint32_t>(bits >> 63 << 31 | 0x7fc00000u | (bits >> 29 & 0x3fffffu)));
}

__host__ __device__ inline double to_f64(float x) {
  if (x == x) return static_cast<double>(x);
  const std::uint64_t bits = bits_of<std::uint32_t>(x);
  return bits_of<double>(bits >> 31 << 63 | 0x7ff8000000000000u | (bits & 0x3fffffu) << 29);
}

// Rounded to odd: a second rounding, to 16 bits, then gives what one rounding would have given.
__host__ __device__ inline float to_odd_f32(double x) {
  const float nearest = to_f32(x);
  if (x != x || static_cast<double>(nearest) == x) return nearest;
  const auto bits = bits_of<std::uint32_t>(nearest);
  if ((bits & 1u) != 0) return nearest;
  const double a = x < 0 ? -x : x;
  const double b = nearest < 0 ? -static_cast<double>(nearest) : static_cast<double>(nearest);
  return bits_of<float>(b > a ? bits - 1 : bits + 1);
}

template <class T>
inline constexpr bool is_half = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

template <class T>
__host__ __device__ inline T narrow(float x) {
  if constexpr (std::is_same_v<T, f16>)
    return to_f16(x);
  else
    return to_bf16(x);
}

template <class T>
inline constexpr T most_of = std::numeric_limits<T>::max();
template <class T>
inline constexpr T least_of = std::numeric_limits<T>::min();

template <class T, class S>
__host__ __device__ inline T convert(S x) {
  if constexpr (std::is_same_v<T, S>) {
    return x;
  } else if constexpr (is_half<S>) {
    return convert<T>(to_float(x));
  } else if constexpr (is_half<T>) {
    if constexpr (std::is_same_v<S, float>) {
      return narrow<T>(x);
    } else if constexpr (std::is_same_v<S, std::int64_t>) {
      // Beyond 53 bits the lost ones leave a mark, so that the one rounding is to the 16 bits.
      const bool wide = x >= (std::int64_t{1} << 53) || x <= -(std::int64_t{1} << 53);
      return narrow<T>(
          to_odd_f32(static_cast<double>(wide ? (x & ~std::int64_t{0x3ff}) | ((x & 0x3ff) != 0 ? 0x400 : 0) : x)));
    } else {
      return narrow<T>(to_odd_f32(static_cast<double>(x)));
    }
  } else if constexpr (std::is_same_v<T, float> && std::is_same_v<S, double>) {
    return to_f32(x);
  } else if constexpr (std::is_same_v<T, double> && std::is_same_v<S, float>) {
    return to_f64(x);
  } else if constexpr (std::is_floating_point_v<S>) {
    constexpr S above = static_cast<S>(most_of<T> / 2 + 1) * S{2};
    if (x >= above) return most_of<T>;
    if (x <= static_cast<S>(least_of<T>)) return least_of<T>;
    return x == x ? static_cast<T>(x) : T{0};
  } else {
    return static_cast<T>(x);
  }
}

}  // namespace sluice::cuda
