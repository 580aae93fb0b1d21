#include "kserve/describe.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/codec.hpp"
#include "codec/json_number.hpp"
#include "codec/json_schema.hpp"
#include "codec/print_lists.hpp"
#include "http/text.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {
namespace {

json_value type_of(const char* type) { return json_object({{"type", type}}); }
json_value array_of(const json_value& items) { return json_object({{"type", "array"}, {"items", items}}); }
json_value enum_of(const std::vector<std::string>& names) { return json_object({{"enum", json_array(names)}}); }
json_value at_least(int minimum) { return json_object({{"type", "integer"}, {"minimum", minimum}}); }

// An object that may have more than `properties`.
json_value object_of(const std::vector<std::string>& required, const json_members& properties) {
  return json_object({{"type", "object"}, {"required", json_array(required)}, {"properties", json_object(properties)}});
}

json_value or_null(const json_value& schema) { return json_object({{"anyOf", json_array({schema, type_of("null")})}}); }

// The shape of an input.
json_value shape_schema(const model& m, const field& f, int deepest) {
  json_members members{
      {"type", "array"}, {"items", at_least(0)}, {"minItems", f.min_rank}, {"maxItems", std::min(f.max_rank, deepest)}};
  std::vector<json_value> extents;
  for (const auto n : f.extents) extents.push_back(n < 0 ? at_least(0) : json_object({{"const", n}}));
  if (!extents.empty()) members.emplace_back("prefixItems", json_array(extents));
  if (!m.takes_files(f)) return json_object(members);
  return json_object({{"anyOf", json_array({json_object({{"const", json_array({1})}}), json_object(members)})}});
}

// Numbers, or an image file: a list of one string.
json_value or_file(std::string_view numbers) {
  const json_value text = json_object({{"type", "string"}, {"contentEncoding", "base64"}});
  const json_value file = json_object({{"type", "array"}, {"minItems", 1}, {"maxItems", 1}, {"items", text}});
  return json_object({{"anyOf", json_array({reference(numbers), file})}});
}

// Numbers, labels or an image file.
json_value or_text(std::string_view numbers) {
  return json_object({{"anyOf", json_array({reference(numbers), array_of(type_of("string"))})}});
}

bool have_labels(const endpoint_registry& rows) {
  const auto all = rows.all_rows();
  return std::any_of(all.begin(), all.end(), [](const auto& row) {
    return std::any_of(row->outputs.begin(), row->outputs.end(), [](const field& f) { return f.labels != nullptr; });
  });
}

// "parameters": those that are known, a client's own beside them, and none that would need another answer.
json_value parameters_schema(const json_members& known) {
  json_members properties;
  for (const auto& [name, schema] : known) properties.emplace_back(name, or_null(schema));
  const auto nothing = json_object({{"enum", json_array({0, "", false, json_value::raw("null")})}});
  for (const char* name : {"sequence_id", "classification"}) properties.emplace_back(name, nothing);
  return json_object({{"type", json_array({"object", "null"})},
                      {"properties", json_object(properties)},
                      {"patternProperties", json_object({{"^shared_memory_", type_of("null")}})}});
}

json_value described(const char* type, const char* about) { return json_object({{"type", type}, {"description", about}}); }
json_value described(const char* type, int minimum, const char* about) {
  return json_object({{"type", type}, {"minimum", minimum}, {"description", about}});
}

json_value accept_schema() {
  return json_object({{"enum", json_array({"image/png", "image/jpeg"})},
                      {"description", "The output comes as BYTES, one image file, and without it as UINT8"}});
}

// The parameters of a request to a model that gives a choice of these precisions, and has these options of its own.
json_value inference_parameters(const std::vector<precision_choice>& precisions, const json_members& own = {}) {
  json_members all{{"timeout", described("integer", 0, "Microseconds after the request came; 0 is none")},
                   {"priority", described("integer", 0, "1 is the highest, 0 none")},
                   {"binary_data_output", described("boolean", "Outputs come in binary")},
                   {"precision", precisions.empty() ? type_of("null") : precision_schema(precisions)}};
  all.insert(all.end(), own.begin(), own.end());
  return parameters_schema(all);
}

json_value inference_parameters(const model& m) {
  json_members own;
  for (const auto* p : parameters_of(*m.row)) own.emplace_back(p->name, parameter_schema(*p));
  if (gives_files(*m.row)) own.emplace_back(accept_key, accept_schema());
  return inference_parameters(m.row->precisions, own);
}

// Requests to any model, and what all models answer.
void describe_schemas(document& d, const endpoint_registry& rows, const std::vector<precision_choice>& precisions) {
  const json_value text = type_of("string");
  d.schema("InferenceError", object_of({"error"}, {{"error", described("string", "What was wrong, with its numbers")}}));
  d.schema("InferenceParameters", inference_parameters(precisions));
  const auto tensors = [&](std::string_view numbers, bool labels) {
    return array_of(
        object_of({"name", "datatype", "shape"},
                  {{"name", text},
                   {"datatype", text},
                   {"shape", reference("Extents")},
                   {"data", labels               ? or_text(numbers)
                            : has_image_codecs() ? or_file(numbers)
                                                 : reference(numbers)},
                   {"parameters",
                    json_object({{"type", "object"}, {"properties", json_object({{"binary_data_size", at_least(0)}})}})}}));
  };
  d.schema("InferenceResult", object_of({"model_name", "model_version", "outputs"},
                                        {{"model_name", text},
                                         {"model_version", text},
                                         {"id", text},
                                         {"outputs", tensors("AnswerNumbers", have_labels(rows))}}));
  d.schema("InferenceRequest", object_of({"inputs"}, {{"id", or_null(text)},
                                                      {"model_name", text},
                                                      {"parameters", reference("InferenceParameters")},
                                                      {"inputs", tensors("Numbers", false)},
                                                      {"outputs", array_of(object_of({"name"}, {{"name", text}}))}}));
  const json_value fields = array_of(reference("TensorMetadata"));
  d.schema("ModelMetadata",
           object_of(
               {"name", "versions", "platform", "inputs", "outputs"},
               {{"name", text}, {"versions", array_of(text)}, {"platform", text}, {"inputs", fields}, {"outputs", fields}}));
  d.schema("TensorMetadata", object_of({"name", "datatype", "shape"},
                                       {{"name", text}, {"datatype", text}, {"shape", array_of(at_least(-1))}}));
  d.schema("ModelConfig",
           object_of({"name", "platform", "input", "output"},
                     {{"name", text}, {"platform", text}, {"input", type_of("array")}, {"output", type_of("array")}}));
  d.schema("ModelStatistics",
           object_of({"model_stats"},
                     {{"model_stats", array_of(object_of({"name", "version", "inference_count", "inference_stats"},
                                                         {{"name", text},
                                                          {"version", text},
                                                          {"inference_count", type_of("integer")},
                                                          {"inference_stats", type_of("object")}}))}}));
  d.schema("ModelReady", object_of({"name", "ready"}, {{"name", text}, {"ready", type_of("boolean")}}));
}

// One input of `m` as a client may write it: with its numbers, or with their size in binary.
json_value input_schema(const model& m, const field& f, int deepest) {
  const json_value data = m.takes_files(f) ? or_file("Numbers") : reference("Numbers");
  const json_value with_data =
      json_object({{"required", json_array({"data"})},
                   {"properties",
                    json_object({{"data", data},
                                 {"parameters",
                                  json_object({{"properties", json_object({{"binary_data_size", type_of("null")}})}})}})}});
  const json_value with_binary = json_object(
      {{"required", json_array({"parameters"})},
       {"properties",
        json_object({{"data", type_of("null")},
                     {"parameters", json_object({{"type", "object"},
                                                 {"required", json_array({"binary_data_size"})},
                                                 {"properties", json_object({{"binary_data_size", at_least(0)}})}})}})}});
  return json_object({{"type", "object"},
                      {"required", json_array({"name", "shape", "datatype"})},
                      {"additionalProperties", false},
                      {"properties", json_object({{"name", json_object({{"const", f.name}})},
                                                  {"datatype", json_object({{"enum", json_array(m.datatypes_of(f))}})},
                                                  {"shape", shape_schema(m, f, deepest)},
                                                  {"data", or_null(data)},
                                                  {"parameters", parameters_schema({{"binary_data_size", at_least(0)}})}})},
                      {"oneOf", json_array({with_data, with_binary})}});
}

json_value request_schema(const model& m, int deepest) {
  std::vector<json_value> inputs;
  for (const auto& f : m.row->inputs) inputs.push_back(input_schema(m, f, deepest));
  const auto outputs = names_of(m.row->outputs);
  json_members of_output{{"binary_data", type_of("boolean")}};
  if (gives_files(*m.row)) of_output.emplace_back(accept_key, accept_schema());
  const json_value output =
      object_schema({"name"}, {{"name", enum_of(outputs)}, {"parameters", parameters_schema(of_output)}});
  return object_schema(
      {"inputs"}, {{"id", or_null(type_of("string"))},
                   {"model_name", or_null(type_of("string"))},
                   {"model_version", json_object({{"enum", json_array({json_value(m.row->version), json_value("")})}})},
                   {"parameters", inference_parameters(m)},
                   {"inputs", json_object({{"type", "array"},
                                           {"minItems", inputs.size()},
                                           {"maxItems", inputs.size()},
                                           {"items", json_object({{"oneOf", json_array(inputs)}})}})},
                   {"outputs", or_null(json_object({{"type", "array"}, {"maxItems", outputs.size()}, {"items", output}}))}});
}

// Empty where an input's dtype has no JSON.
std::string request_example(const model& m, int deepest) {
  std::vector<json_value> inputs;
  for (const auto& f : m.row->inputs) {
    const dtype type = m.dtypes_of(f).front();
    const auto data = numbers_example(f, deepest);
    if (!has_json(type) || !data) return {};
    inputs.push_back(json_object({{"name", f.name},
                                  {"shape", json_array(example_shape(f, deepest))},
                                  {"datatype", datatype_of(type)},
                                  {"data", *data}}));
  }
  return json_object({{"inputs", json_array(inputs)}});
}

// The dtypes of the result that a client may ask for.
std::span<const dtype> choices_of(const endpoint& row) {
  return row.with_result_dtype ? std::span<const dtype>(row.outputs[0].dtypes) : std::span<const dtype>();
}

// Of all models.
std::vector<precision_choice> all_precisions(const endpoint_registry& rows) {
  std::vector<precision_choice> all;
  for (const auto& row : rows.rows())
    for (const auto& p : row->precisions)
      if (std::none_of(all.begin(), all.end(), [&](const auto& other) { return other.name == p.name; })) all.push_back(p);
  return all;
}

// `types` are those of the result that a client may ask for, and `precisions` those of the call. `row`: of one model.
route_description infer(std::string path, std::string summary, std::string schema, std::string example,
                        std::span<const dtype> types, const std::vector<precision_choice>& precisions,
                        const endpoint* row = nullptr) {
  auto headers = placement_headers(!precisions.empty());
  headers.insert(headers.end(), {"Inference-Header-Content-Length", "Content-Encoding"});
  route_description route{
      .method = "POST",
      .path = std::move(path),
      .tag = "models",
      .summary = std::move(summary),
      .description =
          "Tensors come in JSON, or in binary behind it: Inference-Header-Content-Length then says where the "
          "JSON ends. f16 and bf16 come in binary alone. Parameters that are not known are passed over, and null is "
          "as if it were not there; sequence_id, classification and shared memory are refused.",
      .parameters = {nonfinite_parameter(),
                     timeout_parameter(),
                     {.name = "Inference-Header-Content-Length",
                      .summary = "Bytes of JSON before the binary tensors; 0: the body is the one input's data",
                      .schema = at_least(0)}},
      .takes = {{.schema = std::move(schema), .example = std::move(example)}, {.type = "application/octet-stream"}},
      .needs_body = false,  // no bytes are a tensor of none
      .gives = {{200,
                 "The outputs",
                 {{.schema = schema_ref("InferenceResult")}, {.type = "application/octet-stream"}},
                 std::move(headers)}},
      .refusals = {404, 411, 413, 415, 429, 501, 504},
      .refusal = "InferenceError"};
  if (!types.empty()) route.parameters.push_back(result_dtype_parameter(types));
  if (row != nullptr)
    for (const auto& p : option_parameters(*row)) route.parameters.push_back(p);
  else if (!precisions.empty())
    route.parameters.push_back(precision_parameter(precisions));
  return route;
}

// `entry` is the schema of a model in the index.
void describe_repository(document& d, bool loads, const json_value& entry) {
  d.add({.method = "POST",
         .path = "/v2/repository/index",
         .tag = "models",
         .summary = "All models, as Triton lists them",
         .takes = {{.schema = json_object(
                        {{"type", "object"},
                         {"properties",
                          json_object({{"ready", or_null(described("boolean", "Those that are ready alone"))}})}})}},
         .needs_body = false,
         .gives = {{200, "As it is now", {{.schema = array_of(entry)}}}},
         .refusals = {411, 413, 415},
         .refusal = "InferenceError"});
  for (const std::string what : {"load", "unload"}) {
    route_description route{.method = "POST",
                            .path = "/v2/repository/models/{model}/" + what,
                            .tag = "models",
                            .summary = "Not served: models are the application's",
                            .parameters = {{.name = "model", .summary = "A model of the repository", .in = "path"}},
                            .refusals = {404, 411, 413, 415, 501},
                            .refusal = "InferenceError"};
    if (loads) {
      route.summary = what == "load" ? "Loads a model, or loads it again" : "Ends that a model is served";
      route.takes = {{.schema = json_object({{"type", "object"}})}};
      route.needs_body = false;
      route.gives = {
          {200, "Done", {{.schema = object_of({"name", what}, {{"name", type_of("string")}, {what, type_of("boolean")}})}}}};
      route.refusals = {403, 404, 411, 413, 415};
    }
    d.add(std::move(route));
  }
}

}  // namespace

