#include "http/query.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

int digit_of(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const bool whole = i + 2 < text.size();
    const int high = whole ? digit_of(text[i + 1]) : -1, low = whole ? digit_of(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      throw http_error{
          400, "malformed",
          fmt::format("[http] the query has {}: a '%' needs two hexadecimal digits", json_string(shown(text.substr(i, 3))))};
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> all;
  while (!query.empty()) {
    const auto item = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), item.size() + 1));
    if (item.empty()) continue;
    const auto equals = std::min(item.find('='), item.size());
    auto name = decoded(item.substr(0, equals));
    if (std::any_of(all.begin(), all.end(), [&](const auto& other) { return other.first == name; }))
      throw http_error{400, "malformed", fmt::format("[http] the query names {} twice", json_string(shown(name)))};
    all.emplace_back(std::move(name), decoded(item.substr(std::min(equals + 1, item.size()))));
  }
  return all;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  for (auto& [key, value] : parse_query(query))
    if (key == name) return std::move(value);
  return std::nullopt;
}

}  // namespace sluice::serving
