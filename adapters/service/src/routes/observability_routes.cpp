#include <algorithm>

#include <fmt/format.h>

#include "codec/json_writer.hpp"
#include "execution/executor.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

std::string devices_json(const health& now, const model_repository* repository) {
  json_writer w;
  w.begin_object().key("devices").begin_array();
  for (const auto& d : now.devices)
    w.begin_object()
        .member("device", d.where.str())
        .member("description", d.description)
        .member("memory_total", d.memory_total)
        .member("memory_free", d.memory_free)
        .member("awake", d.awake)
        .member("healthy", d.healthy)
        .member("state", d.state)
        .end_object();
  w.end_array().key("refusals").begin_array();
  for (const auto& r : refusals()) w.begin_object().member("backend", r.backend).member("reason", r.reason).end_object();
  w.end_array().key("engines").begin_array();
  if (repository != nullptr) {
    const auto engine = repository->engine_info();
    w.begin_object()
        .member("name", engine.name)
        .member("version", engine.version)
        .member("path", engine.path)
        .member("refused", engine.refused)
        .end_object();
  }
  return w.end_array().end_object().take();
}

constexpr std::string_view device_schema =
    R"({"type":"object","required":["device","description","memory_total","memory_free","awake","healthy","state"],)"
    R"("properties":{"device":{"type":"string","examples":["cpu","cuda:0"]},"description":{"type":"string"},)"
    R"("memory_total":{"type":"integer","minimum":0,"description":"Bytes; 0 while asking would wake the device"},)"
    R"("memory_free":{"type":"integer","minimum":0,"description":"Bytes; likewise"},"awake":{"type":"boolean"},)"
    R"("healthy":{"type":"boolean"},"state":{"type":"string","description":"Why it is not healthy"}}})";
constexpr std::string_view health_schema =
    R"({"type":"object","required":["ready","degraded","devices"],"properties":{"ready":{"type":"boolean"},)"
    R"("degraded":{"type":"boolean","description":"A device is not healthy"},"devices":{"type":"object",)"
    R"("additionalProperties":{"type":"object","required":["healthy"],"properties":{"healthy":{"type":"boolean"},)"
    R"("state":{"type":"string"}}}},"models":{"type":"array","description":"Models that are to be served, and are not",)"
    R"("items":{"type":"object","required":["name","version","state","reason"],"properties":{"name":{"type":"string"},)"
    R"("version":{"type":"string"},"state":{"enum":["LOADING","UNAVAILABLE"]},"reason":{"type":"string"}}}}}})";

std::string devices_schema() {
  const auto list_of = [](json_value items) { return json_object({{"type", "array"}, {"items", std::move(items)}}); };
  const auto text = json_object({{"type", "string"}});
  return json_object(
      {{"type", "object"},
       {"required", json_array({"devices", "refusals", "engines"})},
       {"properties",
        json_object(
            {{"engines",
              list_of(json_object(
                  {{"type", "object"},
                   {"required", json_array({"name", "version", "path", "refused"})},
                   {"properties",
                    json_object({{"name", text},
                                 {"version", text},
                                 {"path", text},
                                 {"refused", json_object({{"type", "string"}, {"description", "Why there is none"}})}})}}))},
             {"devices", list_of(json_value::raw(schema_ref("Device")))},
             {"refusals", list_of(json_object({{"type", "object"},
                                               {"required", json_array({"backend", "reason"})},
                                               {"properties", json_object({{"backend", text}, {"reason", text}})}}))}})}});
}

class operations_protocol final : public protocol {
 public:
  operations_protocol(executor& e, const protocol_list& all) : executor_(e), all_(all) {}

  std::vector<std::string> patterns() const override {
    std::vector<std::string> all;
    for (const auto& r : routes) all.emplace_back(r.path);
    return all;
  }

  bool owns(std::string_view path) const override { return find(path) != nullptr; }

  response answer(const request& r, request_context& record) override {
    const route* const found = find(r.path);
    record.route = found->name;
    check_method(r, "GET, HEAD");
    return (this->*found->get)();
  }

  void describe(document& d) const override {
    d.tag("operations", "Devices, health and figures, for those who run the service");
    d.schema("Device", std::string(device_schema));
    d.schema("Health", std::string(health_schema));
    const auto get = [&](std::string path, std::string summary, std::vector<reply> gives, bool open) {
      d.add({.method = "GET",
             .path = std::move(path),
             .tag = "operations",
             .summary = std::move(summary),
             .gives = std::move(gives),
             .open = open});
    };
    const content look{.schema = schema_ref("Health"),
                       .example = R"({"ready":true,"degraded":false,"devices":{"cpu":{"healthy":true}}})"};
    get("/v1/devices", "The devices, and why others were refused; and what runs models",
        {{200, "The devices as they are now", {{.schema = devices_schema()}}}}, false);
    get("/health/live", "Whether the process answers",
        {{200, "It does", {{.schema = R"({"type":"object","required":["live"],"properties":{"live":{"const":true}}})"}}}},
        true);
    get("/health/ready", "Whether the devices are healthy, and all models that are wanted are served",
        {{200, "They are", {look}}, {503, "They are not, or the server is shutting down", {look}}}, true);
    get("/metrics", "Figures as Prometheus reads them, in seconds and bytes",
        {{200, "Text, version 0.0.4", {{.type = "text/plain", .schema = R"({"type":"string"})"}}}}, false);
  }

 private:
  struct route {
    std::string_view path, name;
    response (operations_protocol::*get)();
  };
  static const std::array<route, 4> routes;

  static const route* find(std::string_view path) {
    const auto it = std::find_if(routes.begin(), routes.end(), [&](const route& r) { return r.path == path; });
    return it == routes.end() ? nullptr : &*it;
  }

  response devices() {
    return text_response("application/json", devices_json(executor_.look(), executor_.repository().get()));
  }
  response live() { return text_response("application/json", R"({"live":true})"); }
  response ready() {
    const auto now = executor_.look();
    return text_response("application/json", now.json(), now.ready() ? 200 : 503);
  }
  response metrics() {
    executor_.forget_removed();
    auto text = executor_.metrics->text(executor_.compute, executor_.options.compute_workers, executor_.look());
    text += fmt::format(
        "# HELP sluice_answer_memory_bytes Memory of results and answers, from the call until they are sent.\n"
        "# TYPE sluice_answer_memory_bytes gauge\nsluice_answer_memory_bytes {}\n",
        executor_.answers->used());
    for (const auto& p : all_) p->print_metrics(text);
    return text_response("text/plain; version=0.0.4; charset=utf-8", std::move(text));
  }

  executor& executor_;
  const protocol_list& all_;
};

const std::array<operations_protocol::route, 4> operations_protocol::routes{{
    {"/v1/devices", "devices", &operations_protocol::devices},
    {"/health/live", "live", &operations_protocol::live},
    {"/health/ready", "ready", &operations_protocol::ready},
    {"/metrics", "metrics", &operations_protocol::metrics},
}};

}  // namespace

std::unique_ptr<protocol> operations(executor& e, const protocol_list& all) {
  return std::make_unique<operations_protocol>(e, all);
}

}  // namespace sluice::serving
