#include "codec/media_type.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view blanks = " \t";

std::string_view trimmed(std::string_view s) {
  const auto begin = s.find_first_not_of(blanks);
  if (begin == s.npos) return {};
  return s.substr(begin, s.find_last_not_of(blanks) - begin + 1);
}

// What comes before the first `separator` outside quotes, trimmed; `rest` is moved past it.
std::string_view next(std::string_view& rest, char separator) {
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

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  value = value.substr(1, value.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\\' && i + 1 < value.size()) ++i;
    out += value[i];
  }
  return out;
}

// The weight of one item's parameters in an Accept header; 1 without one.
double weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto item = next(parameters, ';');
    if (item.size() < 2 || (item[0] != 'q' && item[0] != 'Q') || item[1] != '=') continue;
    double q = 0;
    const auto [end, error] = std::from_chars(item.data() + 2, item.data() + item.size(), q);
    return error == std::errc{} && end == item.data() + item.size() ? std::clamp(q, 0.0, 1.0) : 0.0;
  }
  return 1;
}

}  // namespace

std::string main_value(std::string_view header_value) { return lower(next(header_value, ';')); }

std::optional<std::string> parameter_of(std::string_view header_value, std::string_view name) {
  next(header_value, ';');
  while (!header_value.empty()) {
    auto item = next(header_value, ';');
    if (same_ignoring_case(next(item, '='), name)) return unquoted(trimmed(item));
  }
  return std::nullopt;
}

bool is_json(std::string_view content_type) {
  const auto type = main_value(content_type);
  return type.empty() || type == "application/json";
}

void each_weighted(std::string_view list, const std::function<void(std::string_view name, double weight)>& each) {
  while (!list.empty()) {
    auto parameters = next(list, ',');
    if (const auto name = next(parameters, ';'); !name.empty()) each(name, weight_of(parameters));
  }
}

double accepted_weight(std::string_view accept, std::string_view type) {
  if (trimmed(accept).empty()) return 1;
  double weight = 0;
  int best = -1;
  while (!accept.empty()) {
    auto parameters = next(accept, ',');
    const std::string range = lower(next(parameters, ';'));
    const bool family = range.ends_with("/*") && type.starts_with(std::string_view(range).substr(0, range.size() - 1));
    const int specific = range == "*/*" ? 0 : family ? 1 : range == type ? 2 : -1;
    if (specific <= best) continue;
    best = specific;
    weight = weight_of(parameters);
  }
  return weight;
}

std::size_t accepted_type(std::string_view accept, std::span<const std::string_view> types, std::size_t usual) {
  std::size_t best = usual;
  double most = accepted_weight(accept, types[usual]);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const double weight = accepted_weight(accept, types[i]);
    if (weight <= most) continue;
    most = weight;
    best = i;
  }
  if (most == 0)
    throw http_error{
        406, "not_acceptable",
        fmt::format("[http] Accept is \"{}\": this endpoint answers with {}", shown(accept), fmt::join(types, " or "))};
  return best;
}

}  // namespace sluice::serving
