/// @file
/// Element types, known at run time.
///
///     sluice::dtype t = sluice::parse_dtype("f32");        // also "float32"
///     sluice::size_of(t);                                  // 4
///     sluice::visit(t, [](auto tag) { using T = typename decltype(tag)::type; ... });
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The type of an element. By value the same as sluice_dtype in backend_api.h.
enum class dtype : std::int32_t {
  f64 = 0,   ///< IEEE binary64
  f32 = 1,   ///< IEEE binary32
  f16 = 2,   ///< IEEE binary16
  bf16 = 3,  ///< the upper half of an IEEE binary32
  i64 = 4,   ///< signed, 64 bits
  i32 = 5,   ///< signed, 32 bits
  u8 = 6     ///< unsigned, 8 bits
};

/// Bytes of one element; 0 of a value that is no dtype.
constexpr std::size_t size_of(dtype t) noexcept {
  switch (t) {
    case dtype::f64:
    case dtype::i64: return 8;
    case dtype::f32:
    case dtype::i32: return 4;
    case dtype::f16:
    case dtype::bf16: return 2;
    case dtype::u8: return 1;
  }
  return 0;
}

/// "f64", "f32", ..., as parse_dtype() reads them; "?" of a value that is no dtype.
constexpr std::string_view name_of(dtype t) noexcept {
  switch (t) {
    case dtype::f64: return "f64";
    case dtype::f32: return "f32";
    case dtype::f16: return "f16";
    case dtype::bf16: return "bf16";
    case dtype::i64: return "i64";
    case dtype::i32: return "i32";
    case dtype::u8: return "u8";
  }
  return "?";
}

/// Whether it is one of f64, f32, f16 and bf16.
constexpr bool is_floating(dtype t) noexcept {
  return t == dtype::f64 || t == dtype::f32 || t == dtype::f16 || t == dtype::bf16;
}

/// The dtype called "f32", "float32", "bfloat16", "int32", "uint8" and so on. Throws invalid_argument for any other name.
SLUICE_API dtype parse_dtype(std::string_view name);

/// IEEE binary16, as bits: arithmetic happens in float.
struct float16 {
  std::uint16_t bits = 0;  ///< sign, 5 bits of exponent, 10 of mantissa

  float16() = default;  ///< +0
  /// The nearest one, ties to even; infinite from 65520 on; NaN stays NaN.
  explicit float16(float value) noexcept : bits(round(value)) {}
  /// Exactly.
  explicit operator float() const noexcept {
    // The exponent is moved by scaling: denormals come out right without a branch of their own.
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
    const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(scaled));
  }

 private:
  static std::uint16_t round(float value) noexcept {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = (u >> 16) & 0x8000u;
    const std::uint32_t magnitude = u & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds to infinity
    if (magnitude < 0x38800000u) {  // denormal: adding 0.5 makes the hardware round at bit 2^-24
      const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
    }
    const std::uint32_t odd = (magnitude >> 13) & 1u;
    return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
  }
};

/// The upper half of an IEEE binary32, as bits.
struct bfloat16 {
  std::uint16_t bits = 0;  ///< sign, 8 bits of exponent, 7 of mantissa

  bfloat16() = default;  ///< +0
  /// The nearest one, ties to even; NaN stays NaN.
  explicit bfloat16(float value) noexcept {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = nan ? static_cast<std::uint16_t>((u >> 16) | 0x40u)
               : static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  /// Exactly.
  explicit operator float() const noexcept { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// The dtype of a C++ type; a type that is none has no value.
template <class T>
struct dtype_traits;
template <>
struct dtype_traits<double> : std::integral_constant<dtype, dtype::f64> {};
template <>
struct dtype_traits<float> : std::integral_constant<dtype, dtype::f32> {};
template <>
struct dtype_traits<float16> : std::integral_constant<dtype, dtype::f16> {};
template <>
struct dtype_traits<bfloat16> : std::integral_constant<dtype, dtype::bf16> {};
template <>
struct dtype_traits<std::int64_t> : std::integral_constant<dtype, dtype::i64> {};
template <>
struct dtype_traits<std::int32_t> : std::integral_constant<dtype, dtype::i32> {};
template <>
struct dtype_traits<std::uint8_t> : std::integral_constant<dtype, dtype::u8> {};

/// The dtype of `T`, const or not: dtype_of<float> is dtype::f32. Other types do not compile.
template <class T>
inline constexpr dtype dtype_of = dtype_traits<std::remove_cv_t<T>>::value;

/// Calls f(std::type_identity<T>{}) with the C++ type of `t`, and returns what it returns. Throws invalid_argument for a
/// value that is no dtype.
template <class F>
decltype(auto) visit(dtype t, F&& f) {
  switch (t) {
    case dtype::f64: return f(std::type_identity<double>{});
    case dtype::f32: return f(std::type_identity<float>{});
    case dtype::f16: return f(std::type_identity<float16>{});
    case dtype::bf16: return f(std::type_identity<bfloat16>{});
    case dtype::i64: return f(std::type_identity<std::int64_t>{});
    case dtype::i32: return f(std::type_identity<std::int32_t>{});
    case dtype::u8: return f(std::type_identity<std::uint8_t>{});
  }
  throw error(error_code::invalid_argument, "[visit] no dtype has the value " + std::to_string(static_cast<int>(t)));
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/core/dtype.hpp"
#endif
