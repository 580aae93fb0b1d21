#include "openapi/document.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "sluice/config.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

struct named {
  std::string_view name, text;
};
constexpr std::array headers{
    named{"X-Request-Id", "The request's own, or one made for it; the access log has it"},
    named{"X-Sluice-Device", "The device that computed the answer"},
    named{"X-Sluice-Predicted", "Seconds that it was predicted to take there, where that is known"},
    named{"X-Sluice-Reason", "Why it was computed there"},
    named{"Inference-Header-Content-Length", "Bytes of JSON before the binary tensors"},
    named{"Content-Encoding", "gzip or deflate, for a client that accepts it"},
    named{"Location", "Where it is to be found"},
    named{"Retry-After", "Seconds after which to ask again"},
    named{"WWW-Authenticate", "What is wrong with the token"},
    named{"ETag", "Stays the same while the bytes do; If-None-Match takes it"},
    named{"Cache-Control", "How long a copy may be kept"},
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

// {"a":...,"b":...} in the order of adding.
class object {
 public:
  object& put(std::string_view key, std::string_view json) {
    text_ += fmt::format("{}{}:{}", text_.size() > 1 ? "," : "", json_string(key), json);
    return *this;
  }
  object& text(std::string_view key, std::string_view value) { return value.empty() ? *this : put(key, json_string(value)); }
  object& raw(std::string_view key, std::string_view json) { return json.empty() ? *this : put(key, json); }
  [[nodiscard]] bool empty() const noexcept { return text_.size() == 1; }
  [[nodiscard]] std::string str() const { return text_ + '}'; }

 private:
  std::string text_ = "{";
};

std::string list(const std::vector<std::string>& items) { return fmt::format("[{}]", fmt::join(items, ",")); }

std::string pointer(std::string_view kind, std::string_view name) {
  return fmt::format(R"({{"$ref":"#/components/{}/{}"}})", kind, name);
}

std::string contents(const std::vector<content>& bodies) {
  object all;
  for (const auto& b : bodies) {
    object one;
    one.raw("schema", b.schema).raw("example", b.example);
    all.put(b.type, one.str());
  }
  return all.str();
}

std::string headers_json(const std::vector<std::string>& names) {
  object all;
  all.put("X-Request-Id", pointer("headers", "X-Request-Id"));
  for (const auto& name : names) {
    const bool known = std::any_of(headers.begin(), headers.end(), [&](const named& h) { return h.name == name; });
    all.put(name, known ? pointer("headers", name) : R"({"schema":{"type":"string"}})");
  }
  return all.str();
}

std::string answer_json(const reply& a) {
  object one;
  one.text("description", a.summary).put("headers", headers_json(a.headers));
  if (!a.bodies.empty()) one.put("content", contents(a.bodies));
  return one.str();
}

std::string refusal_name(const std::string& schema, int status) { return fmt::format("{}{}", schema, status); }

std::string refusal_json(const std::string& schema, int status) {
  const auto& m = meaning_of(status);
  std::vector<std::string> more;
  if (!m.header.empty()) more.emplace_back(m.header);
  return answer_json(
      {status,
       std::string(m.text),
       {{.type = schema == "Problem" ? "application/problem+json" : "application/json", .schema = schema_ref(schema)}},
       more});
}

std::string parameter_json(const parameter& p) {
  object one;
  one.text("name", p.name).text("in", p.in).text("description", p.summary);
  if (p.required || p.in == "path") one.put("required", "true");
  one.put("schema", p.schema).raw("example", p.example);
  return one.str();
}

// "post_v1_jobs_id"
std::string id_of(const operation& o) {
  std::string id;
  for (const char c : o.method) id += static_cast<char>(c + ('a' - 'A'));
  for (const char c : o.path)
    if (c == '/' || c == '.')
      id += '_';
    else if (c != '{' && c != '}')
      id += c;
  return id;
}

std::string operation_json(const operation& o, bool secured) {
  object one;
  one.text("operationId", id_of(o)).put("tags", list({json_string(o.tag)})).text("summary", o.summary);
  one.text("description", o.description);
  std::vector<std::string> parameters;
  for (const auto& p : o.parameters) parameters.push_back(parameter_json(p));
  if (!parameters.empty()) one.put("parameters", list(parameters));
  if (!o.takes.empty()) {
    object body;
    body.put("required", o.needs_body ? "true" : "false").put("content", contents(o.takes));
    one.put("requestBody", body.str());
  }
  object answers;
  std::set<int> given, refused(o.refusals.begin(), o.refusals.end());
  for (const auto& a : o.gives)
    if (given.insert(a.status).second) answers.put(std::to_string(a.status), answer_json(a));
  for (const int status : refused)
    if (!given.contains(status)) answers.put(std::to_string(status), pointer("responses", refusal_name(o.refusal, status)));
  one.put("responses", answers.str());
  if (secured && o.open) one.put("security", "[]");
  return one.str();
}

constexpr std::string_view problem_schema =
    R"({"type":"object","description":"RFC 9457","required":["type","title","status","detail","code"],"properties":{)"
    R"("type":{"const":"about:blank"},"title":{"type":"string"},"status":{"type":"integer","minimum":400,"maximum":599},)"
    R"("detail":{"type":"string","description":"What was wrong, with its numbers"},)"
    R"("code":{"type":"string","description":"For programs; it stays as it is"}},)"
    R"("examples":[{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":)"
    R"("[matmul] a is (2, 3), b is (2, 2): extent 1 of a must equal extent 0 of b",
    "code" : "invalid_argument"
}]
})";

}  // namespace

