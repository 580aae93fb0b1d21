// What a service answers, written as OpenAPI 3.1. Each protocol describes its own routes:
//
//     void describe(document& d) const override {
//       d.schema("Job", object_schema({"id"}, {{"id", json_object({{"type", "string"}})}}));
//       d.add({.method = "GET",
//              .path = "/v1/jobs/{id}",
//              .tag = "jobs",
//              .summary = "What has become of a job",
//              .parameters = {{.name = "id", .summary = "As its Location says", .in = "path"}},
//              .gives = {{200, "The job as it is now", {{.schema = schema_ref("Job")}}}},
//              .refusals = {404}});
//     }
//
// Added to every route: X-Request-Id in its answers, the refusals 400, 500 and 503, and 401 where tokens are needed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/json_writer.hpp"
#include "sluice/dtype.hpp"

namespace sluice::serving {

// A body in one media type. Schemas and examples are JSON.
struct content {
  std::string type = "application/json";
  std::string schema{};   // empty: not text that JSON Schema describes
  std::string example{};  // empty: none
};

struct parameter {
  std::string name, summary;
  std::string in = "header";  // or "path", "query"
  std::string schema = json_object({{"type", "string"}});
  std::string example{};  // JSON
  bool required = false;  // those of the path always are
};

struct reply {
  int status;
  std::string summary;
  std::vector<content> bodies{};
  std::vector<std::string> headers{};  // document.cpp describes those it knows
};

struct route_description {
  std::string method;  // "GET", which covers HEAD
  std::string path;    // "/v1/jobs/{id}"
  std::string tag;     // routes of one tag are shown together
  std::string summary;
  std::string description{};  // Markdown
  std::vector<parameter> parameters{};
  std::vector<content> takes{};  // media types of the request's body, the usual one first
  bool needs_body = true;        // where it takes one
  std::vector<reply> gives{};
  std::vector<int> refusals{};      // statuses
  std::string refusal = "Problem";  // the schema of a refusal's body
  bool open = false;                // needs no token
};

// A reference to the schema called `name`, from within another.
SLUICE_API std::string schema_ref(std::string_view name);
json_value reference(std::string_view name);

// What a call may send about itself: X-Request-Timeout.
parameter timeout_parameter();
// What a call may ask of its results' dtype, one of `types`: ?result_dtype=f64.
parameter result_dtype_parameter(std::span<const dtype> types);
// The headers of an answer that report where it was computed, and in which precision where there is a choice.
std::vector<std::string> placement_headers(bool has_precision);

class SLUICE_API document {
 public:
  // `secured`: routes that are not open need a bearer token.
  explicit document(bool secured) : secured_(secured) {}

  void add(route_description r);
  void schema(const std::string& name, std::string json);  // the last one of a name stays
  void tag(std::string name, std::string summary);         // in the order of showing

  [[nodiscard]] std::string text() const;

 private:
  bool secured_;
  std::vector<route_description> routes_;
  std::map<std::string, std::string> schemas_;
  std::vector<std::pair<std::string, std::string>> tags_;
};

}  // namespace sluice::serving
