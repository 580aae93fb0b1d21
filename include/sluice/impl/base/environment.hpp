// The library's environment variables, SLUICE_*: all are read here. One that cannot be read is reported on standard error,
// where its first use reads it, and counts as not set.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// The value of a variable; empty when it is not set.
inline std::string_view environment(const char* name) noexcept {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

// One line on standard error. `accepted` ends the sentence "it takes ...".
inline void warn_of_environment(const char* name, std::string_view value, const char* accepted) noexcept {
  constexpr std::size_t longest = 200;
  const std::string_view shown = value.substr(0, longest);
  std::fprintf(stderr, "sluice: %s=\"%.*s%s\" is ignored: it takes %s\n", name, static_cast<int>(shown.size()), shown.data(),
               value.size() > longest ? "..." : "", accepted);
}

// A whole number of [least, most]; `otherwise` when the variable is not set or holds anything else.
inline int environment_number(const char* name, int least, int most, int otherwise) noexcept {
  const std::string_view text = environment(name);
  if (text.empty()) return otherwise;
  int number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size() && number >= least && number <= most) return number;
  char accepted[80];
  std::snprintf(accepted, sizeof accepted, "a whole number from %d to %d", least, most);
  warn_of_environment(name, text, accepted);
  return otherwise;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