std::string schema_ref(std::string_view name) { return pointer("schemas", name); }

parameter timeout_parameter() {
  return {.name = "X-Request-Timeout",
          .summary = "Seconds after the request came within which it is to begin; past it 504",
          .schema = R"({"type":"number","minimum":0})",
          .example = "30"};
}

void document::add(operation o) {
  o.refusals.insert(o.refusals.end(), {400, 500, 503});
  if (secured_ && !o.open) o.refusals.push_back(401);
  operations_.push_back(std::move(o));
}

void document::schema(const std::string& name, std::string json) { schemas_[name] = std::move(json); }
void document::tag(std::string name, std::string summary) { tags_.emplace_back(std::move(name), std::move(summary)); }

std::string document::text() const {
  std::vector<std::string> order;
  std::map<std::string, object> paths;
  object responses, schemas, header_object;
  std::set<std::string> response_names;
  for (const auto& o : operations_) {
    std::string method = o.method;
    for (char& c : method) c = static_cast<char>(c + ('a' - 'A'));
    if (paths[o.path].empty()) order.push_back(o.path);
    paths[o.path].put(method, operation_json(o, secured_));
    for (const int status : o.refusals)
      if (response_names.insert(refusal_name(o.refusal, status)).second)
        responses.put(refusal_name(o.refusal, status), refusal_json(o.refusal, status));
  }
  object all_paths;
  for (const auto& path : order) all_paths.put(path, paths[path].str());
  schemas.put("Problem", problem_schema);
  for (const auto& [name, json] : schemas_) schemas.put(name, json);
  for (const auto& h : headers)
    header_object.put(h.name, fmt::format(R"({{"description":{},"schema":{{"type":"string"}}}})", json_string(h.text)));
  std::vector<std::string> tags;
  for (const auto& [name, summary] : tags_)
    tags.push_back(fmt::format(R"({{"name":{},"description":{}}})", json_string(name), json_string(summary)));

  object components;
  components.put("schemas", schemas.str()).put("responses", responses.str()).put("headers", header_object.str());
  if (secured_) components.put("securitySchemes", R"({"bearer":{"type":"http","scheme":"bearer"}})");
  object root;
  root.text("openapi", "3.1.0");
  root.put("info",
           fmt::format(R"({{"title":"sluice","version":"{}","description":{}}})", SLUICE_VERSION_STRING,
                       json_string("Numeric work over HTTP, each piece on the device where it is done soonest. HEAD is "
                                   "answered wherever GET is. A server may refuse what is no proper HTTP before it gets "
                                   "here: 408, 411, 413, 414, 415, 417, 431 or 501.")));
  // Relative: whatever the service is mounted below, and whoever stands before it.
  root.put("servers", R"([{"url":"."}])");
  if (!tags.empty()) root.put("tags", list(tags));
  root.put("paths", all_paths.str()).put("components", components.str());
  if (secured_) root.put("security", R"([{"bearer":[]}])");
  return root.str();
}

}  // namespace sluice::serving
