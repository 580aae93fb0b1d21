#include <algorithm>

#include <fmt/format.h>

#include "protocol.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

std::string devices_json(const health& now) {
  std::string out = "{\"devices\":[";
  for (const auto& d : now.devices)
    out += fmt::format(
        R"({}{{"device":{},"description":{},"memory_total":{},"memory_free":{},"awake":{},"healthy":{},"state":{}}})",
        out.back() == '[' ? "" : ",", json_string(d.where.str()), json_string(d.description), d.memory_total, d.memory_free,
        d.awake, d.healthy, json_string(d.state));
  out += "],\"refusals\":[";
  for (const auto& r : refusals())
    out += fmt::format(R"({}{{"backend":{},"reason":{}}})", out.back() == '[' ? "" : ",", json_string(r.backend),
                       json_string(r.reason));
  return out + "]}";
}

class operations_protocol final : public protocol {
 public:
  explicit operations_protocol(engine& e) : engine_(e) {}

  std::vector<std::string> patterns() const override {
    std::vector<std::string> all;
    for (const auto& r : routes) all.emplace_back(r.path);
    return all;
  }

  bool owns(std::string_view path) const override { return find(path) != nullptr; }

  response answer(const request& r, call_record& record) override {
    const route* const found = find(r.path);
    record.route = found->name;
    check_method(r, "GET, HEAD");
    return (this->*found->get)();
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

  response devices() { return text_response("application/json", devices_json(engine_.look())); }
  response live() { return text_response("application/json", R"({"live":true})"); }
  response ready() {
    const auto now = engine_.look();
    return text_response("application/json", now.json(), now.ready ? 200 : 503);
  }
  response metrics() {
    auto text = engine_.metrics->text(engine_.compute, engine_.options.compute_slots, engine_.look());
    for (const auto& more : engine_.meters) more(text);
    return text_response("text/plain; version=0.0.4; charset=utf-8", std::move(text));
  }

  engine& engine_;
};

const std::array<operations_protocol::route, 4> operations_protocol::routes{{
    {"/v1/devices", "devices", &operations_protocol::devices},
    {"/health/live", "live", &operations_protocol::live},
    {"/health/ready", "ready", &operations_protocol::ready},
    {"/metrics", "metrics", &operations_protocol::metrics},
}};

}  // namespace

std::unique_ptr<protocol> operations(engine& e) { return std::make_unique<operations_protocol>(e); }

}  // namespace sluice::http
