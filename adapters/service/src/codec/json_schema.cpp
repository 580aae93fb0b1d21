#include "codec/json_schema.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/json_number.hpp"
#include "execution/endpoint_registry.hpp"

namespace sluice::serving {
namespace {

constexpr const char* nonfinite_enum = R"({"enum":["NaN","Infinity","-Infinity",null]})";

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

int usual_rank(const field& f, int deepest) {
  const int rank = f.usual_rank != 0 ? f.usual_rank : std::clamp(f.min_rank, std::min(1, f.max_rank), f.max_rank);
  return std::min(rank, deepest);
}

// Nested lists of these extents.
json_members lists_of(std::span<const std::int64_t> extents) {
  if (extents.empty()) return {{"type", "number"}};
  const auto n = extents.front();
  json_members list{{"type", "array"}, {"minItems", n < 0 ? 1 : n}};
  if (n >= 0) list.emplace_back("maxItems", n);
  list.emplace_back("items", json_object(lists_of(extents.subspan(1))));
  return list;
}

// One value of an output, in a record.
json_value element_schema(const field& f) {
  if (f.labels) return json_object({{"type", "string"}});
  if (std::none_of(f.dtypes.begin(), f.dtypes.end(), is_floating)) return json_object({{"type", "integer"}});
  return json_object({{"anyOf", json_array({json_object({{"type", "number"}}), json_value::raw(nonfinite_enum)})}});
}

// All of an output: nested lists.
json_value elements_schema(document& d, const field& f) {
  if (!f.labels) return reference("AnswerNumbers");
  d.schema("AnswerLabels",
           json_object({{"description", "A label, or nested lists of them"},
                        {"anyOf", json_array({json_object({{"type", "string"}}),
                                              json_object({{"type", "array"}, {"items", reference("AnswerLabels")}})})}}));
  return reference("AnswerLabels");
}

// Under the name of records: a list of them, or a list of such.
json_value records_schema(document& d, const endpoint& row) {
  json_members properties;
  for (const auto& f : row.outputs) properties.emplace_back(f.name, element_schema(f));
  d.schema(row.name + ".record", object_schema(names_of(row.outputs), properties));
  const auto list = [](const json_value& items) { return json_object({{"type", "array"}, {"items", items}}); };
  const json_value one = list(reference(row.name + ".record"));
  const field& f = row.outputs[0];
  if (f.max_rank == 1) return one;
  return f.min_rank == 2 ? list(one) : json_object({{"anyOf", json_array({one, list(one)})}});
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

json_value numbers_schema(const field& f, int deepest) {
  const std::string about = f.summary.empty() ? "Rows equally long" : f.summary + ", rows equally long";
  if (!f.extents.empty()) {
    json_members lists = lists_of(f.extents);
    lists.emplace_back("description", fmt::format("{}, {}, -1 for any extent", about, extents_text(f)));
    return json_object(lists);
  }
  std::vector<json_value> ranks;
  for (int rank = f.min_rank; rank <= std::min(f.max_rank, deepest); ++rank)
    ranks.push_back(reference(fmt::format("Rank{}", rank)));
  return json_object({{"description", about}, {"anyOf", json_array(ranks)}});
}

std::vector<std::int64_t> example_shape(const field& f, int deepest) {
  if (f.extents.empty()) return std::vector<std::int64_t>(static_cast<std::size_t>(usual_rank(f, deepest)), 2);
  auto extents = f.extents;
  std::replace(extents.begin(), extents.end(), std::int64_t{-1}, std::int64_t{1});
  return extents;
}

std::optional<json_value> numbers_example(const field& f, int deepest) {
  constexpr double most = 64;
  const auto extents = example_shape(f, deepest);
  double count = 1;
  for (const auto n : extents) count *= static_cast<double>(std::max<std::int64_t>(n, 1));
  if (count > most) return std::nullopt;
  int next = 0;
  const auto print = [&](const auto& self, std::size_t depth) -> json_value {
    if (depth == extents.size()) return ++next;
    std::vector<json_value> list;
    for (std::int64_t i = 0; i < extents[depth]; ++i) list.push_back(self(self, depth + 1));
    return json_array(list);
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
                                         json_value::raw(nonfinite_enum)})}}));
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
    if (const auto value = is_file(f) ? json_value(example_file) : numbers_example(f, deepest))
      example.emplace_back(f.name, *value);
  }
  if (const auto shared = shared_dtypes(row); !shared.empty())
    properties.emplace_back("dtype",
                            json_object({{"enum", enum_of(shared)}, {"description", "What the numbers are read as"}}));
  for (auto& option : option_members(row)) properties.push_back(std::move(option));
  d.schema(row.name + ".call", object_schema(names_of(row.inputs), properties));
  const bool complete = example.size() == row.inputs.size();
  return content{.schema = schema_ref(row.name + ".call"), .example = complete ? json_object(example).text() : ""};
}

content json_answer(document& d, const endpoint& row) {
  const bool listed = !row.records.empty(), single = row.outputs.size() == 1 && !listed;
  const json_value extents = reference("Extents");
  const auto types = [](const field& f) { return json_object({{"enum", enum_of(f.dtypes)}}); };
  auto required = listed ? std::vector{row.records} : names_of(row.outputs);
  json_members properties;
  if (listed) properties.emplace_back(row.records, records_schema(d, row));
  for (const auto& f : row.outputs) {
    if (listed) break;
    const json_value elements = elements_schema(d, f);
    properties.emplace_back(f.name, single ? or_file(f, elements)
                                    : !row.described
                                        ? elements
                                        : object_schema({"data", "shape", "dtype"},
                                                        {{"data", elements}, {"shape", extents}, {"dtype", types(f)}}));
  }
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
