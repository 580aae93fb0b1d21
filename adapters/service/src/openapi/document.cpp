#include "openapi/document.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "http/text.hpp"
#include "sluice/config.hpp"

namespace sluice::serving {
namespace {

struct named {
  std::string_view name, text;
};
constexpr std::array headers{
    named{"X-Request-Id", "The request's own, or one made for it; the access log has it"},
    named{"X-Sluice-Device", "The device that computed the answer"},
    named{"X-Sluice-Precision", "The precision that it was computed in: what the bits of the result promise"},
    named{"X-Sluice-Predicted", "Seconds that it was predicted to take there, where that is known"},
    named{"X-Sluice-Reason", "Why it was computed there"},
    named{"X-Sluice-Gathered", "Calls that were computed as one with this one, which is counted, where there were others"},
    named{"Inference-Header-Content-Length", "Bytes of JSON before the binary tensors"},
    named{"Content-Encoding", "gzip or deflate, for a client that accepts it"},
    named{"Location", "Where it is to be found"},
    named{"Retry-After", "Seconds after which to ask again"},
    named{"WWW-Authenticate", "What is wrong with the token"},
    named{"ETag", "Stays the same while the bytes do; If-None-Match takes it"},
    named{"Cache-Control", "How long a copy may be kept"},
    named{"X-Accel-Buffering", "no: a proxy passes the answer on as it comes"},
    named{"Accept-Ranges", "bytes: parts may be asked for by Range"},
    named{"Content-Range", "Which bytes of how many these are"},
};

struct meaning {
  int status;
  std::string_view text;
  std::string_view header = {};
};
constexpr std::array meanings{
    meaning{400, "The bytes are not what they claim to be"},
    meaning{401, "A bearer token is needed, or this one is not known", "WWW-Authenticate"},
    meaning{403, "Not allowed"},
    meaning{404, "Nothing is there"},
    meaning{406, "The result cannot come in the form asked for"},
    meaning{409, "Not in the state that it is in"},
    meaning{411, "A compressed body needs its length"},
    meaning{413, "Beyond a limit of the service's"},
    meaning{415, "Bodies of this type or coding are not taken"},
    meaning{416, "The range lies outside"},
    meaning{422, "Shapes or values that cannot be"},
    meaning{429, "All slots and the queue are taken", "Retry-After"},
    meaning{500, "The endpoint failed"},
    meaning{501, "Not served here"},
    meaning{503, "No device, no memory, or the server is shutting down", "Retry-After"},
    meaning{504, "The deadline passed before it was computed"},
    meaning{507, "The file that holds the sums has no room left"},
};

const meaning& meaning_of(int status) {
  static constexpr meaning other{0, "Refused"};
  const auto it = std::find_if(meanings.begin(), meanings.end(), [&](const meaning& m) { return m.status == status; });
  return it == meanings.end() ? other : *it;
}

json_value any_string() { return json_object({{"type", "string"}}); }

json_value pointer(std::string_view kind, std::string_view name) {
  return json_object({{"$ref", fmt::format("#/components/{}/{}", kind, name)}});
}

// Texts and JSON that may be empty are left out.
void put_text(json_members& to, std::string name, const std::string& text) {
  if (!text.empty()) to.emplace_back(std::move(name), text);
}
void put_json(json_members& to, std::string name, const std::string& text) {
  if (!text.empty()) to.emplace_back(std::move(name), json_value::raw(text));
}

json_value contents(const std::vector<content>& bodies) {
  json_members all;
  for (const auto& b : bodies) {
    json_members one;
    put_json(one, "schema", b.schema);
    put_json(one, "example", b.example);
    all.emplace_back(b.type, json_object(one));
  }
  return json_object(all);
}

json_value headers_json(const std::vector<std::string>& names) {
  json_members all{{"X-Request-Id", pointer("headers", "X-Request-Id")}};
  for (const auto& name : names) {
    const bool known = std::any_of(headers.begin(), headers.end(), [&](const named& h) { return h.name == name; });
    all.emplace_back(name, known ? pointer("headers", name) : json_object({{"schema", any_string()}}));
  }
  return json_object(all);
}

json_value answer_json(const reply& a) {
  json_members one;
  put_text(one, "description", a.summary);
  one.emplace_back("headers", headers_json(a.headers));
  if (!a.bodies.empty()) one.emplace_back("content", contents(a.bodies));
  return json_object(one);
}

std::string refusal_name(const std::string& schema, int status) { return fmt::format("{}{}", schema, status); }

json_value refusal_json(const std::string& schema, int status) {
  const auto& m = meaning_of(status);
  std::vector<std::string> more;
  if (!m.header.empty()) more.emplace_back(m.header);
  return answer_json(
      {status,
       std::string(m.text),
       {{.type = schema == "Problem" ? "application/problem+json" : "application/json", .schema = schema_ref(schema)}},
       more});
}

json_value parameter_json(const parameter& p) {
  json_members one{{"name", p.name}, {"in", p.in}};
  put_text(one, "description", p.summary);
  if (p.required || p.in == "path") one.emplace_back("required", true);
  put_json(one, "schema", p.schema);
  put_json(one, "example", p.example);
  return json_object(one);
}

std::string lower(std::string method) {
  for (char& c : method) c = static_cast<char>(c + ('a' - 'A'));
  return method;
}

// "post_v1_jobs_id"
std::string id_of(const route_description& r) {
  std::string id = lower(r.method);
  for (const char c : r.path)
    if (c == '/' || c == '.')
      id += '_';
    else if (c != '{' && c != '}')
      id += c;
  return id;
}

json_value route_json(const route_description& r, bool secured) {
  json_members one{{"operationId", id_of(r)}, {"tags", json_array({r.tag})}};
  put_text(one, "summary", r.summary);
  put_text(one, "description", r.description);
  std::vector<json_value> parameters;
  for (const auto& p : r.parameters) parameters.push_back(parameter_json(p));
  if (!parameters.empty()) one.emplace_back("parameters", json_array(parameters));
  if (!r.takes.empty())
    one.emplace_back("requestBody", json_object({{"required", r.needs_body}, {"content", contents(r.takes)}}));
  json_members answers;
  std::set<int> given, refused(r.refusals.begin(), r.refusals.end());
  for (const auto& a : r.gives)
    if (given.insert(a.status).second) answers.emplace_back(std::to_string(a.status), answer_json(a));
  for (const int status : refused)
    if (!given.contains(status))
      answers.emplace_back(std::to_string(status), pointer("responses", refusal_name(r.refusal, status)));
  one.emplace_back("responses", json_object(answers));
  if (secured && r.open) one.emplace_back("security", json_array({}));
  return json_object(one);
}

json_value problem_schema() {
  const auto text = [](const char* about) { return json_object({{"type", "string"}, {"description", about}}); };
  return json_object(
      {{"type", "object"},
       {"description", "RFC 9457"},
       {"required", json_array({"type", "title", "status", "detail", "code"})},
       {"properties", json_object({{"type", json_object({{"const", "about:blank"}})},
                                   {"title", any_string()},
                                   {"status", json_object({{"type", "integer"}, {"minimum", 400}, {"maximum", 599}})},
                                   {"detail", text("What was wrong, with its numbers")},
                                   {"code", text("For programs; it stays as it is")}})},
       {"examples",
        json_array({json_object({{"type", "about:blank"},
                                 {"title", "Unprocessable Content"},
                                 {"status", 422},
                                 {"detail", "[matmul] a is (2, 3), b is (2, 2): a.extent(1) must equal b.extent(0)"},
                                 {"code", "invalid_argument"}})})}});
}

}  // namespace

std::string schema_ref(std::string_view name) { return reference(name); }
json_value reference(std::string_view name) { return pointer("schemas", name); }

parameter timeout_parameter() {
  return {.name = "X-Request-Timeout",
          .summary = "Seconds after the request came within which it is to begin; past it 504",
          .schema = json_object({{"type", "number"}, {"minimum", 0}}),
          .example = "30"};
}

parameter result_dtype_parameter(std::span<const dtype> types) {
  std::vector<std::string_view> names;
  for (const auto t : types) names.push_back(name_of(t));
  return {.name = "result_dtype",
          .summary = "The dtype of the result, whose sums are rounded to it once; without it the one that the input's has",
          .in = "query",
          .schema = json_object({{"enum", json_array(names)}})};
}

std::vector<std::string> placement_headers(bool has_precision) {
  std::vector<std::string> names{"X-Sluice-Device", "X-Sluice-Predicted", "X-Sluice-Reason", "X-Sluice-Gathered"};
  if (has_precision) names.emplace_back("X-Sluice-Precision");
  return names;
}

void document::add(route_description r) {
  r.refusals.insert(r.refusals.end(), {400, 500, 503});
  if (secured_ && !r.open) r.refusals.push_back(401);
  routes_.push_back(std::move(r));
}

void document::schema(const std::string& name, std::string json) { schemas_[name] = std::move(json); }
void document::tag(std::string name, std::string summary) { tags_.emplace_back(std::move(name), std::move(summary)); }

std::string document::text() const {
  std::vector<std::pair<std::string, json_members>> paths;  // in the order of adding
  json_members responses;
  std::set<std::string> response_names;
  for (const auto& r : routes_) {
    auto path = std::find_if(paths.begin(), paths.end(), [&](const auto& p) { return p.first == r.path; });
    if (path == paths.end()) path = paths.insert(paths.end(), {r.path, {}});
    path->second.emplace_back(lower(r.method), route_json(r, secured_));
    for (const int status : r.refusals)
      if (response_names.insert(refusal_name(r.refusal, status)).second)
        responses.emplace_back(refusal_name(r.refusal, status), refusal_json(r.refusal, status));
  }
  json_members all_paths, schemas{{"Problem", problem_schema()}}, header_members;
  for (const auto& [path, methods] : paths) all_paths.emplace_back(path, json_object(methods));
  for (const auto& [name, text] : schemas_) schemas.emplace_back(name, json_value::raw(text));
  for (const auto& h : headers)
    header_members.emplace_back(h.name, json_object({{"description", h.text}, {"schema", any_string()}}));
  std::vector<json_value> tags;
  for (const auto& [name, summary] : tags_) tags.push_back(json_object({{"name", name}, {"description", summary}}));

  json_members components{
      {"schemas", json_object(schemas)}, {"responses", json_object(responses)}, {"headers", json_object(header_members)}};
  if (secured_)
    components.emplace_back("securitySchemes",
                            json_object({{"bearer", json_object({{"type", "http"}, {"scheme", "bearer"}})}}));
  json_members root{
      {"openapi", "3.1.0"},
      {"info", json_object({{"title", "sluice"},
                            {"version", SLUICE_VERSION_STRING},
                            {"description",
                             "Numeric work over HTTP, each call on the device that finishes it first. HEAD is answered "
                             "wherever GET is. A server may refuse invalid HTTP before it gets here: 408, 411, 413, 414, "
                             "415, 417, 431 or 501."}})},
      // Relative: wherever the service is mounted, and behind any proxy.
      {"servers", json_array({json_object({{"url", "."}})})}};
  if (!tags.empty()) root.emplace_back("tags", json_array(tags));
  root.emplace_back("paths", json_object(all_paths));
  root.emplace_back("components", json_object(components));
  if (secured_) root.emplace_back("security", json_array({json_object({{"bearer", json_array({})}})}));
  return json_object(root);
}

}  // namespace sluice::serving
