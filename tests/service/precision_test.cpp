// ?precision=fast, and the same in bodies: under /v1, /v2 and in answers.
#include "service_testing.hpp"
#include "testing.hpp"
#include "v2_testing.hpp"

using namespace testing;
using sluice::dtype;
using sluice::precision;

namespace {

// An application's endpoint that answers 1 for fine, 2 for coarse.
sluice::endpoint grain() {
  return {.name = "grain",
          .inputs = {{.name = "a"}},
          .outputs = {{.name = "result"}},
          .run =
              [](std::span<const tensor>, const sluice::call_context& c) {
                REQUIRE((c.precision == "fine" || c.precision == "coarse"));
                return std::vector{tensor::full({1}, c.precision == "fine" ? 1 : 2)};
              },
          .precisions = {{"fine", "As it is"}, {"coarse"}}};
}

const std::string product = R"("a":[[1,2],[3,4]],"b":[[5,6],[7,8]])";
const std::string both = cat("{", product, "}");

std::string precision_of(const sluice::response& r) {
  CHECK(r.status == 200);
  return std::string(r.header("X-Sluice-Precision"));
}

std::string text_part(std::string_view name, std::string_view text) {
  return cat("--cut\r\nContent-Disposition: form-data; name=\"", name, "\"\r\n\r\n", text, "\r\n");
}

}  // namespace

TEST_CASE("a product has the precision that the query or the body asks for, and its answer names it") {
  sluice::service s;
  const auto answer = [](std::string_view name) {
    return cat(R"({"result":[[19,22],[43,50]],"shape":[2,2],"dtype":"f32","device":"cpu","precision":")", name, R"("})");
  };
  auto r = ask(s, "/v1/matmul", "", both);
  CHECK(r.text() == answer("strict"));
  CHECK(precision_of(r) == "strict");
  for (const char* name : {"strict", "fast", "tensor_core"}) {
    CAPTURE(name);
    const auto query = cat("precision=", name), member = cat(R"("precision":")", name, R"(")");
    // The general parser reads the last one, for its escape.
    for (const auto& body : {cat("{", product, ",", member, "}"), cat("{", member, ",", product, "}"),
                             cat("{", product, R"(,"dtype":"f32",)", member, "}"),
                             cat("{", product, R"(,"\u0070recision":")", name, R"("})")}) {
      CAPTURE(body);
      CHECK(ask(s, "/v1/matmul", "", body).text() == answer(name));
      CHECK(ask(s, "/v1/matmul", query, body).text() == answer(name));
    }
    r = ask(s, "/v1/matmul", query, both);
    CHECK(r.text() == answer(name));
    CHECK(r.header("X-Sluice-Reason").ends_with(cat("; precision ", name)) == (std::string_view(name) != "strict"));

    const auto a = sluice::encode_npy(tensor::of<float>({{1, 2}, {3, 4}}));
    const auto parts = cat(part("a", a), part("b", a));
    r = ask(s, "/v1/matmul", query, cat(parts, "--cut--\r\n"), multipart_type);
    CHECK(r.header("Content-Type") == "application/x-npy");
    CHECK(precision_of(r) == name);
    CHECK(precision_of(ask(s, "/v1/matmul", "", cat(text_part("precision", name), parts, "--cut--\r\n"), multipart_type)) ==
          name);
    CHECK(precision_of(ask(s, "/v1/matmul", "", cat(parts, text_part("precision", name), "--cut--\r\n"), multipart_type)) ==
          name);
  }
  CHECK(ask(s, "/v1/rowsum", "", R"({"a":[[1,2]]})").text() == R"({"result":[3],"shape":[1],"dtype":"f32","device":"cpu"})");
  CHECK(precision_of(ask(s, "/v1/rowsum", "", R"({"a":[[1,2]]})")).empty());
}

TEST_CASE("models of the Open Inference Protocol take it as a parameter, and name it among those of the answer") {
  sluice::service s;
  const auto inputs =
      cat(input("a", "FP32", "[1,2]", R"("data":[1,2])"), ",", input("b", "FP32", "[2,1]", R"("data":[3,4])"));
  const auto with = [&](std::string_view parameters) { return request(inputs, cat(R"(,"parameters":{)", parameters, "}")); };
  const auto named = [](const sluice::response& r, std::string_view name) {
    CHECK(precision_of(r) == name);
    CHECK(r.text().find(cat(R"("parameters":{"device":"cpu","precision":")", name, R"(")")) != std::string::npos);
    CHECK(r.text().find(R"("data":[11])") != std::string::npos);
  };
  named(infer(s, "matmul", with("")), "strict");
  named(infer(s, "matmul", with(R"("precision":null)")), "strict");
  named(infer(s, "matmul", with(R"("precision":"fast","priority":1,"mine":2)")), "fast");
  named(ask(s, "/v2/models/matmul/infer", "precision=tensor_core", with("")), "tensor_core");
  named(ask(s, "/v2/models/matmul/infer", "precision=fast", with(R"("precision":"fast")")), "fast");

  check_error(infer(s, "matmul", with(R"("precision":"fats")")), 400, "it must be strict or fast or tensor_core");
  check_error(infer(s, "matmul", with(R"("precision":1)")), 400, "precision");
  check_error(infer(s, "matmul", with(R"("precision":"fast","precision":"fast")")), 400, "twice");
  check_error(ask(s, "/v2/models/matmul/infer", "precision=fast", with(R"("precision":"strict")")), 400, "fast as well");
  const auto sums = request(input("a", "FP32", "[1,2]", R"("data":[1,2])"), R"(,"parameters":{"precision":"fast"})");
  check_error(infer(s, "rowsum", sums), 400, "no choice of it");
}

