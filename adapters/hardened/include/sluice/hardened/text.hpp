// Text of a head, as RFC 9110 divides it.
#pragma once

#include <algorithm>
#include <string_view>

#include "sluice/httplib/server_extensions.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

using detail::lower;

inline bool same(std::string_view a, std::string_view b) noexcept { return detail::same_ignoring_case(a, b); }

inline std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// What precedes the first `separator` outside quotes, trimmed; `rest` is moved past it.
inline std::string_view next_item(std::string_view& rest, char separator) noexcept {
  std::size_t at = 0;
  for (bool quoted = false; at < rest.size() && (quoted || rest[at] != separator); ++at) {
    if (rest[at] == '"') quoted = !quoted;
    if (rest[at] == '\\' && quoted) ++at;
  }
  at = std::min(at, rest.size());
  const auto item = rest.substr(0, at);
  rest.remove_prefix(std::min(rest.size(), at + 1));
  return trimmed(item);
}

// True if `item` is in the comma-separated list `all`.
inline bool lists(std::string_view all, std::string_view item) noexcept {
  while (!all.empty())
    if (same(next_item(all, ','), item)) return true;
  return false;
}

inline bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

inline bool is_alphanumeric(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

inline bool is_token(std::string_view s) noexcept {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

inline bool has_control(std::string_view s) noexcept {
  return std::any_of(s.begin(), s.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 32 && c != '\t') || c == 127; });
}

// The value of a hexadecimal digit; -1 for any other character.
inline int hex_digit(char c) noexcept {
  const char l = lower(c);
  return is_digit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