void describe_v2(document& d, const endpoint_registry& rows, const service_limits& limits, bool loads) {
  d.tag("models", "The same by the Open Inference Protocol (KServe v2)");
  const auto precisions = all_precisions(rows);
  describe_schemas(d, rows, precisions);
  const auto add = [&](std::string method, std::string path, std::string summary, std::vector<reply> gives,
                       std::vector<parameter> parameters = {}, bool open = false, std::vector<int> refusals = {}) {
    if (path.find('{') != path.npos) refusals.push_back(404);
    d.add({.method = std::move(method),
           .path = std::move(path),
           .tag = "models",
           .summary = std::move(summary),
           .parameters = std::move(parameters),
           .gives = std::move(gives),
           .refusals = std::move(refusals),
           .refusal = "InferenceError",
           .open = open});
  };
  const auto ok = [](std::string schema) {
    return std::vector<reply>{{200, "As it is now", {{.schema = std::move(schema)}}}};
  };
  const auto state = [](const std::string& schema) {
    return std::vector<reply>{{200, "Ready", {{.schema = schema}}}, {503, "Not now", {{.schema = schema}}}};
  };

  const json_value text = type_of("string");
  std::vector<std::string> names;
  for (const auto& row : rows.rows()) {
    const model m{row};
    const std::string schema = row->name + ".infer";
    d.schema(schema, request_schema(m, limits.rank));
    d.add(infer("/v2/models/" + row->name + "/infer", row->summary, schema_ref(schema), request_example(m, limits.rank),
                choices_of(*row), row->precisions, row.get()));
  }
  std::vector<std::string> versions;
  const auto add_once = [](std::vector<std::string>& all, const std::string& one) {
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  };
  for (const auto& m : all_models(rows)) add_once(names, m.name()), add_once(versions, m.row->version);
  const parameter model_name{.name = "model",
                             .summary = "An endpoint's name, or with a dtype that it takes: matmul_fp64",
                             .in = "path",
                             .schema = enum_of(names),
                             .example = names.empty() ? "" : json_value(names.front())};
  const parameter version{.name = "version",
                          .summary = "One that the model's metadata list",
                          .in = "path",
                          .schema = enum_of(versions),
                          .example = versions.empty() ? "" : json_value(versions.front())};
  std::vector<dtype> choices;
  for (const auto& row : rows.rows())
    for (const auto t : choices_of(*row))
      if (std::find(choices.begin(), choices.end(), t) == choices.end()) choices.push_back(t);
  for (const auto& [path, parameters] :
       {std::pair{std::string("/v2/models/{model}"), std::vector{model_name}},
        std::pair{std::string("/v2/models/{model}/versions/{version}"), std::vector{model_name, version}}}) {
    auto call = infer(path + "/infer", "Any model", schema_ref("InferenceRequest"), "", choices, precisions);
    call.parameters.insert(call.parameters.begin(), parameters.begin(), parameters.end());
    d.add(std::move(call));
    add("GET", path, "What a model takes and gives", ok(schema_ref("ModelMetadata")), parameters);
    add("GET", path + "/ready", "Whether a model can be asked", state(schema_ref("ModelReady")), parameters);
    add("GET", path + "/config", "A model as Triton configures it", ok(schema_ref("ModelConfig")), parameters);
    add("GET", path + "/stats", "How often a model was asked, and where its time went", ok(schema_ref("ModelStatistics")),
        parameters);
  }
  const auto state_names = enum_of({"READY", "LOADING", "UNAVAILABLE"});
  add("GET", "/v2/models", "All models",
      ok(object_of(
          {"models"},
          {{"models", array_of(object_of(
                          {"name", "versions", "state", "reason"},
                          {{"name", text}, {"versions", array_of(text)}, {"state", state_names}, {"reason", text}}))}})));
  add("GET", "/v2/models/stats", "The statistics of all models", ok(schema_ref("ModelStatistics")));
  add("GET", "/v2", "The server",
      ok(object_of({"name", "version", "extensions"}, {{"name", text}, {"version", text}, {"extensions", array_of(text)}})));
  add("GET", "/v2/health/live", "Whether the process answers",
      ok(object_of({"live"}, {{"live", json_object({{"const", true}})}})), {}, true);
  add("GET", "/v2/health/ready", "Whether the devices are healthy, and all models that are wanted are served",
      state(object_of({"ready"}, {{"ready", type_of("boolean")}, {"reason", text}})), {}, true);
  describe_repository(d, loads,
                      object_of({"name", "version", "state", "reason"},
                                {{"name", text}, {"version", text}, {"state", state_names}, {"reason", text}}));
  // Clients of Triton's ask for these; no memory is shared.
  const parameter region{.name = "region", .summary = "Its name", .in = "path"};
  for (const std::string kind : {"/v2/systemsharedmemory", "/v2/cudasharedmemory"}) {
    add("GET", kind + "/status", "The regions of shared memory: none",
        ok(json_object({{"type", "array"}, {"maxItems", 0}})));
    add("GET", kind + "/region/{region}/status", "A region: there is none", {}, {region});
    add("POST", kind + "/region/{region}/register", "Not served: tensors come in the request", {}, {region}, false, {501});
    add("POST", kind + "/region/{region}/unregister", "Not served", {}, {region}, false, {501});
    add("POST", kind + "/unregister", "Not served", {}, {}, false, {501});
  }
}

}  // namespace sluice::serving
