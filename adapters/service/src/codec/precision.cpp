#include "codec/precision.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/query.hpp"
#include "http/text.hpp"

namespace sluice::serving {

asked_precision::asked_precision(const endpoint& row, std::string_view query) : row_(row) {
  if (const auto name = query_value(query, precision_key)) ask(*name);
}

void asked_precision::ask(std::string_view name) {
  const auto sentence = [&](const std::string& rule) {
    return fmt::format("[{}] precision is {}: {}", row_.name, json_string(shown(name)), rule);
  };
  if (!is_choice()) throw error(error_code::invalid_argument, sentence("this endpoint gives no choice of it"));
  const auto found =
      std::find_if(row_.precisions.begin(), row_.precisions.end(), [&](const auto& p) { return p.name == name; });
  if (found == row_.precisions.end())
    throw http_error{400, "malformed", sentence(fmt::format("it must be {}", fmt::join(names_of(row_.precisions), " or ")))};
  if (asked_ != nullptr && asked_ != &*found)
    throw http_error{400, "malformed", sentence(fmt::format("the request asks for {} as well", asked_->name))};
  asked_ = &*found;
}

std::string_view asked_precision::name() const noexcept {
  if (!is_choice()) return {};
  return asked_ != nullptr ? asked_->name : row_.precisions.front().name;
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

}  // namespace sluice::serving
