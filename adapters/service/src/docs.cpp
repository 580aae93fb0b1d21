// /openapi.json, and the page that is drawn from it.
#include <fmt/format.h>

#include "protocol.hpp"

namespace sluice::http {
namespace {

class docs_protocol final : public protocol {
 public:
  docs_protocol(engine& e, std::function<void(document&)> describe_all)
      : engine_(e), describe_all_(std::move(describe_all)) {}

  std::vector<std::string> patterns() const override {
    if (!engine_.options.docs) return {};
    return {R"(/openapi\.json)"};
  }
  bool owns(std::string_view path) const override { return engine_.options.docs && path == "/openapi.json"; }

  response answer(const request& r, call_record& record) override {
    record.route = "openapi";
    check_method(r, "GET, HEAD");
    document d(!engine_.options.tokens.empty());
    describe_all_(d);
    return text_response("application/json", d.text());
  }

  void describe(document& d) const override {
    if (!engine_.options.docs) return;
    d.tag("documents", "What is served, for programs and for people");
    d.add({.method = "GET",
           .path = "/openapi.json",
           .tag = "documents",
           .summary = "This document",
           .gives = {{200, "OpenAPI 3.1", {{.schema = R"({"type":"object","required":["openapi","paths"]})"}}}},
           .open = true});
  }

 private:
  engine& engine_;
  std::function<void(document&)> describe_all_;
};

}  // namespace

std::unique_ptr<protocol> docs(engine& e, std::function<void(document&)> describe_all) {
  return std::make_unique<docs_protocol>(e, std::move(describe_all));
}

}  // namespace sluice::http
