#include "kserve/describe.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/json_number.hpp"
#include "openapi/describe_endpoints.hpp"
#include "http/text.hpp"
#include "kserve/models.hpp"

namespace sluice::serving {
namespace {

constexpr std::string_view string_schema = R"({"type":"string"})";

std::string object_of(const std::vector<std::string>& required, std::string_view properties, bool closed = false) {
  return fmt::format(R"({{"type":"object","required":{},{}"properties":{{{}}}}})", json_list(required),
                     closed ? R"("additionalProperties":false,)" : "", properties);
}

std::string array_of(std::string_view items) { return fmt::format(R"({{"type":"array","items":{}}})", items); }

// Requests to every model, and what all give.
void describe_schemas(document& d) {
  d.schema("InferenceError",
           object_of({"error"}, R"("error":{"type":"string","description":"What was wrong, with its numbers"})"));
  d.schema("InferenceParameters",
           R"({"type":"object","additionalProperties":false,"properties":{)"
           R"("timeout":{"type":"integer","minimum":0,"description":"Microseconds after the request came; 0 is none"},)"
           R"("priority":{"type":"integer","minimum":0,"description":"1 is the highest, 0 none"},)"
           R"("binary_data_output":{"type":"boolean","description":"Outputs come in binary"}}})");
  const std::string tensor =
      R"("name":{"type":"string"},"datatype":{"type":"string"},"shape":)" + schema_ref("Extents") + R"(,"data":)" +
      schema_ref("Numbers") +
      R"(,"parameters":{"type":"object","properties":{"binary_data_size":{"type":"integer","minimum":0}}})";
  d.schema("InferenceResult",
           object_of({"model_name", "model_version", "outputs"},
                     fmt::format(R"("model_name":{0},"model_version":{0},"id":{0},"outputs":{1})", string_schema,
                                 array_of(object_of({"name", "datatype", "shape"}, tensor)))));
  const std::string input = object_of({"name", "datatype", "shape"}, tensor);
  d.schema("InferenceRequest",
           object_of({"inputs"}, fmt::format(R"("id":{0},"model_name":{0},"parameters":{1},"inputs":{2},"outputs":{3})",
                                             string_schema, schema_ref("InferenceParameters"), array_of(input),
                                             array_of(object_of({"name"}, R"("name":{"type":"string"})")))));
  d.schema("ModelMetadata",
           object_of({"name", "versions", "platform", "inputs", "outputs"},
                     fmt::format(R"("name":{0},"versions":{1},"platform":{0},"inputs":{2},"outputs":{2})", string_schema,
                                 array_of(string_schema), array_of(schema_ref("TensorMetadata")))));
  d.schema("TensorMetadata",
           object_of({"name", "datatype", "shape"}, R"("name":{"type":"string"},"datatype":{"type":"string"},"shape":)"
                                                    R"({"type":"array","items":{"type":"integer","minimum":-1}})"));
  d.schema("ModelConfig", object_of({"name", "platform", "input", "output"},
                                    R"("name":{"type":"string"},"platform":{"type":"string"},"input":{"type":"array"},)"
                                    R"("output":{"type":"array"})"));
  d.schema(
      "ModelStatistics",
      object_of({"model_stats"},
                R"("model_stats":)" +
                    array_of(object_of({"name", "version", "inference_count", "inference_stats"},
                                       R"("name":{"type":"string"},"version":{"type":"string"},)"
                                       R"("inference_count":{"type":"integer"},"inference_stats":{"type":"object"})"))));
  d.schema("ModelReady", object_of({"name", "ready"}, R"("name":{"type":"string"},"ready":{"type":"boolean"})"));
}

std::string rank_range(const field& f, int deepest) {
  return fmt::format(R"("minItems":{},"maxItems":{})", f.min_rank, std::min(f.max_rank, deepest));
}

// One input of `m` as a client may write it: with its numbers, or with their size in binary.
std::string input_schema(const model& m, const field& f, int deepest) {
  std::vector<std::string> datatypes;
  for (const auto t : m.dtypes_of(f)) datatypes.emplace_back(datatype_of(t));
  return fmt::format(
      R"({{"type":"object","required":["name","shape","datatype"],"additionalProperties":false,"properties":{{)"
      R"("name":{{"const":{}}},"datatype":{{"enum":{}}},"shape":{{"type":"array","items":{{"type":"integer","minimum":0}},{}}},)"
      R"("data":{},"parameters":{{"type":"object","additionalProperties":false,"properties":{{"binary_data_size":)"
      R"({{"type":"integer","minimum":0}}}}}}}},"oneOf":[{{"required":["data"],"properties":{{"parameters":{{"maxProperties":0}}}}}},)"
      R"({{"required":["parameters"],"properties":{{"data":false,"parameters":{{"required":["binary_data_size"]}}}}}}]}})",
      json_string(f.name), json_list(datatypes), rank_range(f, deepest), schema_ref("Numbers"));
}

std::string request_schema(const model& m, int deepest) {
  std::vector<std::string> inputs, outputs;
  for (const auto& f : m.row->inputs) inputs.push_back(input_schema(m, f, deepest));
  for (const auto& f : m.row->outputs) outputs.push_back(f.name);
  return fmt::format(
      R"({{"type":"object","required":["inputs"],"additionalProperties":false,"properties":{{"id":{{"type":"string"}},)"
      R"("model_name":{{"type":"string"}},"parameters":{0},"inputs":{{"type":"array","minItems":{1},"maxItems":{1},)"
      R"("items":{{"oneOf":[{2}]}}}},"outputs":{{"type":"array","maxItems":{3},"items":{{"type":"object","required":["name"],)"
      R"("additionalProperties":false,"properties":{{"name":{{"enum":{4}}},"parameters":{{"type":"object",)"
      R"("additionalProperties":false,"properties":{{"binary_data":{{"type":"boolean"}}}}}}}}}}}}}}}})",
      schema_ref("InferenceParameters"), inputs.size(), fmt::join(inputs, ","), outputs.size(), json_list(outputs));
}

// Empty where an input's dtype has no JSON.
std::string request_example(const model& m, int deepest) {
  std::vector<std::string> inputs;
  for (const auto& f : m.row->inputs) {
    const dtype type = m.dtypes_of(f).front();
    if (!has_json(type)) return {};
    inputs.push_back(fmt::format(R"({{"name":{},"shape":[{}],"datatype":"{}","data":{}}})", json_string(f.name),
                                 fmt::join(std::vector(static_cast<std::size_t>(usual_rank(f, deepest)), 2), ","),
                                 datatype_of(type), numbers_example(f, deepest)));
  }
  return fmt::format(R"({{"inputs":[{}]}})", fmt::join(inputs, ","));
}

operation infer(std::string path, std::string summary, std::string schema, std::string example) {
  return {.method = "POST",
          .path = std::move(path),
          .tag = "models",
          .summary = std::move(summary),
          .description =
              "Tensors come in JSON, or in binary behind it: Inference-Header-Content-Length then says where the "
              "JSON ends. f16 and bf16 come in binary alone.",
          .parameters = {timeout_parameter(),
                         {.name = "Inference-Header-Content-Length",
                          .summary = "Bytes of JSON before the binary tensors; 0: the body is the one input's data",
                          .schema = R"({"type":"integer","minimum":0})"}},
          .takes = {{.schema = std::move(schema), .example = std::move(example)}, {.type = "application/octet-stream"}},
          .needs_body = false,  // no bytes are a tensor of none
          .gives = {{200,
                     "The outputs",
                     {{.schema = schema_ref("InferenceResult")}, {.type = "application/octet-stream"}},
                     {"X-Sluice-Device", "X-Sluice-Predicted", "X-Sluice-Reason", "Inference-Header-Content-Length",
                      "Content-Encoding"}}},
          .refusals = {404, 411, 413, 415, 429, 501, 504},
          .refusal = "InferenceError"};
}

}  // namespace

void describe_v2(document& d, const endpoint_registry& rows, const service_limits& limits) {
  d.tag("models", "The same by the Open Inference Protocol (KServe v2)");
  describe_schemas(d);
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

  std::vector<std::string> names;
  for (const auto& row : rows.rows()) {
    const model m{row};
    const std::string schema = row->name + ".infer";
    d.schema(schema, request_schema(m, limits.rank));
    d.add(infer("/v2/models/" + row->name + "/infer", row->summary, schema_ref(schema), request_example(m, limits.rank)));
  }
  for (const auto& m : all_models(rows)) names.push_back(m.name());
  const parameter model_name{.name = "model",
                             .summary = "An endpoint's name, or with a dtype that it takes: matmul_fp64",
                             .in = "path",
                             .schema = fmt::format(R"({{"enum":{}}})", json_list(names)),
                             .example = json_string(names.front())};
  const parameter version{.name = "version",
                          .summary = "There is one",
                          .in = "path",
                          .schema = fmt::format(R"({{"const":"{}"}})", model_version),
                          .example = fmt::format("\"{}\"", model_version)};
  for (const auto& [path, parameters] :
       {std::pair{std::string("/v2/models/{model}"), std::vector{model_name}},
        std::pair{std::string("/v2/models/{model}/versions/{version}"), std::vector{model_name, version}}}) {
    auto call = infer(path + "/infer", "Any model", schema_ref("InferenceRequest"), "");
    call.parameters.insert(call.parameters.begin(), parameters.begin(), parameters.end());
    d.add(std::move(call));
    add("GET", path, "What a model takes and gives", ok(schema_ref("ModelMetadata")), parameters);
    add("GET", path + "/ready", "Whether a model can be asked", state(schema_ref("ModelReady")), parameters);
    add("GET", path + "/config", "A model as Triton configures it", ok(schema_ref("ModelConfig")), parameters);
    add("GET", path + "/stats", "How often a model was asked, and where its time went", ok(schema_ref("ModelStatistics")),
        parameters);
  }
  add("GET", "/v2/models/stats", "The same of all models", ok(schema_ref("ModelStatistics")));
  add("GET", "/v2", "The server",
      ok(object_of({"name", "version", "extensions"},
                   R"("name":{"type":"string"},"version":{"type":"string"},"extensions":)" + array_of(string_schema))));
  add("GET", "/v2/health/live", "Whether the process answers", ok(object_of({"live"}, R"("live":{"const":true})")), {},
      true);
  add("GET", "/v2/health/ready", "Whether the devices are healthy",
      state(object_of({"ready"}, R"("ready":{"type":"boolean"})")), {}, true);
  add("POST", "/v2/repository/index", "All models",
      ok(array_of(
          object_of({"name", "version", "state", "reason"},
                    R"("name":{"type":"string"},"version":{"type":"string"},"state":{"enum":["READY","UNAVAILABLE"]},)"
                    R"("reason":{"type":"string"})"))),
      {}, false, {411, 413, 415});
  // Clients of Triton's ask for these; no model is loaded by them, and no memory shared.
  const parameter region{.name = "region", .summary = "Its name", .in = "path"};
  for (const std::string what : {"load", "unload"})
    add("POST", "/v2/repository/models/{model}/" + what, "Not served: models are the application's", {}, {model_name}, false,
        {501});
  for (const std::string kind : {"/v2/systemsharedmemory", "/v2/cudasharedmemory"}) {
    add("GET", kind + "/status", "The regions of shared memory: none", ok(R"({"type":"array","maxItems":0})"));
    add("GET", kind + "/region/{region}/status", "A region: there is none", {}, {region});
    add("POST", kind + "/region/{region}/register", "Not served: tensors come in the request", {}, {region}, false, {501});
    add("POST", kind + "/region/{region}/unregister", "Not served", {}, {region}, false, {501});
    add("POST", kind + "/unregister", "Not served", {}, {}, false, {501});
  }
}

}  // namespace sluice::serving
