#include <algorithm>
#include <limits>

#include "codec/read_number.hpp"

namespace sluice::serving {

bool is_number(std::string_view s) noexcept {
  const auto digits = [&] {
    const auto n = std::min(s.find_first_not_of("0123456789"), s.size());
    s.remove_prefix(n);
    return n;
  };
  if (s.starts_with('-')) s.remove_prefix(1);
  if (s.starts_with('0'))
    s.remove_prefix(1);
  else if (digits() == 0)
    return false;
  if (s.starts_with('.')) {
    s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (s.starts_with('e') || s.starts_with('E')) {
    s.remove_prefix(1);
    if (s.starts_with('+') || s.starts_with('-')) s.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return s.empty();
}

namespace {

// digits * 10^exponent, where `count` digits are significant and the last of them is not 0; a count of 0 is the number 0.
// `digits` wraps beyond 19 of them.
struct decimal {
  bool negative = false;
  std::uint64_t digits = 0;
  std::int64_t count = 0, exponent = 0;
};

decimal decimal_of(std::string_view s) noexcept {
  constexpr std::int64_t most = std::int64_t{1} << 40;  // of an exponent: more than a body has digits
  decimal d;
  std::int64_t zeros = 0;  // behind the last digit that is not one
  bool fraction = false;
  d.negative = s.starts_with('-');
  std::size_t i = d.negative ? 1 : 0;
  for (; i < s.size() && s[i] != 'e' && s[i] != 'E'; ++i) {
    if (s[i] == '.') {
      fraction = true;
      continue;
    }
    d.exponent -= fraction ? 1 : 0;
    if (s[i] == '0') {
      zeros += d.count > 0 ? 1 : 0;
      continue;
    }
    for (++zeros; zeros > 0; --zeros, ++d.count) d.digits *= 10;
    d.digits += static_cast<std::uint64_t>(s[i] - '0');
  }
  d.exponent += zeros;
  if (i == s.size()) return d;
  const bool down = s[++i] == '-';
  std::int64_t power = 0;
  for (i += down || s[i] == '+' ? 1 : 0; i < s.size(); ++i) power = std::min(most, power * 10 + (s[i] - '0'));
  d.exponent += down ? -power : power;
  return d;
}

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view token) noexcept {
  if (!is_number(token)) return std::nullopt;
  const auto d = decimal_of(token);
  if (d.count == 0) return 0;
  if (d.exponent < 0 || d.count + d.exponent > 19) return std::nullopt;
  std::uint64_t size = d.digits;  // of 19 digits at most: below 2^64
  for (std::int64_t i = 0; i < d.exponent; ++i) size *= 10;
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  if (size > most + (d.negative ? 1 : 0)) return std::nullopt;
  return static_cast<std::int64_t>(d.negative ? 0 - size : size);
}

std::optional<double> zero_number(std::string_view token) noexcept {
  if (!is_number(token)) return std::nullopt;
  const auto d = decimal_of(token);
  constexpr std::int64_t smallest = -324;  // half of the smallest double is 2.5e-324
  if (d.count > 0 && d.count + d.exponent > smallest) return std::nullopt;
  return d.negative ? -0.0 : 0.0;
}

}  // namespace sluice::serving
