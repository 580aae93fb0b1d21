// Reads one JSON number from text. It takes the numbers whose exact value one operation gives, which are nearly all, and
// returns false for anything else: simdjson then reads it. ns a number in a call of /v1 (one core, random numbers of 9
// digits in f32, 17 in f64): 13.9 and 21.6; with fast_float 17.1 and 19.3, with std::from_chars 17.9 and 20.4.
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sluice::serving {

// Whether `s` is a number by JSON's grammar.
bool is_number(std::string_view s) noexcept;

// The value of a number that is whole and fits, in whatever form: 1.0, 1e2, 120e-1, -0.0.
std::optional<std::int64_t> whole_number(std::string_view token) noexcept;
// 0 or -0 for a number that is nearer to it than to any other double, however many digits its exponent has.
std::optional<double> zero_number(std::string_view token) noexcept;

// The double nearest to a decimal, rounded again to float, is the float nearest to it unless the double lies half-way
// between two floats. For subnormal floats the half-way points differ.
inline bool may_round_twice(double x) noexcept {
  return (std::bit_cast<std::uint64_t>(x) & 0x1fffffffu) == 0x10000000u || (std::fabs(x) < 0x1p-126 && x != 0);
}

namespace number_detail {

inline bool is_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') < 10; }

// Characters as one word, the first in its lowest byte, each less '0'.
inline std::uint64_t eight_at(const char* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, 8);
  return word ^ 0x3030303030303030u;
}
// Joins neighbours to pairs, pairs to fours, fours to eight.
inline std::uint64_t joined(std::uint64_t word) noexcept {
  word = word * 10 + (word >> 8);
  const std::uint64_t outer = (word & 0x000000ff000000ffu) * (100 + (std::uint64_t{1'000'000} << 32));
  const std::uint64_t inner = ((word >> 16) & 0x000000ff000000ffu) * (1 + (std::uint64_t{10'000} << 32));
  return (outer + inner) >> 32;
}

inline constexpr std::uint64_t power_to_eight[] = {1, 10, 100, 1000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

// Appends all digits at `p` to `value`; it wraps beyond 19 of them.
inline const char* read_digits(const char* p, std::uint64_t& value) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    for (;;) {
      const std::uint64_t word = eight_at(p);
      // A byte above 9 gets its highest bit set; a carry out of it only reaches later bytes.
      const std::uint64_t others = (word | (word + 0x7676767676767676u)) & 0x8080808080808080u;
      const int n = others == 0 ? 8 : std::countr_zero(others) / 8;
      if (n == 0) return p;
      value = value * power_to_eight[n] + joined(word << (64 - 8 * n));
      p += n;
      if (n < 8) return p;
    }
  }
  for (; is_digit(*p); ++p) value = value * 10 + static_cast<std::uint64_t>(*p - '0');
  return p;
}

// Powers of ten that a double holds exactly.
inline constexpr double power_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

}  // namespace number_detail

// The number at `p`, as read_json_number, in a form other than plain digits, or of many: 1.0, 1e2.
template <class T>
bool read_whole_number(const char*& p, T& out) noexcept {
  const char* end = p;
  while (std::string_view("+-.0123456789eE").find(*end) != std::string_view::npos) ++end;
  const auto value = whole_number({p, static_cast<std::size_t>(end - p)});
  p = end;
  if (!value || !std::in_range<T>(*value)) return false;
  out = static_cast<T>(*value);
  return true;
}

// Reads the number at `p` and moves `p` past it. False, with `p` anywhere: not a number by JSON's grammar, or one that T
// cannot hold, or one for another reader. Eight bytes after any number must be readable.
template <class T>
bool read_json_number(const char*& p, T& out) noexcept {
  using namespace number_detail;
  const char* const begin = p;
  const bool negative = *p == '-';
  p += negative ? 1 : 0;
  const char* const first = p;
  std::uint64_t digits = 0;
  while (is_digit(*p) && p - first < 4) digits = digits * 10 + static_cast<std::uint64_t>(*p++ - '0');
  if (p - first == 4) p = read_digits(p, digits);
  auto count = p - first;
  if (count == 0 || (*first == '0' && count > 1)) return false;
  if constexpr (std::is_integral_v<T>) {
    if (count > 18 || *p == '.' || *p == 'e' || *p == 'E') return read_whole_number(p = begin, out);
    const auto value = negative ? -static_cast<std::int64_t>(digits) : static_cast<std::int64_t>(digits);
    out = static_cast<T>(value);
    return std::in_range<T>(value);
  } else {
    std::int64_t exponent = 0;
    if (*p == '.') {
      const char* const fraction = ++p;
      p = read_digits(p, digits);
      if (p == fraction) return false;
      exponent = fraction - p;
      count += p - fraction;
    }
    if (*p == 'e' || *p == 'E') {
      ++p;
      const bool down = *p == '-';
      p += down || *p == '+' ? 1 : 0;
      std::uint64_t power = 0;
      const char* const from = p;
      p = read_digits(p, power);
      if (p == from || p - from > 4) return false;
      exponent += down ? -static_cast<std::int64_t>(power) : static_cast<std::int64_t>(power);
    }
    // Both operands are exact, so the one operation rounds once, to the nearest.
    if (count <= 19 && digits <= std::uint64_t{1} << 53 && exponent >= -22 && exponent <= 22) {
      const auto d = static_cast<double>(digits);
      const double x = exponent < 0 ? d / power_of_ten[-exponent] : d * power_of_ten[exponent];
      if (sizeof(T) == sizeof(double) || !may_round_twice(x)) {
        out = static_cast<T>(negative ? -x : x);
        return true;
      }
    }
    const auto [end, error] = std::from_chars(begin, p, out);
    return error == std::errc{} && end == p && std::isfinite(out);
  }
}

}  // namespace sluice::serving
