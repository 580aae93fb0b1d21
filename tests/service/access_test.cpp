// Who may ask, and what is told of who did: tokens, other origins, request ids, traces, the access log.
#include "service_testing.hpp"

#include <set>
#include <stdexcept>

using namespace testing;

namespace {

constexpr auto sums = R"({"a":[[1,2],[3,4]]})";
constexpr std::string_view trace_id = "0af7651916cd43dd8448eb211c80319c", span_id = "b7ad6b7169203331";

std::string count_of(const sluice::response& r, std::string_view name) {
  std::string all;
  for (const auto& [key, value] : r.headers)
    if (key == name) all += value + ";";
  return all;
}

struct told {
  std::string request_id, trace_id, span_id, method, route, device, client, json;
  int status = 0;
  std::int64_t bytes_in = 0, bytes_out = 0;
};

// A service that keeps what it told last.
struct logged {
  explicit logged(sluice::service_options o = {})
      : service([this, &o] {
          o.on_request = [this](const sluice::access_record& r) {
            last = {std::string(r.request_id),
                    std::string(r.trace_id),
                    std::string(r.span_id),
                    std::string(r.method),
                    std::string(r.route),
                    std::string(r.device),
                    std::string(r.client),
                    r.json(),
                    r.status,
                    r.bytes_in,
                    r.bytes_out};
          };
          return o;
        }()) {}
  told last;
  sluice::service service;
};

}  // namespace

