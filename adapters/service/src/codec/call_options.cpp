#include "codec/call_options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/query.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

const call_parameter& channels_parameter() {
  static const call_parameter p{.name = std::string(channels_key),
                                .summary = "What an image file is decoded to: 1 is grey, 3 is red, green and blue",
                                .choices = {"1", "3"}};
  return p;
}

std::vector<double> usual_values(const endpoint& row) {
  std::vector<double> all;
  for (const auto& p : row.parameters) all.push_back(p.usual);
  return all;
}

bool chooses_channels(const endpoint& row) { return takes_pictures(row) && fixed_channels(row) == 0; }

// The value that `text` stands for. Throws http_error (400), error (invalid_argument).
double value_of(const endpoint& row, const call_parameter& p, std::string_view text) {
  const auto sentence = [&](const std::string& rule) {
    return fmt::format("[{}] {} is {}: it must be {}", row.name, p.name, json_string(shown(text)), rule);
  };
  if (!p.choices.empty()) {
    const auto found = std::find(p.choices.begin(), p.choices.end(), text);
    if (found == p.choices.end())
      throw http_error{400, "malformed", sentence(fmt::format("{}", fmt::join(p.choices, " or ")))};
    return static_cast<double>(found - p.choices.begin());
  }
  double x = 0;
  const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), x);
  if (end != text.data() + text.size() || e == std::errc::invalid_argument)
    throw http_error{400, "malformed", sentence("a number")};
  if (e != std::errc{} || !std::isfinite(x)) throw error(error_code::invalid_argument, sentence("a finite number"));
  return x;
}

}  // namespace

bool takes_pictures(const endpoint& row) noexcept {
  return std::any_of(row.inputs.begin(), row.inputs.end(), [](const field& f) { return f.kind != field_kind::numbers; });
}

int fixed_channels(const endpoint& row) noexcept {
  for (const auto& f : row.inputs)
    if (f.kind != field_kind::numbers && f.extents.size() == 3 && (f.extents[2] == 1 || f.extents[2] == 3))
      return static_cast<int>(f.extents[2]);
  return 0;
}

std::vector<const call_parameter*> parameters_of(const endpoint& row) {
  std::vector<const call_parameter*> all;
  for (const auto& p : row.parameters) all.push_back(&p);
  if (chooses_channels(row)) all.push_back(&channels_parameter());
  return all;
}

asked_options::asked_options(const endpoint& row, std::string_view query) : row_(row), values_(usual_values(row)) {
  if (query.empty()) return;
  for (const auto& [name, value] : parse_query(query))
    if (name == precision_key || knows(name)) ask(name, value);
}

bool asked_options::knows(std::string_view name) const noexcept {
  if (name == precision_key) return has_precisions();
  return (name == channels_key && chooses_channels(row_)) ||
         std::any_of(row_.parameters.begin(), row_.parameters.end(), [&](const auto& p) { return p.name == name; });
}

void asked_options::ask(std::string_view name, std::string_view value) {
  if (name == precision_key) return ask_precision(value);
  if (name == channels_key && chooses_channels(row_)) return set(channels_parameter(), value, channels_);
  const auto p = std::find_if(row_.parameters.begin(), row_.parameters.end(), [&](const auto& o) { return o.name == name; });
  if (p != row_.parameters.end()) set(*p, value, values_[static_cast<std::size_t>(p - row_.parameters.begin())]);
}

void asked_options::set(const call_parameter& p, std::string_view text, double& value) {
  const double asked = value_of(row_, p, text);
  const bool before = std::find(set_.begin(), set_.end(), p.name) != set_.end();
  if (before && value != asked)
    throw http_error{
        400, "malformed",
        fmt::format("[{}] {} is {}: the request asks for {} as well", row_.name, p.name, json_string(shown(text)),
                    p.choices.empty() ? fmt::format("{}", value) : p.choices[static_cast<std::size_t>(value)])};
  value = asked;
  set_.push_back(p.name);
}

void asked_options::ask_precision(std::string_view name) {
  const auto sentence = [&](const std::string& rule) {
    return fmt::format("[{}] precision is {}: {}", row_.name, json_string(shown(name)), rule);
  };
  if (!has_precisions()) throw error(error_code::invalid_argument, sentence("this endpoint gives no choice of it"));
  const auto found =
      std::find_if(row_.precisions.begin(), row_.precisions.end(), [&](const auto& p) { return p.name == name; });
  if (found == row_.precisions.end())
    throw http_error{400, "malformed", sentence(fmt::format("it must be {}", fmt::join(names_of(row_.precisions), " or ")))};
  if (precision_ != nullptr && precision_ != &*found)
    throw http_error{400, "malformed", sentence(fmt::format("the request asks for {} as well", precision_->name))};
  precision_ = &*found;
}

std::string_view asked_options::precision() const noexcept {
  if (!has_precisions()) return {};
  return precision_ != nullptr ? precision_->name : row_.precisions.front().name;
}

int asked_options::channels() const noexcept {
  if (const int fixed = fixed_channels(row_); fixed != 0) return fixed;
  return channels_ == 0 ? 1 : 3;
}

std::vector<std::string_view> names_of(const std::vector<precision_choice>& all) {
  std::vector<std::string_view> names;
  for (const auto& p : all) names.emplace_back(p.name);
  return names;
}

json_value precision_schema(const std::vector<precision_choice>& all) {
  std::vector<std::string> lines;
  for (const auto& p : all) lines.push_back(p.summary.empty() ? p.name : fmt::format("{}: {}", p.name, p.summary));
  return json_object({{"enum", json_array(names_of(all))},
                      {"default", all.front().name},
                      {"description", fmt::format("{}", fmt::join(lines, ". "))}});
}

parameter precision_parameter(const std::vector<precision_choice>& all) {
  return {.name = std::string(precision_key),
          .summary = "What the bits of the result promise",
          .in = "query",
          .schema = precision_schema(all)};
}

json_value parameter_schema(const call_parameter& p) {
  const auto number = [](double x) { return json_value::raw(fmt::format("{}", x)); };
  if (p.choices.empty()) return json_object({{"type", "number"}, {"default", number(p.usual)}, {"description", p.summary}});
  std::vector<json_value> choices;
  for (const auto& name : p.choices)
    choices.push_back(name.find_first_not_of("0123456789") == name.npos ? json_value::raw(name) : json_value(name));
  return json_object(
      {{"enum", json_array(choices)}, {"default", choices[static_cast<std::size_t>(p.usual)]}, {"description", p.summary}});
}

std::vector<parameter> option_parameters(const endpoint& row) {
  std::vector<parameter> all;
  for (const auto* p : parameters_of(row))
    all.push_back({.name = p->name, .summary = p->summary, .in = "query", .schema = parameter_schema(*p)});
  if (!row.precisions.empty()) all.push_back(precision_parameter(row.precisions));
  return all;
}

json_members option_members(const endpoint& row) {
  json_members all;
  for (const auto* p : parameters_of(row)) all.emplace_back(p->name, parameter_schema(*p));
  if (!row.precisions.empty()) all.emplace_back(precision_key, precision_schema(row.precisions));
  return all;
}

}  // namespace sluice::serving
