#include "http/trace.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <fmt/format.h>

namespace sluice::serving {
namespace {

std::uint64_t random_bits() {
  thread_local std::mt19937_64 engine{[] {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32) | device();
  }()};
  for (;;)
    if (const auto bits = engine(); bits != 0) return bits;  // an id of zeros is invalid
}

// Lower case only, as in the recommendation.
bool is_hex(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Hexadecimal digits and not all zero.
bool is_id(std::string_view s) { return is_hex(s) && s.find_first_not_of('0') != s.npos; }

// 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; later versions may have more behind a '-'.
bool is_well_formed(std::string_view s) {
  if (s.size() < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-') return false;
  const auto version = s.substr(0, 2);
  if (!is_hex(version) || version == "ff" || !is_id(s.substr(3, 32)) || !is_id(s.substr(36, 16)) || !is_hex(s.substr(53, 2)))
    return false;
  return s.size() == 55 || (version != "00" && s[55] == '-');
}

}  // namespace

std::string request_id(std::string_view given) {
  const bool sane = !given.empty() && given.size() <= 64 && std::all_of(given.begin(), given.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
  return sane ? std::string(given) : fmt::format("{:016x}{:016x}", random_bits(), random_bits());
}

trace trace::begin(std::string_view traceparent) {
  trace t{.id = {}, .span = fmt::format("{:016x}", random_bits())};
  if (is_well_formed(traceparent)) {
    t.id = traceparent.substr(3, 32);
    const char low = traceparent[54];  // bit 0 of the flags
    t.sampled = ((low >= 'a' ? low - 'a' + 10 : low - '0') & 1) != 0;
  } else {
    t.id = fmt::format("{:016x}{:016x}", random_bits(), random_bits());
  }
  return t;
}

std::string trace::traceparent() const { return fmt::format("00-{}-{}-{}", id, span, sampled ? "01" : "00"); }

}  // namespace sluice::serving