TEST_CASE("what is no precision of the endpoint is refused, with those that there are") {
  sluice::service s;
  const auto wrong = "it must be strict or fast or tensor_core";
  check_problem(ask(s, "/v1/matmul", "precision=exact", both), 400, wrong);
  check_problem(ask(s, "/v1/matmul", "precision=", both), 400, wrong);
  check_problem(ask(s, "/v1/matmul", "precision=Fast", both), 400, wrong);
  check_problem(ask(s, "/v1/matmul", "precision=fast&precision=fast", both), 400, "twice");
  for (const std::string key : {"precision", "\\u0070recision"}) {  // by either parser
    const auto body = [&](std::string more) {
      for (std::size_t at = 0; (at = more.find("precision", at)) != more.npos; at += key.size()) more.replace(at, 9, key);
      return cat("{", product, ",", more, "}");
    };
    check_problem(ask(s, "/v1/matmul", "", body(R"("precision":"exact")")), 400, wrong);
    check_problem(ask(s, "/v1/matmul", "", body(R"("precision":2)")), 422, "not a string");
    check_problem(ask(s, "/v1/matmul", "", body(R"("precision":"fast","precision":"fast")")), 422, "twice");
    check_problem(ask(s, "/v1/matmul", "precision=strict", body(R"("precision":"fast")")), 400, "strict as well");
  }
  const auto a = sluice::encode_npy(tensor::of<float>({{1}}));
  const auto parts = cat(part("a", a), part("b", a), text_part("precision", "exact"));
  check_problem(ask(s, "/v1/matmul", "", cat(parts, "--cut--"), multipart_type), 400, wrong);
  const auto twice = cat(part("a", a), part("b", a), text_part("precision", "fast"), text_part("precision", "fast"));
  check_problem(ask(s, "/v1/matmul", "", cat(twice, "--cut--"), multipart_type), 422, "twice");
  // An endpoint without a choice.
  check_problem(ask(s, "/v1/rowsum", "precision=strict", R"({"a":[[1]]})"), 422, "this endpoint gives no choice of it");
  check_problem(ask(s, "/v1/rowsum", "", R"({"a":[[1]],"precision":"strict"})"), 422, "not known");
}

TEST_CASE("an endpoint of the application's own may give the choice, and sees what was asked for") {
  sluice::service s;
  s.add(grain());
  CHECK(result(ask(s, "/v1/grain", "", R"({"a":0})")) == "[1]");
  CHECK(result(ask(s, "/v1/grain", "precision=coarse", R"({"a":0})")) == "[2]");
  CHECK(result(ask(s, "/v1/grain", "", R"({"a":0,"precision":"coarse"})")) == "[2]");
  CHECK(ask(s, "/v1/grain", "precision=coarse", R"({"a":0})").text().find(R"("precision":"coarse")") != std::string::npos);
  check_problem(ask(s, "/v1/grain", "precision=fast", R"({"a":0})"), 400, "it must be fine or coarse");

  auto row = grain();
  row.name = "other";
  row.inputs[0].name = "precision";
  CHECK_REFUSED(s.add(row), invalid_argument, "taken or reserved");
  row.precisions.clear();  // then the name is free
  row.run = [](std::span<const tensor> in, const sluice::call_context& c) {
    CHECK(c.precision.empty());
    return std::vector{in[0]};
  };
  s.add(row);
  CHECK(result(ask(s, "/v1/other", "", R"({"precision":[7]})")) == "[7]");
  row = grain();
  row.name = "third";
  row.precisions = {{"a"}, {"a"}};
  CHECK_REFUSED(s.add(row), invalid_argument, "twice");
  row.precisions = {{"no!"}};
  CHECK_REFUSED(s.add(row), invalid_argument, "no!");
}

TEST_CASE("the document has the choice of each endpoint") {
  sluice::service s;
  s.add(grain());
  const auto document = send(s, "GET", "/openapi.json").text();
  const auto of = [&](std::string_view begin, std::string_view end) {
    const auto at = document.find(cat("\"", begin, "\":"));
    REQUIRE(at != document.npos);
    return document.substr(at, document.find(end, at) - at);
  };
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != text.npos; };
  const std::string_view values = R"("enum":["strict","fast","tensor_core"],"default":"strict")";
  for (const char* path : {"/v1/matmul", "/v2/models/matmul/infer"}) {
    const auto route = of(path, R"("422")");
    CHECK(has(route, R"({"name":"precision","in":"query")"));
    CHECK(has(route, values));
    CHECK(has(route, "X-Sluice-Precision"));
  }
  CHECK(has(of("/v1/grain", R"("422")"),
            R"("enum":["fine","coarse"],"default":"fine","description":"fine: As it is. coarse")"));
  CHECK_FALSE(has(of("/v1/rowsum", R"("422")"), "recision"));
  CHECK_FALSE(has(of("/v2/models/rowsum/infer", R"("429")"), "recision"));
  CHECK(has(of("matmul.call", R"("rowsum.)"), values));
  CHECK(has(of("matmul.infer", R"("rowsum.)"), values));
  CHECK(has(of("matmul.result", R"("rowsum.)"), R"("device","precision"])"));
}
