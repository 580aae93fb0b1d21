// /openapi.json against what is answered, and the page that is drawn from it. (openapi_test.py has its peers' word on it.)
#include "files.hpp"
#include "service_testing.hpp"
#if SLUICE_TEST_JOBS
#include "sluice/jobs.hpp"
#endif

#include <regex>
#include <set>

#include <simdjson.h>

using namespace testing;
namespace dom = simdjson::dom;

namespace {

sluice::endpoint twice() {
  return {.name = "twice",
          .summary = "\"Twice\" <b>a</b> matrix",
          .inputs = {{.name = "a", .dtypes = {sluice::dtype::f32, sluice::dtype::i32}, .min_rank = 2, .max_rank = 3}},
          .outputs = {{.name = "first"}, {.name = "second"}},
          .run = [](std::span<const sluice::tensor> in, const sluice::call_context&) {
            return std::vector{in[0], in[0]};
          }};
}

struct opened {
  explicit opened(sluice::service& s) : text(send(s, "GET", "/openapi.json").text()), root(parser.parse(text)) {}
  dom::element operator[](std::string_view pointer) const { return root.at_pointer(pointer); }
  bool has(std::string_view pointer) const { return root.at_pointer(pointer).error() == simdjson::SUCCESS; }

  // visit(method, path, operation) for each operation
  template <class F>
  void each(F visit) const {
    for (const auto [path, item] : root["paths"].get_object())
      for (const auto [method, operation] : item.get_object()) {
        std::string upper(method);
        for (char& c : upper) c = static_cast<char>(c - 32);
        visit(upper, std::string(path), operation);
      }
  }

  dom::parser parser;
  std::string text;
  dom::element root;
};

// The path with something that is there for each parameter.
std::string filled_in(const std::string& path, dom::element operation) {
  std::string out = path;
  dom::array parameters;
  if (operation["parameters"].get(parameters)) return out;
  for (const auto p : parameters) {
    if (std::string_view(p["in"]) != "path") continue;
    std::string_view value = "x";
    if (p["schema"]["enum"].at(0).get(value) && p["schema"]["const"].get(value)) value = "x";
    const auto name = cat("{", std::string_view(p["name"]), "}");
    out.replace(out.find(name), name.size(), value);
  }
  return out;
}

template <class F>
void each_ref(dom::element e, F visit) {
  if (e.is_array())
    for (const auto one : e.get_array()) each_ref(one, visit);
  if (e.is_object())
    for (const auto [key, value] : e.get_object()) {
      if (key == "$ref") visit(std::string(value.get_string().value()));
      each_ref(value, visit);
    }
}

void check_both_ways(sluice::service& s) {
  s.add(twice());
  const opened document(s);
  std::set<std::string> paths, ids;
  document.each([&](const std::string& method, const std::string& path, dom::element operation) {
    const auto asked = filled_in(path, operation);
    CAPTURE(method);
    CAPTURE(asked);
    CHECK(ids.insert(std::string(operation["operationId"].get_string().value())).second);
    paths.insert(asked);
    const auto got = send(s, method, asked);
    CAPTURE(got.text());
    CHECK(operation["responses"][std::to_string(got.status)].error() == simdjson::SUCCESS);
    if (got.status != 200) return;
    const auto type = got.header("Content-Type");
    CHECK(operation["responses"]["200"]["content"][type.substr(0, type.find(';'))].error() == simdjson::SUCCESS);
  });
  for (const auto& path : paths) {
    CAPTURE(path);
    const auto got = send(s, "PATCH", path);
    CHECK((got.status == 405 || (got.status == 404 && path.find("/region/") != path.npos)));
  }
  for (const auto& pattern : s.patterns()) {
    CAPTURE(pattern);
    if (pattern.starts_with("/v1/jobs") && send(s, "GET", "/v1/jobs").status == 501) continue;  // that says it all
    CHECK(std::any_of(paths.begin(), paths.end(), [&](const auto& p) { return std::regex_match(p, std::regex(pattern)); }));
  }
  for (const auto& path : paths) {
    CAPTURE(path);
    const auto patterns = s.patterns();
    CHECK(
        std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return std::regex_match(path, std::regex(p)); }));
  }
}

}  // namespace

