// The service on a real socket, beside an application's own routes: what goes well, and what a client may do to it.
#include "gzip.hpp"
#include "httplib_testing.hpp"
#include "wire.hpp"

#include <atomic>

using namespace testing;

namespace {

std::string post_head(std::string_view extra, std::string_view path = "/v1/rowsum") {
  return cat("POST ", path, " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n", extra, "\r\n");
}

// A column times a row, 0 to n - 1 each.
std::string outer_product(int n) {
  const auto number = [](int i) { return std::to_string(i); };
  return cat("{\"a\":", list(n, [&](int i) { return cat("[", number(i), "]"); }), ",\"b\":[", list(n, number), "]}");
}

constexpr auto sums = R"({"a":[[1,2],[3,4]]})";

}  // namespace

TEST_CASE("every route, beside the application's own") {
  for (const std::string prefix : {"", "/api", "/a.b+c/(d)"}) {
    CAPTURE(prefix);
    running app(prefix);
    auto c = app.client();
    CHECK(c.Get("/hello")->body == "hello");
    CHECK(c.Post("/v1/deep/own", "mine", "text/plain")->body == "mine");
    const auto r = c.Post(prefix + "/v1/matmul", R"({"a":[[1,2],[3,4]],"b":[[5,6],[7,8]]})", "application/json");
    REQUIRE(r);
    CHECK(r->status == 200);
    CHECK(r->body == R"({"result":[[19,22],[43,50]],"shape":[2,2],"dtype":"f32","device":"cpu","precision":"strict"})");
    CHECK(r->get_header_value("Content-Type") == "application/json");
    CHECK(r->get_header_value("X-Sluice-Device") == "cpu");
    CHECK(c.Post(prefix + "/v1/rowsum", sums, "application/json")->body.starts_with("{\"result\":[3,7]"));
    for (const char* path : {"/v1/devices", "/health/live", "/health/ready", "/metrics"}) {
      CHECK(c.Get(prefix + path)->status == 200);
      const auto head = c.Head(prefix + path);
      REQUIRE(head);
      CHECK(head->status == 200);
      CHECK(head->body.empty());
      CHECK(c.Post(prefix + path, "{}", "application/json")->status == 405);
    }
    const auto wrong = c.Put(prefix + "/v1/matmul", sums, "application/json");
    REQUIRE(wrong);
    CHECK(wrong->status == 405);
    CHECK(wrong->get_header_value("Allow") == "POST");
    CHECK(c.Post(prefix + "/v1/nothing", sums, "application/json")->status == 404);
    CHECK(c.Get(cat(prefix, "/v1/", std::string(2000, 'x')))->status == 404);
    CHECK(c.Get(prefix + "/v1/a/b/c")->status == 404);
    if (!prefix.empty()) CHECK(c.Get("/health/live")->status == 404);
  }
}

TEST_CASE("a prefix that is none") {
  httplib::Server server;
  sluice::service service;
  for (const char* prefix : {"api", "/", "/api/"}) CHECK_THROWS_AS(sluice::mount(server, service, prefix), sluice::error);
}

TEST_CASE(".npy both ways") {
  running app;
  auto c = app.client();
  const auto a = sluice::encode_npy(sluice::tensor::of<float>({{1, 2}, {3, 4}}));
  const auto r = c.Post("/v1/rowsum", a, "application/x-npy");
  REQUIRE(r);
  CHECK(r->get_header_value("Content-Type") == "application/x-npy");
  CHECK(sluice::decode_npy(std::as_bytes(std::span(r->body))).view<float, 1>()(1) == 7);
  const auto parts = part("a", a) + part("b", a) + "--cut--\r\n";
  const auto p = c.Post("/v1/matmul", {{"Accept", "application/json"}}, parts, "multipart/form-data; boundary=cut");
  REQUIRE(p);
  CHECK(p->body.starts_with("{\"result\":[[7,10],[15,22]]"));
  const auto q = c.Post("/v1/matmul", parts, "multipart/form-data; boundary=cut");
  REQUIRE(q);
  CHECK(sluice::decode_npy(std::as_bytes(std::span(q->body))).view<float, 2>()(1, 1) == 22);
  // A part's header that a regular expression would not survive.
  const auto deep =
      cat("--cut\r\nContent-Disposition: form-data; name=\"", std::string(1'000'000, 'a'), "\"\r\n\r\n\r\n--cut--\r\n");
  CHECK(c.Post("/v1/matmul", deep, "multipart/form-data; boundary=cut")->status == 400);
}