TEST_CASE("bearer tokens") {
  logged s({.tokens = {"first-token", "other-one"}});
  const auto status = [&](headers with, std::string path = "/v1/devices") {
    return send(s.service, "GET", std::move(path), {}, std::move(with)).status;
  };
  CHECK(status({{"Authorization", "Bearer first-token"}}) == 200);
  CHECK(status({{"Authorization", "bearer  other-one"}}) == 200);
  for (const char* wrong :
       {"Bearer", "Bearer ", "Bearer firs", "Bearer first-token2", "Bearer first-tokem", "Bearer other-oneother-one",
        "Basic other-one", "other-one", "Bearer other-one other-one", "Bearerxother-one"}) {
    CAPTURE(wrong);
    CHECK(status({{"Authorization", wrong}}) == 401);
    CHECK(s.last.json.find("other-one") == std::string::npos);
  }
  for (const std::string path : {"/metrics", "/v1/rowsum", "/v2", "/v2/models/matmul/ready", "/nothing"})
    CHECK(status({}, path) == 401);
  for (const std::string path : {"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
    CHECK(status({}, path) == 200);
  const auto none = post(s.service, "rowsum", sums);
  check_problem(none, 401, "token");
  CHECK(none.header("WWW-Authenticate") == "Bearer");
  const auto wrong = send(s.service, "GET", "/metrics", {}, {{"Authorization", "Bearer x"}});
  CHECK(wrong.header("WWW-Authenticate") == R"(Bearer error="invalid_token")");
  for (const char* bad : {"", "two words", "n\xc3\xa9", "tab\t"}) {
    try {
      sluice::service never({.tokens = {"fine", bad}});
      FAIL("taken");
    } catch (const sluice::error& e) {
      CHECK(std::string(e.what()).find("tokens[1]") != std::string::npos);
      CHECK(std::string(e.what()).find("words") == std::string::npos);
    }
  }
}

TEST_CASE("web pages of other origins") {
  const headers preflight{{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}};
  const headers page{{"Origin", "https://a.example"}};
  sluice::service off;
  CHECK(send(off, "OPTIONS", "/v1/rowsum", {}, preflight).status == 405);
  CHECK(count_of(post(off, "rowsum", sums, page), "Access-Control-Allow-Origin").empty());
  CHECK(count_of(post(off, "rowsum", sums, page), "Vary").empty());

  sluice::service on({.tokens = {"token"}, .origins = {"https://a.example"}});
  const auto allowed = send(on, "OPTIONS", "/v1/rowsum", {}, preflight);  // browsers send no token with it
  CHECK(allowed.status == 204);
  CHECK(allowed.size() == 0);
  CHECK(count_of(allowed, "Access-Control-Allow-Origin") == "https://a.example;");
  CHECK(allowed.header("Access-Control-Allow-Methods").find("POST") != std::string_view::npos);
  CHECK(allowed.header("Access-Control-Allow-Headers").find("Authorization") != std::string_view::npos);
  const auto answer = post(on, "rowsum", sums, {{"Origin", "https://a.example"}, {"Authorization", "Bearer token"}});
  CHECK(answer.status == 200);
  CHECK(count_of(answer, "Access-Control-Allow-Origin") == "https://a.example;");
  CHECK(count_of(answer, "Vary") == "Origin;");
  const auto refused = post(on, "rowsum", sums, page);  // the page may read why
  CHECK(refused.status == 401);
  CHECK(count_of(refused, "Access-Control-Allow-Origin") == "https://a.example;");
  for (const char* other : {"https://b.example", "https://a.example.org", "http://a.example", "null", "https://A.example"}) {
    CAPTURE(other);
    CHECK(send(on, "OPTIONS", "/v1/rowsum", {}, {{"Origin", other}, {"Access-Control-Request-Method", "POST"}}).status ==
          401);
    CHECK(count_of(post(on, "rowsum", sums, {{"Origin", other}}), "Access-Control-Allow-Origin").empty());
  }
  sluice::service all({.origins = {"*"}});
  CHECK(count_of(post(all, "rowsum", sums, page), "Access-Control-Allow-Origin") == "*;");
  CHECK_THROWS_AS(sluice::service({.origins = {"two words"}}), sluice::error);
}

TEST_CASE("what is told of a request") {
  logged s;
  const auto answer = s.service.handle({.method = "POST", .path = "/v1/rowsum", .client = "10.0.0.7", .body = sums});
  CHECK(s.last.method == "POST");
  CHECK(s.last.route == "rowsum");
  CHECK(s.last.status == 200);
  CHECK(s.last.device == "cpu");
  CHECK(s.last.client == "10.0.0.7");
  CHECK(s.last.bytes_in == static_cast<std::int64_t>(std::string_view(sums).size()));
  CHECK(s.last.bytes_out == static_cast<std::int64_t>(answer.size()));
  for (const char* piece :
       {R"("time":"20)", R"("method":"POST","route":"rowsum","status":200,)", R"(,"device":"cpu","client":"10.0.0.7"})"}) {
    CAPTURE(s.last.json);
    CHECK(s.last.json.find(piece) != std::string::npos);
  }
  static_cast<void>(send(s.service, "BR\"EW\n", "/v1/\"secret\n"));
  CHECK(s.last.method == "other");
  CHECK(s.last.route == "none");
  CHECK(s.last.status == 404);
  CHECK(s.last.json.find("secret") == std::string::npos);

  sluice::service throwing({.on_request = [](const sluice::access_record&) { throw std::runtime_error("full"); }});
  CHECK(post(throwing, "rowsum", sums).status == 200);
}

TEST_CASE("request ids: the client's when it is sane") {
  logged s;
  const std::string longest(64, 'a');
  for (const std::string& id : {std::string("a"), std::string("A1-b2"), longest}) {
    CHECK(post(s.service, "rowsum", sums, {{"X-Request-Id", id}}).header("X-Request-Id") == id);
    CHECK(s.last.request_id == id);
  }
  std::set<std::string> made;
  for (const std::string& id : {std::string(), longest + "a", std::string("a b"), std::string("a\"b"),
                                std::string("a\r\nX: y"), std::string("a_b"), std::string("\xc3\xa9")}) {
    const auto got = post(s.service, "rowsum", sums, {{"X-Request-Id", id}});
    CHECK(got.header("X-Request-Id").size() == 32);
    CHECK(s.last.request_id == got.header("X-Request-Id"));
    made.insert(s.last.request_id);
  }
  CHECK(made.size() == 7);
}

TEST_CASE("traceparent: taken when it is well formed, and else begun anew") {
  logged s;
  std::string passed;
  s.service.add({.name = "ask",
                 .summary = "Keeps what it would pass on",
                 .inputs = {{.name = "a"}},
                 .outputs = {{.name = "result"}},
                 .run = [&](std::span<const sluice::tensor> in, const sluice::call_context& c) {
                   passed = cat(c.traceparent, " ", c.request_id);
                   return std::vector{in[0]};
                 }});
  const auto traced = [&](const std::string& parent) {
    REQUIRE(post(s.service, "ask", R"({"a":[1]})", {{"traceparent", parent}, {"X-Request-Id", "id"}}).status == 200);
    CHECK(s.last.span_id.size() == 16);
    CHECK(s.last.span_id != span_id);
    CHECK(passed.substr(0, 53) == cat("00-", s.last.trace_id, "-", s.last.span_id, "-"));
    CHECK(passed.substr(55) == " id");
    return s.last.trace_id;
  };
  const std::string good = cat("00-", trace_id, "-", span_id, "-01");
  CHECK(traced(good) == trace_id);
  CHECK(passed.substr(53, 2) == "01");
  CHECK(traced(cat("00-", trace_id, "-", span_id, "-fe")) == trace_id);
  CHECK(passed.substr(53, 2) == "00");
  CHECK(traced(cat("cc-", trace_id, "-", span_id, "-01")) == trace_id);  // a version to come
  CHECK(traced(cat("cc-", trace_id, "-", span_id, "-01-what is new")) == trace_id);
  const std::string zeros(32, '0');
  for (const std::string& bad :
       {std::string(), good.substr(0, 54), good + "-more", good + "0", cat("ff-", trace_id, "-", span_id, "-01"),
        cat("00-", zeros, "-", span_id, "-01"), cat("00-", trace_id, "-", zeros.substr(16), "-01"),
        cat("00-0AF7651916CD43DD8448EB211C80319C-", span_id, "-01"), cat("00_", trace_id, "-", span_id, "-01"),
        cat("00-", trace_id, "-", span_id, "-0x"), cat("0g-", trace_id, "-", span_id, "-01"),
        cat("cc-", trace_id, "-", span_id, "-01x"), cat(" ", good)}) {
    CAPTURE(bad);
    const auto id = traced(bad);
    CHECK(id != trace_id);
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of('0') != std::string::npos);
    CHECK(passed.substr(53, 2) == "00");
  }
}