TEST_CASE("each row of the catalogue is in the document, an application's own too") {
  sluice::service s;
  CHECK(!opened(s).has("/paths/~1v1~1twice"));
  s.add(twice());
  const opened document(s);
  CHECK(std::string_view(document["/openapi"]) == "3.1.0");
  for (const auto& row : s.endpoints()) {
    CAPTURE(row->name);
    CHECK(std::string_view(document[cat("/paths/~1v1~1", row->name, "/post/summary")]) == row->summary);
    CHECK(std::string_view(document[cat("/paths/~1v2~1models~1", row->name, "~1infer/post/summary")]) == row->summary);
    const auto example = document[cat("/paths/~1v1~1", row->name, "/post/requestBody/content/application~1json/example")];
    CHECK(post(s, row->name, simdjson::to_string(example)).status == 200);
    const auto asked = cat("/v2/models/", row->name, "/infer");
    const auto inference =
        document[cat("/paths/~1v2~1models~1", row->name, "~1infer/post/requestBody/content/application~1json/example")];
    CHECK(send(s, "POST", asked, simdjson::to_string(inference)).status == 200);
  }
  const auto properties = document["/components/schemas/twice.call/properties"];
  CHECK(properties["a"]["anyOf"].get_array().size() == 2);  // ranks 2 and 3
  CHECK(simdjson::minify(properties["dtype"]["enum"]) == R"(["f32","i32"])");
  CHECK(simdjson::minify(document["/components/schemas/twice.result/required"]) == R"(["first","second","device"])");
  // Two results have no .npy.
  CHECK(!document.has("/paths/~1v1~1twice/post/responses/200/content/application~1x-npy"));
  CHECK(document.has("/paths/~1v1~1rowsum/post/responses/200/content/application~1x-npy"));
}

TEST_CASE("extents, labels and records are in the document") {
  using sluice::dtype;
  const auto labels = std::make_shared<const std::vector<std::string>>(2, "x");
  sluice::service s;
  const auto add = [&](std::string name, std::vector<std::int64_t> extents, int rank, std::string records) {
    s.add({.name = std::move(name),
           .inputs = {{.name = "a", .extents = std::move(extents)}},
           .outputs = {{.name = "label", .dtypes = {dtype::i64}, .min_rank = rank, .max_rank = rank, .labels = labels},
                       {.name = "p", .min_rank = rank, .max_rank = rank}},
           .run =
               [](std::span<const sluice::tensor> in, const sluice::call_context&) {
                 return std::vector{sluice::tensor::zeros({1}, dtype::i64), in[0].reshape({in[0].count()}).slice(0, 0, 1)};
               },
           .records = std::move(records)});
  };
  add("flat", {-1, 2, 3}, 1, "found");
  add("nested", {1, 3, 224, 224}, 2, "found");
  add("plain", {2}, 1, "");
  const opened document(s);
  const auto at = [&](std::string_view pointer) { return simdjson::minify(document[pointer]); };
  const std::string schemas = "/components/schemas/";
  CHECK(at(schemas + "flat.call/properties/a") ==
        R"({"type":"array","minItems":1,"items":{"type":"array","minItems":2,"maxItems":2,"items":)"
        R"({"type":"array","minItems":3,"maxItems":3,"items":{"type":"number"}}},)"
        R"("description":"Rows equally long, (-1, 2, 3), -1 for any extent"})");
  CHECK(at(schemas + "flat.result/required") == R"(["found","device"])");
  const std::string list = R"({"type":"array","items":{"$ref":"#/components/schemas/)";
  CHECK(at(schemas + "flat.result/properties/found") == cat(list, R"(flat.record"}})"));
  CHECK(at(schemas + "nested.result/properties/found") == cat(R"({"type":"array","items":)", list, R"(nested.record"}}})"));
  CHECK(at(schemas + "flat.record/properties/label") == R"({"type":"string"})");
  CHECK(at(schemas + "flat.record/properties/p/anyOf/0") == R"({"type":"number"})");
  CHECK(at(schemas + "plain.result/properties/label/properties/data") == R"({"$ref":"#/components/schemas/AnswerLabels"})");
  CHECK(at(schemas + "flat.infer/properties/inputs/items/oneOf/0/properties/shape/prefixItems") ==
        R"([{"type":"integer","minimum":0},{"const":2},{"const":3}])");
  CHECK(at(schemas + "InferenceResult/properties/outputs/items/properties/data/anyOf/1/items") == R"({"type":"string"})");
  // An example has the extents, and is left out where they make it a large one.
  const auto body = [](std::string_view path) {
    return cat("/paths/", path, "/post/requestBody/content/application~1json/");
  };
  CHECK(at(body("~1v1~1flat") + "example") == R"({"a":[[[1,2,3],[4,5,6]]]})");
  CHECK(post(s, "flat", at(body("~1v1~1flat") + "example")).text() == R"({"found":[{"label":"x","p":1}],"device":"cpu"})");
  const auto inference = at(body("~1v2~1models~1flat~1infer") + "example");
  CHECK(send(s, "POST", "/v2/models/flat/infer", inference).status == 200);
  for (const char* path : {"~1v1~1nested", "~1v2~1models~1nested~1infer"}) {
    CHECK(document.has(body(path) + "schema"));
    CHECK(!document.has(body(path) + "example"));
  }
  each_ref(document.root, [&](const std::string& to) { CHECK_MESSAGE(document.has(to.substr(1)), to); });
}