TEST_CASE("large bodies and answers") {
  running app;
  auto c = app.client();
  const std::string row = list(5000, [](int i) { return cat("0.", std::to_string(i + 1)); });
  const std::string text = cat("{\"a\":", list(100, [&](int) { return row; }), "}");
  REQUIRE(c.Post("/v1/rowsum", text, "application/json")->status == 200);
  // 1,000 x 1 times 1 x 1,000: a million numbers of answer in many pieces.
  const auto r = c.Post("/v1/matmul", outer_product(1000), "application/json");
  REQUIRE(r);
  CHECK(r->status == 200);
  CHECK(r->body.find("[999,1998,2997,") == std::string::npos);
  CHECK(r->body.find("[0,999,1998,2997,") != std::string::npos);
  CHECK(r->body.ends_with(
      ",997002,998001]],\"shape\":[1000,1000],\"dtype\":\"f32\",\"device\":\"cpu\",\"precision\":\"strict\"}"));
  // Still the same connection, whatever it asks for a part of the answer.
  const auto part_of = c.Post("/v1/rowsum", {{"Range", "bytes=0-3"}}, sums, "application/json");
  REQUIRE(part_of);
  CHECK(part_of->status == 200);
  CHECK(part_of->body.size() > 10);
}

TEST_CASE("bad input over the socket, and the connection's next request after it") {
  running app;
  auto c = app.client();
  const auto status = [&](const std::string& body, const char* type = "application/json") {
    const auto r = c.Post("/v1/rowsum", body, type);
    REQUIRE(r);
    if (r->status != 200) CHECK(r->get_header_value("Content-Type") == "application/problem+json");
    const auto next = c.Get("/hello");
    REQUIRE(next);
    CHECK(next->body == "hello");
    return r->status;
  };
  CHECK(status(sums) == 200);
  CHECK(status(R"({"a":[[1],[1,2]]})") == 422);
  CHECK(status(R"({"a":[[NaN]]})") == 400);
  CHECK(status(std::string(sums) + '\0') == 400);
  CHECK(status(cat("{\"a\":", std::string(250'000, '['), "}")) == 422);
  CHECK(status("") == 400);
  CHECK(status(sums, "text/plain") == 415);
  CHECK(status("{}", "application/x-npy") == 400);
  CHECK(status("{}", "multipart/form-data") == 400);
  CHECK(status("{}", "multipart/form-data; boundary=x") == 400);
  CHECK(c.Post("/v1/rowsum", {{"Accept", "text/html"}}, sums, "application/json")->status == 406);
}

TEST_CASE("framing that could hide a second request") {
  running app;
  const std::string hidden = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string get = "GET /health/live HTTP/1.1\r\nHost: x\r\n";
  const std::string head = "HEAD /health/live HTTP/1.1\r\nHost: x\r\n";
  const std::string length = cat("Content-Length: ", std::to_string(hidden.size()), "\r\n");
  struct exchange {
    std::string bytes, expected;
  };
  for (const auto& x : {
           exchange{post_head("Content-Length: abc\r\n") + hidden, "400"},
           {post_head("Content-Length: -1\r\n") + hidden, "400"},
           {post_head("Content-Length: +5\r\n") + hidden, "400"},
           {post_head("Content-Length: 5x\r\n") + hidden, "400"},
           {post_head("Content-Length: 99999999999999999999\r\n") + hidden, "400"},
           {post_head("Content-Length: 5\r\nContent-Length: 6\r\n") + hidden, "400"},
           {post_head("Content-Length: 0\r\nContent-Length: 33\r\n") + hidden, "400"},
           {post_head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden, "400"},
           {post_head("Transfer-Encoding: gzip, chunked\r\n") + hidden, "501"},
           {post_head("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n") + hidden, "501"},
           {post_head("Content-Length : 33\r\n") + hidden, "400"},
           {get + length + "\r\n" + hidden, "200"},
           {head + length + "\r\n" + hidden, "200"},
           {get + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "200"},
           {cat("DELETE /v1/rowsum HTTP/1.1\r\nHost: x\r\n", length, "\r\n", hidden), "405"},
       }) {
    CAPTURE(x.bytes);
    wire w(app.port);
    const auto answer = w.send(x.bytes).read();
    CAPTURE(answer);
    CHECK(answers_in(answer) == 1);
    const bool as_expected = answer.starts_with(cat("HTTP/1.1 ", x.expected)) || answer.starts_with("HTTP/1.1 400");
    CHECK(as_expected);
    if (answer.find("problem+json") != answer.npos) CHECK(w.closed);  // else httplib answered before the adapter was asked
  }
  CHECK(app.client().Get("/hello")->body == "hello");
}

TEST_CASE("a body over the limit: 413 as soon as it is known, and the connection closed") {
  sluice::service_options o;
  o.limits.body_bytes = 100'000;
  running app("", o);
  const std::string much(150'000, ' ');
  SUBCASE("by its Content-Length, before a byte of it") {
    wire w(app.port);
    const auto answer = w.send(post_head("Content-Length: 99999999999\r\n")).read();
    CHECK(answer.starts_with("HTTP/1.1 413"));
    CHECK(answer.find("99999999999 bytes: at most 100000") != answer.npos);
  }
  SUBCASE("by its Content-Length, with all of it on its way") {
    auto c = app.client();
    const auto r = c.Post("/v1/rowsum", much, "application/json");
    REQUIRE(r);
    CHECK(r->status == 413);
    CHECK(c.Get("/hello")->body == "hello");
  }
  SUBCASE("in chunks") {
    wire w(app.port);
    w.send(post_head("Transfer-Encoding: chunked\r\n"));
    for (int i = 0; i < 40; ++i) w.send(chunk(std::string(5'000, ' ')));
    const auto answer = w.send("0\r\n\r\n").read();
    CHECK(answer.starts_with("HTTP/1.1 413"));
  }
  SUBCASE("in chunks without an end") {
    wire w(app.port);
    w.send(post_head("Transfer-Encoding: chunked\r\n"));
    for (int i = 0; i < 5000; ++i) w.send(chunk(std::string(5'000, ' ')));
    w.read();
    CHECK(w.closed);
  }
  SUBCASE("in one chunk that says it has a terabyte") {
    wire w(app.port);
    w.send(post_head("Transfer-Encoding: chunked\r\n") + "10000000000\r\n");
    for (int i = 0; i < 100; ++i) w.send(much);
    w.read();
    CHECK(w.closed);
  }
  CHECK(app.client().Post("/v1/rowsum", sums, "application/json")->status == 200);
}

TEST_CASE("chunked and compressed bodies") {
  sluice::service_options o;
  o.limits.body_bytes = 100'000;
  running app("", o);
  {
    wire w(app.port);
    const auto answer = w.send(post_head("Transfer-Encoding: chunked\r\nConnection: close\r\n") + chunk("{\"a\":[[1,") +
                               chunk("2]]}") + "0\r\n\r\n")
                            .read();
    CHECK(answer.find("{\"result\":[3]") != answer.npos);
  }
  {
    wire w(app.port);
    const auto answer = w.send(post_head("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n").read();
    CHECK(answer.starts_with("HTTP/1.1 411"));
  }
  auto c = app.client();
  CHECK(c.Post("/v1/rowsum", {{"Content-Encoding", "lzma"}}, sums, "application/json")->status == 415);
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  const auto small = c.Post("/v1/rowsum", {{"Content-Encoding", "gzip"}}, gzip(sums), "application/json");
  REQUIRE(small);
  CHECK(small->body.starts_with("{\"result\":[3,7]"));
  const auto bomb = gzip(std::string(80'000'000, ' '));
  REQUIRE(bomb.size() < 100'000);
  const auto r = c.Post("/v1/rowsum", {{"Content-Encoding", "gzip"}}, bomb, "application/json");
  REQUIRE(r);
  CHECK(r->status == 413);
  CHECK(c.Post("/v1/rowsum", {{"Content-Encoding", "gzip"}}, "not gzip at all", "application/json")->status == 400);
#endif
  CHECK(c.Get("/hello")->body == "hello");
}

TEST_CASE("a client that goes away") {
  running app;
  for (int i = 0; i < 20; ++i) {
    wire w(app.port);
    w.send(post_head("Content-Length: 1000\r\n") + sums);
  }
  const auto body = outer_product(700);
  for (int i = 0; i < 5; ++i) {
    wire w(app.port);
    w.send(post_head(cat("Content-Length: ", std::to_string(body.size()), "\r\n"), "/v1/matmul") + body);
  }
  CHECK(app.client().Get("/hello")->body == "hello");
}

TEST_CASE("an endpoint added while the server runs, and one that throws") {
  running app("/api");
  auto c = app.client();
  CHECK(c.Post("/api/v1/late", sums, "application/json")->status == 404);
  app.service.add({.name = "late",
                   .summary = "Throws",
                   .inputs = {{.name = "a"}},
                   .outputs = {{.name = "result"}},
                   .run = [](std::span<const sluice::tensor>, const sluice::call_context&) -> std::vector<sluice::tensor> {
                     throw std::runtime_error("secret");
                   }});
  const auto r = c.Post("/api/v1/late", sums, "application/json");
  REQUIRE(r);
  CHECK(r->status == 500);
  CHECK(r->body.find("secret") == std::string::npos);
  for (const auto& [name, value] : r->headers) CHECK(value.find("secret") == std::string::npos);
}

TEST_CASE("a service that the server holds") {
  httplib::Server server;
  auto held = std::make_shared<sluice::service>();
  sluice::mount(server, held);
  CHECK(held.use_count() > 1);
}

TEST_CASE("many clients at once") {
  running app;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      auto c = app.client();
      for (int i = 0; i < 100; ++i) {
        const int n = t * 1000 + i;
        const auto r = c.Post("/v1/rowsum", cat("{\"a\":[[", std::to_string(n), ",1]]}"), "application/json");
        wrong += !r || !r->body.starts_with(cat("{\"result\":[", std::to_string(n + 1), "]"));
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("what changes something is not taken from web pages of others, by a plain server either") {
  running app;
  const auto ask = [&](httplib::Headers h) { return app.client().Post("/v1/rowsum", h, sums, "application/json")->status; };
  CHECK(ask({}) == 200);
  CHECK(ask({{"Origin", cat("http://127.0.0.1:", std::to_string(app.port))}}) == 200);
  CHECK(ask({{"Origin", "https://evil.example"}}) == 403);
  CHECK(ask({{"Sec-Fetch-Site", "cross-site"}}) == 403);
  CHECK(ask({{"Content-Encoding", "xbr"}}) == 415);
}

TEST_CASE("a content coding in any case, and by its old name") {
  running app;
  for (const char* coding : {"gzip", "GZIP", "x-gzip"})
    CHECK(app.client().Post("/v1/rowsum", {{"Content-Encoding", coding}}, gzip(sums), "application/json")->status == 200);
}
