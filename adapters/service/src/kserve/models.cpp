#include "kserve/models.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/json_writer.hpp"

namespace sluice::serving {
namespace {

struct datatype {
  dtype type;
  std::string_view name, suffix;
};
constexpr std::array datatypes{
    datatype{dtype::f64, "FP64", "_fp64"},  datatype{dtype::f32, "FP32", "_fp32"},   datatype{dtype::f16, "FP16", "_fp16"},
    datatype{dtype::bf16, "BF16", "_bf16"}, datatype{dtype::i64, "INT64", "_int64"}, datatype{dtype::i32, "INT32", "_int32"},
    datatype{dtype::u8, "UINT8", "_uint8"},
};

const datatype& entry_of(dtype t) noexcept {
  return *std::find_if(datatypes.begin(), datatypes.end(), [&](const datatype& d) { return d.type == t; });
}

bool has(const std::vector<dtype>& types, dtype t) { return std::find(types.begin(), types.end(), t) != types.end(); }

dtype dtype_of_output(const model& m, const field& output) {
  const dtype in = m.dtypes_of(m.row->inputs[0]).front();
  if (output.dtype_for) return output.dtype_for(in);
  return has(output.dtypes, in) ? in : output.dtypes.front();
}

// [-1,-1]: every extent may vary.
json_value variable_shape(const field& f) {
  if (!f.extents.empty()) return json_array(f.extents);
  const int rank = f.usual_rank != 0 ? f.usual_rank : std::clamp(f.min_rank, std::min(1, f.max_rank), f.max_rank);
  return json_array(std::vector(static_cast<std::size_t>(rank), -1));
}

// The place of the first dtype that makes a model of its own.
std::size_t first_own(const endpoint& row) { return model{{}, {}}.takes_files(row.inputs[0]) ? 0 : 1; }

// Whether inputs of this dtype make a model of their own.
bool makes_model(const endpoint& row, dtype t) {
  const auto& types = row.inputs[0].dtypes;
  return has(types, t) && (first_own(row) == 0 || types.front() != t);
}

// Of an input; a file is one element.
json_value variable_shape(const field& f, std::string_view datatype) {
  return datatype == bytes_datatype ? json_array({1}) : variable_shape(f);
}

// print(field, datatype) for every input, and every output.
template <class F>
json_value inputs_json(const model& m, F print) {
  std::vector<json_value> all;
  for (const auto& f : m.row->inputs) all.push_back(print(f, m.datatypes_of(f).front()));
  return json_array(all);
}
template <class F>
json_value outputs_json(const model& m, F print) {
  std::vector<json_value> all;
  for (const auto& f : m.row->outputs) all.push_back(print(f, datatype_of(f, dtype_of_output(m, f))));
  return json_array(all);
}

// Triton's configurations call BYTES strings.
std::string type_name(std::string_view datatype) {
  return fmt::format("TYPE_{}", datatype == bytes_datatype ? "STRING" : datatype);
}

json_value duration_json(const statistics::duration& d) { return json_object({{"count", d.count}, {"ns", d.ns}}); }

}  // namespace

std::string_view datatype_of(dtype t) noexcept { return entry_of(t).name; }

std::string_view datatype_of(const field& output, dtype t) noexcept {
  return output.labels ? bytes_datatype : datatype_of(t);
}

std::optional<dtype> dtype_named(std::string_view name) {
  for (const auto& d : datatypes)
    if (d.name == name) return d.type;
  return std::nullopt;
}

std::string model::name() const { return only ? row->name + std::string(entry_of(*only).suffix) : row->name; }

std::vector<dtype> model::dtypes_of(const field& input) const {
  return only && has(input.dtypes, *only) ? std::vector{*only} : input.dtypes;
}

bool model::takes_files(const field& input) const {
  return has_image_codecs() && !only && input.kind != field_kind::numbers;
}

bool gives_files(const endpoint& row) noexcept {
  return has_image_codecs() && row.outputs.size() == 1 && row.outputs[0].kind != field_kind::numbers;
}

std::vector<std::string_view> model::datatypes_of(const field& input) const {
  std::vector<std::string_view> all;
  if (takes_files(input)) all.push_back(bytes_datatype);
  for (const auto t : dtypes_of(input)) all.push_back(datatype_of(t));
  return all;
}

std::optional<model> find_model(const endpoint_registry& rows, std::string_view name, std::string_view version) {
  if (auto row = rows.find(name, version)) return model{std::move(row)};
  if (rows.find(name)) return std::nullopt;  // a row of this very name, of other versions
  for (const auto& d : datatypes) {
    if (!name.ends_with(d.suffix)) continue;
    auto versions = rows.versions(name.substr(0, name.size() - d.suffix.size()));
    while (!versions.empty()) {
      auto& highest = versions.back();
      if (makes_model(*highest, d.type) && (version.empty() || version == highest->version))
        return model{std::move(highest), d.type};
      versions.pop_back();
    }
  }
  return std::nullopt;
}

std::vector<std::string> versions_of(const endpoint_registry& rows, const model& m) {
  std::vector<std::string> all;
  for (const auto& row : rows.versions(m.row->name))
    if (!m.only || makes_model(*row, *m.only)) all.push_back(row->version);
  return all;
}

std::vector<model> all_models(const endpoint_registry& rows) {
  std::vector<model> all;
  for (const auto& row : rows.all_rows()) {
    all.push_back({row});
    const auto& types = row->inputs[0].dtypes;
    for (std::size_t i = first_own(*row); i < types.size(); ++i)
      if (model m{row, types[i]}; !rows.find(m.name())) all.push_back(std::move(m));
  }
  return all;
}

std::string metadata_json(const model& m, const std::vector<std::string>& versions) {
  const auto tensor_json = [](const field& f, std::string_view datatype, const json_value& shape) {
    return json_object({{"name", f.name}, {"datatype", datatype}, {"shape", shape}});
  };
  const auto input_json = [&](const field& f, std::string_view datatype) {
    return tensor_json(f, datatype, variable_shape(f, datatype));
  };
  const auto output_json = [&](const field& f, std::string_view datatype) {
    return tensor_json(f, datatype, variable_shape(f));
  };
  return json_object({{"name", m.name()},
                      {"versions", json_array(versions)},
                      {"platform", m.row->platform},
                      {"inputs", inputs_json(m, input_json)},
                      {"outputs", outputs_json(m, output_json)}});
}

std::string config_json(const model& m) {
  const auto input_json = [](const field& f, std::string_view datatype) {
    return json_object({{"name", f.name},
                        {"data_type", type_name(datatype)},
                        {"format", "FORMAT_NONE"},
                        {"dims", variable_shape(f, datatype)},
                        {"optional", false}});
  };
  const auto output_json = [](const field& f, std::string_view datatype) {
    return json_object({{"name", f.name}, {"data_type", type_name(datatype)}, {"dims", variable_shape(f)}});
  };
  return json_object({{"name", m.name()},
                      {"platform", m.row->platform},
                      {"backend", "sluice"},
                      {"version_policy", json_object({{"latest", json_object({{"num_versions", 1}})}})},
                      {"max_batch_size", 0},
                      {"input", inputs_json(m, input_json)},
                      {"output", outputs_json(m, output_json)},
                      {"parameters", json_object({{"summary", json_object({{"string_value", m.row->summary}})}})}});
}

std::string statistics_json(const std::vector<model>& models, const statistics& from) {
  std::vector<json_value> all;
  for (const auto& m : models) {
    const auto s = from.of(m.name(), m.row->version);
    const auto at = [&](stage which) { return duration_json(s.stages[static_cast<std::size_t>(which)]); };
    all.push_back(json_object({{"name", m.name()},
                               {"version", m.row->version},
                               {"last_inference", s.last_ms},
                               {"inference_count", s.success.count},
                               {"execution_count", s.success.count},
                               {"inference_stats", json_object({{"success", duration_json(s.success)},
                                                                {"fail", duration_json(s.fail)},
                                                                {"queue", at(stage::queue)},
                                                                {"compute_input", at(stage::input)},
                                                                {"compute_infer", at(stage::infer)},
                                                                {"compute_output", at(stage::output)},
                                                                {"cache_hit", duration_json({})},
                                                                {"cache_miss", duration_json({})}})},
                               {"batch_stats", json_array({})}}));
  }
  return json_object({{"model_stats", json_array(all)}});
}

}  // namespace sluice::serving