TEST_CASE("what is documented is answered, and what is answered is documented") {
  sluice::service s;
  check_both_ways(s);
  CHECK(!opened(s).has("/paths/~1v1~1jobs"));
}

#if SLUICE_TEST_JOBS
TEST_CASE("jobs are documented where there are any") {
  const folder here;
  sluice::service s;
  sluice::add_jobs(s, {.folder = here / "jobs"});
  check_both_ways(s);
  CHECK(opened(s).has("/paths/~1v1~1jobs/post/responses/202"));
}
#endif

TEST_CASE("every reference leads somewhere") {
  sluice::service s({.tokens = {"t"}});
  const opened document(s);
  int references = 0;
  each_ref(document.root, [&](const std::string& to) {
    CAPTURE(to);
    CHECK(document.has(to.substr(1)));
    ++references;
  });
  CHECK(references > 100);
}

TEST_CASE("with tokens, data need one, and the document says so") {
  sluice::service s({.tokens = {"t"}});
  const opened document(s);
  document.each([&](const std::string& method, const std::string& path, dom::element operation) {
    const auto asked = filled_in(path, operation);
    CAPTURE(asked);
    const bool open = operation["security"].error() == simdjson::SUCCESS;
    CHECK((send(s, method, asked).status == 401) == !open);
    CHECK((operation["responses"]["401"].error() == simdjson::SUCCESS) == !open);
  });
  CHECK(!opened(*std::make_unique<sluice::service>()).has("/security"));
}

TEST_CASE("documents are asked for again with their tags") {
  sluice::service s;
  for (const char* path : {"/openapi.json", "/docs", "/docs/page.js", "/docs/icon.svg"}) {
    CAPTURE(path);
    const auto first = send(s, "GET", path);
    REQUIRE(first.status == 200);
    CHECK(first.header("Cache-Control") == "no-cache");
    const std::string tag(first.header("ETag"));
    const auto again = send(s, "GET", path, {}, {{"If-None-Match", tag}});
    CHECK(again.status == 304);
    CHECK(again.size() == 0);
    CHECK(again.header("ETag") == tag);
    CHECK(send(s, "GET", path, {}, {{"If-None-Match", "\"other\""}}).status == 200);
    check_problem(send(s, "POST", path), 405, "GET, HEAD");
  }
  const std::string before(send(s, "GET", "/openapi.json").header("ETag"));
  s.add(twice());
  CHECK(send(s, "GET", "/openapi.json", {}, {{"If-None-Match", before}}).status == 200);
}

TEST_CASE("the page loads nothing from elsewhere, and runs no script but its own files") {
  sluice::service s;
  const auto page = send(s, "GET", "/docs");
  CHECK(page.header("Content-Type") == "text/html; charset=utf-8");
  const auto policy = page.header("Content-Security-Policy");
  CHECK(policy.find("default-src 'none'; script-src 'self'; style-src 'self';") != policy.npos);
  CHECK(policy.find("unsafe") == policy.npos);
  CHECK(page.header("X-Content-Type-Options") == "nosniff");
  const std::string text = page.text();
  CHECK(!std::regex_search(text, std::regex(R"(\son[a-z]+=|\sstyle=|<style|://|<script>)")));
  // Every part that a part names is there.
  std::set<std::string> parts;
  const auto collect = [&](const std::string& from, const char* pattern) {
    const std::regex expression(pattern);
    for (std::sregex_iterator it(from.begin(), from.end(), expression), end; it != end; ++it) parts.insert((*it)[1]);
  };
  collect(text, R"del("docs/([^"]+)")del");
  CHECK(parts.size() == 3);
  for (const std::string script : {"page.js", "overview.js", "routes.js", "send.js", "charts.js"}) {
    const auto code = send(s, "GET", cat("/docs/", script));
    CHECK(code.header("Content-Type") == "text/javascript; charset=utf-8");
    CHECK(code.text().find("innerHTML") == std::string::npos);
    collect(code.text(), R"(from '\./([^']+)')");
  }
  CHECK(parts.size() == 10 - 1);
  for (const auto& part : parts) CHECK(send(s, "GET", cat("/docs/", part)).status == 200);
  check_problem(send(s, "GET", "/docs/other.js"), 404, "/docs/other.js");
}

TEST_CASE("documents can be switched off") {
  sluice::service s({.docs = false});
  for (const char* path : {"/openapi.json", "/docs", "/docs/page.js"}) CHECK(send(s, "GET", path).status == 404);
  for (const auto& pattern : s.patterns()) CHECK(pattern.find("docs") == pattern.npos);
}
