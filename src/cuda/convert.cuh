// One element from any dtype to any other, with the bits that the CPU gives: as C converts, but floats saturate to integers,
// NaN gives 0 there, and a NaN keeps its sign and payload between floats. f64 and i64 round once to 16 bits.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include <cuda_runtime.h>

#include "sluice/impl/base/nan.hpp"

namespace sluice::cuda {

using base::bf16;
using base::bits_as;
using base::f16;

#if defined(__CUDACC__)
// One instruction, and exact; it makes NaN canonical.
__device__ inline float widen_any_nan(f16 h) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h.bits));
  return x;
}
#endif

__host__ __device__ inline float widen_16(bf16 h) { return base::to_float(h); }
__host__ __device__ inline float widen_16(f16 h) {
#if defined(__CUDA_ARCH__)
  if ((h.bits & 0x7fffu) <= 0x7c00u) return widen_any_nan(h);
#endif
  return base::to_float(h);
}

// GPUs make NaN canonical where processors keep its payload.
__host__ __device__ inline float to_f32(double x) {
  if (x == x) return static_cast<float>(x);
  const auto bits = bits_as<std::uint64_t>(x);
  return bits_as<float>(static_cast<std::uint32_t>(bits >> 63 << 31 | 0x7fc00000u | (bits >> 29 & 0x3fffffu)));
}

__host__ __device__ inline double to_f64(float x) {
  if (x == x) return static_cast<double>(x);
  const std::uint64_t bits = bits_as<std::uint32_t>(x);
  return bits_as<double>(bits >> 31 << 63 | 0x7ff8000000000000u | (bits & 0x3fffffu) << 29);
}

// Rounded to odd, as base::to_odd_float: rounding the result to 16 bits gives what rounding the f64 once would give. A NaN
// keeps its payload, which device conversions do not.
__host__ __device__ inline float to_odd_f32(double x) {
  const float nearest = to_f32(x);
  if (x != x || static_cast<double>(nearest) == x) return nearest;
  const auto bits = bits_as<std::uint32_t>(nearest);
  if ((bits & 1u) != 0) return nearest;
  const double a = x < 0 ? -x : x;
  const double b = nearest < 0 ? -static_cast<double>(nearest) : static_cast<double>(nearest);
  return bits_as<float>(b > a ? bits - 1 : bits + 1);
}

template <class T>
inline constexpr bool is_half = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

template <class T>
__host__ __device__ inline T narrow(float x) {
  if constexpr (std::is_same_v<T, f16>)
    return base::to_f16(x);
  else
    return base::to_bf16(x);
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
    return convert<T>(widen_16(x));
  } else if constexpr (is_half<T>) {
    if constexpr (std::is_same_v<S, float>) {
      return narrow<T>(x);
    } else if constexpr (std::is_same_v<S, std::int64_t>) {
      // Beyond 53 bits the lost bits are or-ed into a sticky bit, so that the only rounding is the one to 16 bits.
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
