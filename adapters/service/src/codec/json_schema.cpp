#include "codec/json_schema.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/json_number.hpp"

namespace sluice::serving {
namespace {

bool has_json_form(const field& f) { return std::any_of(f.dtypes.begin(), f.dtypes.end(), has_json); }

bool is_file(const field& f) { return has_image_codecs() && f.kind != field_kind::numbers; }

// An image file as text, beside the numbers that it stands for.
json_value or_file(const field& f, const json_value& numbers) {
  if (!is_file(f)) return numbers;
  return json_object(
      {{"anyOf",
        json_array(
            {json_object({{"type", "string"}, {"contentEncoding", "base64"}, {"description", "An image file in base64"}}),
             numbers})}});
}

// A white square on black, 8 pixels wide, in PNG.
constexpr std::string_view example_file =
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAA"
    "D0lEQVR42mNgAAIbKAQCAAeQAPEJFbVWAAAAAElFTkSuQmCC";

json_value enum_of(const std::vector<dtype>& types) {
  std::vector<std::string_view> names;
  for (const auto t : types) names.push_back(name_of(t));
  return json_array(names);
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

}  // namespace

std::vector<std::string> names_of(const std::vector<field>& fields) {
  std::vector<std::string> all;
  for (const auto& f : fields) all.push_back(f.name);
  return all;
}

json_value object_schema(const std::vector<std::string>& required, const json_members& properties) {
  return json_object({{"type", "object"},
                      {"required", json_array(required)},
                      {"additionalProperties", false},
                      {"properties", json_object(properties)}});
}

int usual_rank(const field& f, int deepest) {
  const int rank = f.usual_rank != 0 ? f.usual_rank : std::clamp(f.min_rank, std::min(1, f.max_rank), f.max_rank);
  return std::min(rank, deepest);
}

json_value numbers_schema(const field& f, int deepest) {
  std::vector<json_value> ranks;
  for (int rank = f.min_rank; rank <= std::min(f.max_rank, deepest); ++rank)
    ranks.push_back(reference(fmt::format("Rank{}", rank)));
  return json_object({{"description", f.summary.empty() ? "Rows equally long" : f.summary + ", rows equally long"},
                      {"anyOf", json_array(ranks)}});
}

json_value numbers_example(const field& f, int deepest) {
  const int rank = usual_rank(f, deepest);
  int next = 0;
  const auto print = [&](const auto& self, int depth) -> json_value {
    if (depth == rank) return ++next;
    const json_value first = self(self, depth + 1);
    return json_array({first, self(self, depth + 1)});
  };
  return print(print, 0);
}

void describe_numbers(document& d) {
  const json_value number = json_object({{"type", "number"}});
  d.schema(
      "Numbers",
      json_object({{"description", "A number, or nested lists of them"},
                   {"anyOf", json_array({number, json_object({{"type", "array"}, {"items", reference("Numbers")}})})}}));
  d.schema(
      "AnswerNumbers",
      json_object({{"description", "The same; null and strings only where `nonfinite` asks for them"},
                   {"anyOf", json_array({number, json_object({{"type", "array"}, {"items", reference("AnswerNumbers")}}),
                                         json_value::raw(R"({"enum":["NaN","Infinity","-Infinity",null]})")})}}));
  d.schema("Extents", json_object({{"type", "array"}, {"items", json_object({{"type", "integer"}, {"minimum", 0}})}}));
  d.schema("Rank0", number);
  for (int rank = 1; rank <= max_rank; ++rank)
    d.schema(fmt::format("Rank{}", rank),
             json_object({{"type", "array"}, {"minItems", 1}, {"items", reference(fmt::format("Rank{}", rank - 1))}}));
}

std::optional<content> json_request(document& d, const endpoint& row, int deepest) {
  if (!std::all_of(row.inputs.begin(), row.inputs.end(), has_json_form)) return std::nullopt;
  json_members properties, example;
  for (const auto& f : row.inputs) {
    properties.emplace_back(f.name, or_file(f, numbers_schema(f, deepest)));
    example.emplace_back(f.name, is_file(f) ? json_value(example_file) : numbers_example(f, deepest));
  }
  if (const auto shared = shared_dtypes(row); !shared.empty())
    properties.emplace_back("dtype",
                            json_object({{"enum", enum_of(shared)}, {"description", "What the numbers are read as"}}));
  for (auto& option : option_members(row)) properties.push_back(std::move(option));
  d.schema(row.name + ".call", object_schema(names_of(row.inputs), properties));
  return content{.schema = schema_ref(row.name + ".call"), .example = json_object(example)};
}

content json_answer(document& d, const endpoint& row) {
  const bool single = row.outputs.size() == 1;
  const json_value numbers = reference("AnswerNumbers"), extents = reference("Extents");
  const auto types = [](const field& f) { return json_object({{"enum", enum_of(f.dtypes)}}); };
  auto required = names_of(row.outputs);
  json_members properties;
  for (const auto& f : row.outputs)
    properties.emplace_back(f.name, !row.described || single
                                        ? (single ? or_file(f, numbers) : numbers)
                                        : object_schema({"data", "shape", "dtype"},
                                                        {{"data", numbers}, {"shape", extents}, {"dtype", types(f)}}));
  if (single && is_file(row.outputs[0]))
    properties.emplace_back("media_type", json_object({{"type", "string"}, {"description", "Of an image file"}}));
  if (row.described && single) {
    required.insert(required.end(), {"shape", "dtype"});
    properties.emplace_back("shape", extents);
    properties.emplace_back("dtype", types(row.outputs[0]));
  }
  if (row.described) {
    required.emplace_back("device");
    properties.emplace_back("device", json_object({{"type", "string"}, {"description", "That computed it"}}));
    if (!row.precisions.empty()) {
      required.emplace_back(precision_key);
      properties.emplace_back(precision_key, json_object({{"enum", json_array(names_of(row.precisions))}}));
    }
  }
  d.schema(row.name + ".result", object_schema(required, properties));
  return {.schema = schema_ref(row.name + ".result")};
}

}  // namespace sluice::serving
