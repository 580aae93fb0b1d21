// Which coding Accept-Encoding asks for, and which answers have one.
#include "service_testing.hpp"

using namespace testing;

namespace {

// With a transport whose coded bodies are the coding's name.
sluice::response ask(sluice::service& s, std::string path, std::string_view accept, headers with = {},
                     std::string method = "GET", std::string_view body = {}) {
  sluice::request r{.method = std::move(method), .path = std::move(path), .body = body};
  r.header = [&](std::string_view name) -> std::string_view {
    for (const auto& [key, value] : with)
      if (key == name) return value;
    return name == "Accept-Encoding" ? accept : "";
  };
  r.compress = [](const std::vector<sluice::body_piece>& pieces, std::string_view coding) {
    CHECK(!pieces.empty());
    return std::vector{sluice::body_piece::of(std::string(coding))};
  };
  return s.handle(r);
}

}  // namespace

TEST_CASE("Accept-Encoding: several codings, weights, any case, what is not listed") {
  sluice::service s;
  struct item {
    const char *accept, *coding;
  };
  for (const auto& [accept, coding] : {item{"gzip", "gzip"},
                                       {"deflate", "deflate"},
                                       {"x-gzip", "gzip"},
                                       {"GZip", "gzip"},
                                       {"DEFLATE", "deflate"},
                                       {"gzip, deflate", "gzip"},
                                       {"deflate, gzip", "gzip"},
                                       {"gzip, deflate, br", "gzip"},
                                       {"gzip, deflate, br, zstd", "gzip"},
                                       {"br, zstd, deflate", "deflate"},
                                       {"gzip;q=0.5, deflate", "deflate"},
                                       {"gzip;q=0.5, deflate;q=0.4", "gzip"},
                                       {"gzip ; q=1.0 , identity; q=0.5", "gzip"},
                                       {"gzip;Q=0.5,identity;q=0.5", "gzip"},
                                       {"identity;q=0, gzip;q=0.001", "gzip"},
                                       {",, gzip ,", "gzip"},
                                       {"*", "gzip"},
                                       {"*;q=0.1", "gzip"},
                                       {"gzip;q=0, *", "deflate"},
                                       {"br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip"},
                                       {"identity;q=0, *;q=0.5", "gzip"},
                                       {"", ""},
                                       {" ", ""},
                                       {"identity", ""},
                                       {"br, zstd", ""},
                                       {"gzipped, x-deflate, gzip2", ""},
                                       {"gzip;q=0", ""},
                                       {"gzip;q=0.000, deflate;q=0", ""},
                                       {"gzip;q=0.5, identity", ""},
                                       {"identity;q=0.9, gzip;q=0.8", ""},
                                       {"*;q=0", ""},
                                       {"gzip;q=0, deflate;q=0, *", ""},
                                       {"gzip;q=x", ""},
                                       {"gzip;q=", ""}}) {
    CAPTURE(accept);
    const auto r = ask(s, "/openapi.json", accept);
    CHECK(r.header("Content-Encoding") == coding);
    CHECK((r.text() == coding) == !std::string_view(coding).empty());
    CHECK(r.header("Vary") == "Accept-Encoding");
  }
}

TEST_CASE("all long text that is no call's answer") {
  sluice::service s;
  const std::string placement = R"({"operation":"matmul","from":1,"to":1000000})";
  for (const char* path : {"/openapi.json", "/metrics", "/docs", "/docs/page.js", "/docs/page.css", "/v2/models/stats"}) {
    CAPTURE(path);
    CHECK(ask(s, path, "deflate, gzip").text() == "gzip");
    CHECK(ask(s, path, "deflate, gzip", {}, "HEAD").header("Content-Encoding") == "gzip");
    CHECK(ask(s, path, "br").header("Content-Encoding").empty());
    CHECK(ask(s, path, "br").header("Vary") == "Accept-Encoding");
  }
  CHECK(ask(s, "/v1/placement", "gzip, br", {{"Content-Type", "application/json"}}, "POST", placement).text() == "gzip");
  for (const char* path : {"/health/live", "/v2", "/nothing", "/v1/matmul"}) {
    CAPTURE(path);
    CHECK(ask(s, path, "gzip").header("Content-Encoding").empty());
    CHECK(ask(s, path, "gzip").header("Vary").empty());
  }
  // A call's answer is made to be quick; without a transport's coding all are as they are.
  const auto numbers = cat("{\"a\":", list(2000, [](int) { return std::string("[0.1]"); }), "}");
  const auto sums = ask(s, "/v1/rowsum", "gzip", {}, "POST", numbers);
  CHECK(sums.status == 200);
  CHECK(sums.header("Content-Encoding").empty());
  CHECK(send(s, "GET", "/openapi.json", {}, {{"Accept-Encoding", "gzip"}}).header("Content-Encoding").empty());
}

TEST_CASE("a page's tag holds for its codings, weakly") {
  sluice::service s;
  for (const char* path : {"/openapi.json", "/docs/page.js"}) {
    CAPTURE(path);
    const std::string plain(ask(s, path, "").header("ETag")), coded(ask(s, path, "gzip").header("ETag"));
    CHECK(plain.starts_with("\""));
    CHECK(coded == "W/" + plain);
    for (const auto& tag : {plain, coded})
      for (const char* accept : {"", "gzip"})
        CHECK(ask(s, path, accept, {{"If-None-Match", tag}, {"Accept-Encoding", accept}}).status == 304);
  }
}
