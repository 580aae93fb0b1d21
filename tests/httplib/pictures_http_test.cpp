// Pictures over sockets, on a hardened server and on a tuned one of httplib's.
#include "both_servers.hpp"
#include "pictures_testing.hpp"

using namespace sluice;
using namespace testing;

namespace {

// Longer than a body that a connection's own thread would decode.
const std::string jpeg = jpeg_of([] {
  tensor t({700, 900, 3}, dtype::u8);
  auto* at = static_cast<std::uint8_t*>(t.data());
  for (std::uint32_t i = 0, x = 1; i < t.bytes(); ++i)
    at[i] = static_cast<std::uint8_t>((x = x * 1664525u + 1013904223u) >> 24);
  return t;
}());

}  // namespace

TEST_CASE_TEMPLATE("a picture goes in whole or in chunks, and its edges come out", Server, plain, owned) {
  Server server;
  auto client = server.client();
  REQUIRE(jpeg.size() > 100'000);
  const auto wanted = file_of(edges_in(jpeg, 300, 600), image::format::png, {.bilevel = true});
  const auto whole = client.Post("/v1/canny?low=300&high=600", jpeg, "image/jpeg");
  REQUIRE(whole);
  CHECK(whole->status == 200);
  CHECK(whole->get_header_value("Content-Type") == "image/png");
  CHECK(whole->get_header_value("X-Sluice-Device") == "cpu");
  CHECK(whole->body == wanted);
  const auto chunked = client.Post(
      "/v1/canny?low=300&high=600", httplib::Headers{{"Accept", "image/jpeg"}},
      [&](std::size_t offset, httplib::DataSink& sink) {
        const auto part = std::string_view(jpeg).substr(offset, 40'000);
        sink.write(part.data(), part.size());
        if (offset + part.size() == jpeg.size()) sink.done();
        return true;
      },
      "image/jpeg");
  REQUIRE(chunked);
  CHECK(chunked->status == 200);
  CHECK(chunked->body == file_of(edges_in(jpeg, 300, 600), image::format::jpeg));
}

TEST_CASE_TEMPLATE("after a refusal the connection goes on", Server, plain, owned) {
  service_options o;
  o.limits.pixels = 1'000'000;
  Server server(o);
  auto client = server.client();
  const auto ask = [&](const std::string& body) {
    const auto r = client.Post("/v1/canny", body, "image/jpeg");
    REQUIRE(r);
    return std::pair(r->status, r->body);
  };
  CHECK(ask(jpeg.substr(0, 700)).first == 422);
  const auto large = ask(jpeg_claiming(jpeg, 20'000, 20'000));
  CHECK(large.first == 413);
  CHECK(large.second.find("1000000") != std::string::npos);
  CHECK(ask("text").first == 415);
  CHECK(ask(jpeg).first == 200);
}
