// Numbers in the shortest decimal form that reads back exactly: 0.1, -2.5e-07, 16777216. Between 1e-4 and 1e16 without an
// exponent. ns a number in a call of /v1 (one core, f32 of 9 digits and f64 of 17): 17.7 and 25.3; with fmt 22.2 and 33.1,
// with std::to_chars 25.5 and 31.4.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/compile.h>
#include <fmt/format.h>

#if SLUICE_DRAGONBOX
#include <dragonbox/dragonbox.h>
#endif

#include "sluice/dtype.hpp"

namespace sluice::serving {

// Characters that print_number<T> writes at most: -1234567900000000, -2.2250738585072014e-308. It may
// overwrite print_slack bytes after them.
template <class T>
constexpr std::int64_t print_width() {
  if constexpr (std::is_same_v<T, double>) return 24;
  if constexpr (std::is_same_v<T, std::int64_t>) return 20;
  if constexpr (std::is_same_v<T, std::int32_t>) return 11;
  if constexpr (sizeof(T) == 1) return 3;
  return 17;
}
constexpr std::int64_t print_slack = 32;

#if SLUICE_DRAGONBOX

namespace print_detail {

template <class U>
constexpr auto powers_of_ten() noexcept {
  std::array<U, std::numeric_limits<U>::digits10 + 1> powers{1};
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}

template <class U>
int count_digits(U x) noexcept {
  static constexpr auto powers = powers_of_ten<U>();
  const auto guess = static_cast<unsigned>(std::bit_width(x)) * 1233 >> 12;  // log10(2) is 1233 / 4096
  return static_cast<int>(guess) + (x >= powers[guess] ? 1 : 0);
}

// The eight digits of x < 10^8, each in a byte, the first in the lowest: halves, then quarters, then single digits are
// split in parallel in one word.
inline std::uint64_t eight_digits(std::uint32_t x) noexcept {
  std::uint64_t w = x / 10'000 | std::uint64_t{x % 10'000} << 32;
  const std::uint64_t hundreds = w * 10'486 >> 20 & 0x0000007f0000007fu;
  w = hundreds | (w - 100 * hundreds) << 16;
  const std::uint64_t tens = w * 103 >> 10 & 0x000f000f000f000fu;
  return tens | (w - 10 * tens) << 8;
}

// All digits of a number, as text and in registers: 9 of a 32-bit one, 17 of a 64-bit one, the first of which is not zero.
template <class U>
class digits {
 public:
  explicit digits(U x) noexcept {
    if constexpr (words == 1) {
      first_ = static_cast<char>('0' + x / 100'000'000);
      set(0, static_cast<std::uint32_t>(x % 100'000'000));
    } else {
      const auto high = static_cast<std::uint32_t>(x / 100'000'000);
      first_ = static_cast<char>('0' + high / 100'000'000);
      set(0, high % 100'000'000);
      set(1, static_cast<std::uint32_t>(x % 100'000'000));
    }
  }

  [[nodiscard]] int used() const noexcept { return used_; }  // without trailing zeros

  void put(char* out) const noexcept {
    *out = first_;
    for (std::size_t k = 0; k < words; ++k) std::memcpy(out + 1 + 8 * k, &text_[k], 8);
  }
  // With a point after the first `whole` digits, at least 1.
  void put_parted(char* out, int whole) const noexcept {
    *out = first_;
    int left = whole - 1;  // digits before the point, from this word on
    std::uint64_t carried = 0;
    for (std::size_t k = 0; k < words; ++k, left -= 8) {
      std::uint64_t word = text_[k];
      if (left < 0) {
        word = word << 8 | carried;
      } else if (left < 8) {
        const std::uint64_t before = (std::uint64_t{1} << 8 * left) - 1;
        word = (word & before) | std::uint64_t{'.'} << 8 * left | (word & ~before) << 8;
      }
      carried = left < 8 ? text_[k] >> 56 : '.';
      std::memcpy(out + 1 + 8 * k, &word, 8);
    }
    out[1 + 8 * words] = static_cast<char>(carried);
  }

 private:
  static constexpr std::size_t words = sizeof(U) / 4;

  void set(std::size_t k, std::uint32_t eight) noexcept {
    const std::uint64_t values = eight_digits(eight);
    text_[k] = values | 0x3030303030303030u;
    if (values != 0) used_ = static_cast<int>(8 * k) + 9 - std::countl_zero(values) / 8;
  }

  std::array<std::uint64_t, words> text_{};
  char first_ = '0';
  int used_ = 1;
};

inline char* put_exponent(char* out, int exponent) noexcept {
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  const int size = std::abs(exponent);
  if (size >= 100) *out++ = static_cast<char>('0' + size / 100);
  *out++ = static_cast<char>('0' + size / 10 % 10);
  *out++ = static_cast<char>('0' + size % 10);
  return out;
}

// significand * 10^exponent
template <class U>
char* put_decimal(char* out, U significand, int exponent) noexcept {
  static constexpr auto powers = powers_of_ten<U>();
  constexpr int most = sizeof(U) == 4 ? 9 : 17;
  const int count = count_digits(significand);
  const int point = count + exponent;  // digits before it
  const digits<U> d(static_cast<U>(significand * powers[static_cast<std::size_t>(most - count)]));
  if (point > 16 || point < -3) {
    d.put_parted(out, 1);
    return put_exponent(out + (d.used() == 1 ? 1 : d.used() + 1), point - 1);
  }
  if (point <= 0) {
    std::memcpy(out, "0.000", 5);
    d.put(out + 2 - point);
    return out + 2 - point + d.used();
  }
  if (d.used() <= point) {
    d.put(out);
    if (point > most) std::memset(out + most, '0', 8);
    return out + point;
  }
  d.put_parted(out, point);
  return out + d.used() + 1;
}

}  // namespace print_detail

// `x` is finite.
template <class T>
requires std::is_floating_point_v<T>
char* print_number(char* out, T x) noexcept {
  const bool negative = std::signbit(x);
  if (negative) {
    *out++ = '-';
    x = -x;
  }
  if (x == 0) {
    std::memcpy(out, "0.0", 3);  // after a minus sign: many readers take -0 as an integer, which has no sign
    return out + (negative ? 3 : 1);
  }
  const auto d =
      jkj::dragonbox::to_decimal(x, jkj::dragonbox::policy::sign::ignore, jkj::dragonbox::policy::trailing_zero::ignore);
  return print_detail::put_decimal(out, d.significand, d.exponent);
}

#else

template <class T>
requires std::is_floating_point_v<T>
char* print_number(char* out, T x) {
  if (x == 0 && std::signbit(x))
    return fmt::format_to(out, "-0.0");  // many readers take -0 as an integer, which has no sign
  return fmt::format_to(out, FMT_COMPILE("{}"), x);
}

#endif

template <class T>
requires std::is_integral_v<T>
char* print_number(char* out, T x) { return fmt::format_to(out, FMT_COMPILE("{}"), x); }

inline char* print_number(char* out, float16 x) { return print_number(out, static_cast<float>(x)); }
inline char* print_number(char* out, bfloat16 x) { return print_number(out, static_cast<float>(x)); }

}  // namespace sluice::serving
