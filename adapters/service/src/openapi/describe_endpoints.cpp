#include "openapi/describe_endpoints.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/json_number.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

using names = std::vector<std::string>;

bool has_json_form(const field& f) { return std::any_of(f.dtypes.begin(), f.dtypes.end(), has_json); }

std::string names_of(const std::vector<dtype>& types) {
  names all;
  for (const auto t : types) all.emplace_back(name_of(t));
  return json_list(all);
}

names required_of(const std::vector<field>& fields) {
  names all;
  for (const auto& f : fields) all.push_back(f.name);
  return all;
}

// {"type":"object",...} of `properties`, each "NAME":SCHEMA, that are all there but for those not in `required`.
std::string object_schema(const names& required, const names& properties) {
  return fmt::format(R"({{"type":"object","required":{},"additionalProperties":false,"properties":{{{}}}}})",
                     json_list(required), fmt::join(properties, ","));
}

std::string property(std::string_view name, std::string_view schema) {
  return fmt::format("{}:{}", json_string(name), schema);
}

// The dtypes that all inputs can be read as from JSON.
std::vector<dtype> shared_dtypes(const endpoint& row) {
  std::vector<dtype> shared;
  for (const auto t : row.inputs[0].dtypes)
    if (has_json(t) && std::all_of(row.inputs.begin(), row.inputs.end(), [&](const field& f) {
          return std::find(f.dtypes.begin(), f.dtypes.end(), t) != f.dtypes.end();
        }))
      shared.push_back(t);
  return shared;
}

std::vector<content> takes(document& d, const endpoint& row, int deepest) {
  std::vector<content> bodies;
  if (std::all_of(row.inputs.begin(), row.inputs.end(), has_json_form)) {
    names properties, example;
    for (const auto& f : row.inputs) {
      properties.push_back(property(f.name, numbers_schema(f, deepest)));
      example.push_back(property(f.name, numbers_example(f, deepest)));
    }
    if (const auto shared = shared_dtypes(row); !shared.empty())
      properties.push_back(
          property("dtype", fmt::format(R"({{"enum":{},"description":"What the numbers are read as"}})", names_of(shared))));
    d.schema(row.name + ".call", object_schema(required_of(row.inputs), properties));
    bodies.push_back({.schema = schema_ref(row.name + ".call"), .example = fmt::format("{{{}}}", fmt::join(example, ","))});
  }
  if (row.inputs.size() == 1) bodies.push_back({.type = "application/x-npy"});
  names parts;
  for (const auto& f : row.inputs)
    parts.push_back(property(f.name, R"({"type":"string","contentMediaType":"application/x-npy"})"));
  bodies.push_back({.type = "multipart/form-data", .schema = object_schema(required_of(row.inputs), parts)});
  return bodies;
}

std::string dtype_schema(const std::vector<dtype>& types) { return fmt::format(R"({{"enum":{}}})", names_of(types)); }

std::vector<content> gives(document& d, const endpoint& row) {
  const std::string shape_schema = schema_ref("Extents");
  const bool single = row.outputs.size() == 1;
  names required = required_of(row.outputs), properties;
  for (const auto& f : row.outputs) {
    if (!row.described || single)
      properties.push_back(property(f.name, schema_ref("Numbers")));
    else
      properties.push_back(
          property(f.name, object_schema({"data", "shape", "dtype"},
                                         {property("data", schema_ref("Numbers")), property("shape", shape_schema),
                                          property("dtype", dtype_schema(f.dtypes))})));
  }
  if (row.described && single) {
    required.insert(required.end(), {"shape", "dtype"});
    properties.push_back(property("shape", shape_schema));
    properties.push_back(property("dtype", dtype_schema(row.outputs[0].dtypes)));
  }
  if (row.described) {
    required.emplace_back("device");
    properties.push_back(property("device", R"({"type":"string","description":"That computed it"})"));
  }
  d.schema(row.name + ".result", object_schema(required, properties));
  std::vector<content> bodies{{.schema = schema_ref(row.name + ".result")}};
  if (single) bodies.push_back({.type = "application/x-npy"});
  return bodies;
}

std::string fields_text(const std::vector<field>& fields) {
  names all;
  for (const auto& f : fields) {
    names types;
    for (const auto t : f.dtypes) types.emplace_back(name_of(t));
    all.push_back(fmt::format("`{}`{}{}: {}", f.name, f.summary.empty() ? "" : " ", f.summary, fmt::join(types, ", ")));
  }
  return fmt::format("{}", fmt::join(all, "; "));
}

}  // namespace

std::string json_list(const std::vector<std::string>& all) {
  names quoted;
  for (const auto& name : all) quoted.push_back(json_string(name));
  return fmt::format("[{}]", fmt::join(quoted, ","));
}

int usual_rank(const field& f, int deepest) {
  const int rank = f.usual_rank != 0 ? f.usual_rank : std::clamp(f.min_rank, std::min(1, f.max_rank), f.max_rank);
  return std::min(rank, deepest);
}

std::string numbers_schema(const field& f, int deepest) {
  names ranks;
  for (int rank = f.min_rank; rank <= std::min(f.max_rank, deepest); ++rank)
    ranks.push_back(schema_ref(fmt::format("Rank{}", rank)));
  return fmt::format(R"({{"description":{},"anyOf":[{}]}})",
                     json_string(f.summary.empty() ? "Rows equally long" : f.summary + ", rows equally long"),
                     fmt::join(ranks, ","));
}

std::string numbers_example(const field& f, int deepest) {
  const int rank = usual_rank(f, deepest);
  int next = 0;
  const auto print = [&](const auto& self, int depth) -> std::string {
    if (depth == rank) return std::to_string(++next);
    const std::string first = self(self, depth + 1);
    return fmt::format("[{},{}]", first, self(self, depth + 1));
  };
  return print(print, 0);
}

void describe_numbers(document& d) {
  d.schema("Numbers",
           R"({"description":"A number, or nested lists of them","anyOf":[{"type":"number"},{"type":"array","items":)" +
               schema_ref("Numbers") + "}]}");
  d.schema("Extents", R"({"type":"array","items":{"type":"integer","minimum":0}})");
  d.schema("Rank0", R"({"type":"number"})");
  for (int rank = 1; rank <= max_rank; ++rank)
    d.schema(fmt::format("Rank{}", rank),
             fmt::format(R"({{"type":"array","minItems":1,"items":{}}})", schema_ref(fmt::format("Rank{}", rank - 1))));
}

operation describe_call(document& d, const endpoint& row, const service_limits& limits) {
  return {.method = "POST",
          .path = "/v1/" + row.name,
          .tag = "calls",
          .summary = row.summary,
          .description = fmt::format("In: {}. Out: {}. The answer comes in the form of the request, or that of Accept.",
                                     fields_text(row.inputs), fields_text(row.outputs)),
          .parameters = {timeout_parameter()},
          .takes = takes(d, row, limits.rank),
          .gives = {{200, "The result", gives(d, row), {"X-Sluice-Device", "X-Sluice-Predicted", "X-Sluice-Reason"}}},
          .refusals = {406, 411, 413, 415, 422, 429, 501, 504}};
}

}  // namespace sluice::serving
