#include "openapi/describe_endpoints.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/print_lists.hpp"
#include "execution/endpoint_registry.hpp"

namespace sluice::serving {
namespace {

std::string fields_text(const std::vector<field>& fields) {
  std::vector<std::string> all;
  for (const auto& f : fields) {
    std::vector<std::string_view> types;
    for (const auto t : f.dtypes) types.push_back(name_of(t));
    all.push_back(fmt::format("`{}`{}{}: {}{}{}{}", f.name, f.summary.empty() ? "" : " ", f.summary, fmt::join(types, ", "),
                              f.extents.empty() ? "" : " ", f.extents.empty() ? "" : extents_text(f),
                              f.labels ? ", whose names JSON gives" : ""));
  }
  return fmt::format("{}", fmt::join(all, "; "));
}

// What becomes of image files.
std::string pictures_text(const endpoint& row) {
  if (!takes_pictures(row) || !has_image_codecs()) return {};
  std::string text = " Image files come as bodies, as parts of a form, or as base64 in JSON";
  const bool gives = row.outputs.size() == 1 && row.outputs[0].kind != field_kind::numbers;
  text += gives ? ", which is then answered likewise." : ".";
  if (row.outputs.size() == 1 && row.outputs[0].kind == field_kind::mask)
    text += " A JPEG is answered by a PNG of one bit unless Accept asks for image/jpeg.";
  return text;
}

}  // namespace

route_description describe_call(document& d, const endpoint& row, const service_limits& limits,
                                const codec_registry& codecs) {
  std::vector<content> takes, gives;
  for (const auto& c : codecs.all()) {
    if (auto body = c->describe_request(d, row, limits, codecs)) takes.push_back(std::move(*body));
    if (auto body = c->describe_answer(d, row)) gives.push_back(std::move(*body));
  }
  // Image files first: they are what people have.
  const auto is_image = [](const content& c) { return c.type.starts_with("image/"); };
  std::stable_partition(takes.begin(), takes.end(), is_image);
  std::stable_partition(gives.begin(), gives.end(), is_image);
  const auto records = row.records.empty() ? "" : fmt::format(" JSON lists the outputs as records, `{}`.", row.records);
  std::vector<parameter> parameters{nonfinite_parameter()};
  if (row.with_result_dtype) parameters.push_back(result_dtype_parameter(row.outputs[0].dtypes));
  for (auto& option : option_parameters(row)) parameters.push_back(std::move(option));
  parameters.push_back(timeout_parameter());
  return {.method = "POST",
          .path = "/v1/" + row.name,
          .tag = "calls",
          .summary = row.summary,
          .description = fmt::format("In: {}. Out: {}. The answer comes in the form of the request, or that of Accept.{}{}",
                                     fields_text(row.inputs), fields_text(row.outputs), records, pictures_text(row)),
          .parameters = std::move(parameters),
          .takes = std::move(takes),
          .gives = {{200, "The result", std::move(gives), placement_headers(!row.precisions.empty())}},
          .refusals = {406, 411, 413, 415, 422, 429, 501, 504}};
}

}  // namespace sluice::serving
