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

// What comes before the first `separator`, trimmed; `rest` is moved past it.
std::string_view next(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const auto item = rest.substr(0, at);
  rest = at == rest.npos ? std::string_view{} : rest.substr(at + 1);
  return trimmed(item);
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
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

// The weight `accept` gives to application/`subtype`; the most specific item that fits speaks.
double accepted(std::string_view accept, std::string_view subtype) {
  double weight = 0;
  int best = -1;
  while (!accept.empty()) {
    auto parameters = next(accept, ',');
    const std::string type = lower(next(parameters, ';'));
    const int specific = type == "*/*"                                    ? 0
                         : type == "application/*"                        ? 1
                         : type == fmt::format("application/{}", subtype) ? 2
                                                                          : -1;
    if (specific <= best) continue;
    best = specific;
    weight = weight_of(parameters);
  }
  return weight;
}

}  // namespace

media body_media(std::string_view content_type, std::size_t inputs) {
  auto parameters = content_type;
  const std::string type = lower(next(parameters, ';'));
  if (type.empty() || type == "application/json") return media::json;
  if (type == "application/x-npy" && inputs == 1) return media::npy;
  if (type == "multipart/form-data") {
    const auto size = boundary_of(content_type).size();
    if (size >= 1 && size <= 70) return media::multipart;
    throw http_error{400, "malformed",
                  fmt::format("[http] multipart/form-data has a boundary of {} characters: 1 to 70 are allowed", size)};
  }
  throw http_error{
      415, "unsupported_media_type",
      fmt::format("[http] Content-Type is \"{}\": this endpoint takes application/json, {}multipart/form-data with a "
                  "part of .npy for each of its {} input{}",
                  shown(content_type), inputs == 1 ? "application/x-npy, " : "", inputs, inputs == 1 ? "" : "s")};
}

std::string boundary_of(std::string_view content_type) {
  next(content_type, ';');
  while (!content_type.empty()) {
    auto item = next(content_type, ';');
    if (lower(next(item, '=')) != "boundary") continue;
    if (item.size() >= 2 && item.front() == '"' && item.back() == '"') item = item.substr(1, item.size() - 2);
    return std::string(item);
  }
  return {};
}

media answer_media(std::string_view accept, media usual, std::size_t outputs) {
  const bool npy_possible = outputs == 1;
  if (trimmed(accept).empty()) accept = "*/*";
  const double json = accepted(accept, "json");
  const double npy = npy_possible ? accepted(accept, "x-npy") : 0;
  if (json == 0 && npy == 0)
    throw http_error{406, "not_acceptable",
                  fmt::format("[http] Accept is \"{}\": this endpoint answers with application/json{}", shown(accept),
                              npy_possible ? " or application/x-npy" : "")};
  if (json == npy) return usual == media::json ? media::json : media::npy;
  return json > npy ? media::json : media::npy;
}

}  // namespace sluice::serving
