// The Open Inference Protocol on a real socket.
#include "httplib_testing.hpp"

#include <cstring>

using namespace testing;

namespace {

constexpr auto json = "application/json";
constexpr auto length_header = "Inference-Header-Content-Length";
constexpr auto rowsum = "/v2/models/rowsum/infer";
constexpr auto sums = R"({"inputs":[{"name":"a","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]})";

// A request for the row sums of n x n ones in binary, and where its JSON ends.
std::pair<std::string, std::string> ones(int n) {
  const auto extent = std::to_string(n), size = std::to_string(4 * n * n);
  std::string body = cat(R"({"inputs":[{"name":"a","datatype":"FP32","shape":[)", extent, ",", extent,
                         R"(],"parameters":{"binary_data_size":)", size, R"(}}],"parameters":{"binary_data_output":true}})");
  auto length = std::to_string(body.size());
  for (int i = 0; i < n * n; ++i) body.append("\0\0\x80\x3f", 4);
  return {std::move(body), std::move(length)};
}

float last_float(std::string_view body) {
  float x = 0;
  REQUIRE(body.size() >= 4);
  std::memcpy(&x, body.data() + body.size() - 4, 4);
  return x;
}

}  // namespace

TEST_CASE("every path of the protocol, under any prefix") {
  for (const std::string prefix : {"", "/api"}) {
    CAPTURE(prefix);
    running app(prefix);
    auto c = app.client();
    for (const char* path : {"/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/matmul",
                             "/v2/models/matmul/ready", "/v2/models/matmul_fp64/versions/1/config", "/v2/models/stats",
                             "/v2/models/r%6Fwsum/stats", "/v2/systemsharedmemory/status"}) {
      const auto r = c.Get(prefix + path);
      REQUIRE(r);
      CHECK_MESSAGE(r->status == 200, path);
      CHECK(r->get_header_value("Content-Type") == json);
    }
    CHECK(c.Post(prefix + "/v2/repository/index", "", json)->status == 200);
    CHECK(c.Post(prefix + rowsum, sums, json)->body.ends_with(R"("data":[3,7]}]})"));
    for (const char* path : {"/v2/nothing", "/v2/models/a%2Fb", "/v2/models/a%0Ab"}) {
      const auto r = c.Get(prefix + path);
      REQUIRE(r);
      CHECK(r->status == 404);
      CHECK(r->body.starts_with("{\"error\":"));
    }
    CHECK(c.Get(cat(prefix, "/v2/", std::string(3000, 'x')))->status == 404);
    CHECK(c.Get(prefix + "/v2x")->status == 404);
    CHECK(c.Get("/hello")->body == "hello");
  }
}

TEST_CASE("binary both ways, the header in any case") {
  running app;
  auto c = app.client();
  const auto [body, length] = ones(300);
  for (const char* name : {length_header, "inference-header-content-length", "INFERENCE-HEADER-CONTENT-LENGTH"}) {
    const auto r = c.Post(rowsum, {{name, length}}, body, "application/octet-stream");
    REQUIRE(r);
    REQUIRE(r->status == 200);
    CHECK(r->get_header_value("Content-Type") == "application/octet-stream");
    const auto json_bytes = std::stoul(r->get_header_value(length_header));
    CHECK(r->body.size() == json_bytes + 1200);
    CHECK(r->body.substr(0, json_bytes).ends_with(R"("parameters":{"binary_data_size":1200}}]})"));
    CHECK(last_float(r->body) == 300);
  }
}

TEST_CASE("what the transport refuses has the protocol's form") {
  running app;
  auto c = app.client();
  const auto r = c.Post(rowsum, {{"Content-Encoding", "lzma"}}, sums, json);
  REQUIRE(r);
  CHECK(r->status == 415);
  CHECK(r->body == R"({"error":"[http] Content-Encoding is \"lzma\": this server does not decode it"})");
}

#ifdef CPPHTTPLIB_ZLIB_SUPPORT
TEST_CASE("bodies and answers in gzip and in deflate, which is zlib's") {
  sluice::service_options o;
  o.limits.body_bytes = 1'000'000;
  running app("", o);
  auto c = app.client();
  c.set_decompress(false);
  const auto decoded = [](const std::string& bytes, int window) {
    z_stream z{};
    REQUIRE(inflateInit2(&z, window) == Z_OK);
    std::string out(1 << 20, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = static_cast<uInt>(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    const bool whole = inflate(&z, Z_FINISH) == Z_STREAM_END;
    CHECK(whole);
    CHECK(z.avail_in == 0);
    out.resize(z.total_out);
    inflateEnd(&z);
    return out;
  };
  const auto [body, length] = ones(400);
  for (const std::string coding : {"gzip", "deflate"}) {
    CAPTURE(coding);
    const auto in = sluice::detail::compressed({sluice::body_piece::of(body)}, coding)[0];
    CHECK(in.bytes.size() < body.size() / 10);
    const auto r = c.Post(rowsum, {{length_header, length}, {"Content-Encoding", coding}, {"Accept-Encoding", coding}},
                          std::string(in.bytes), "application/octet-stream");
    REQUIRE(r);
    REQUIRE(r->status == 200);
    CHECK(r->get_header_value("Content-Encoding") == coding);
    const auto answer = decoded(r->body, coding == "gzip" ? 15 + 16 : 15);
    CHECK(answer.size() == std::stoul(r->get_header_value(length_header)) + 1600);  // of what is not compressed
    CHECK(last_float(answer) == 400);
    const std::string bomb(20'000'000, ' ');
    const auto large = sluice::detail::compressed({sluice::body_piece::of(bomb)}, coding)[0];
    const auto refused = c.Post(rowsum, {{"Content-Encoding", coding}}, std::string(large.bytes), json);
    REQUIRE(refused);
    CHECK(refused->status == 413);
    CHECK(refused->body.starts_with("{\"error\":"));
  }
  // Larger than the room that zlib writes into at once, and in several pieces.
  std::string noise;
  for (std::uint32_t i = 0, x = 1; i < 100'000; ++i) noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  const std::vector pieces{sluice::body_piece::of(noise), sluice::body_piece::of(""), sluice::body_piece::of(noise)};
  const bool same = decoded(std::string(sluice::detail::compressed(pieces, "gzip")[0].bytes), 15 + 16) == noise + noise;
  CHECK(same);
  // One stream in several pieces.
  std::string all;
  std::string rough(9'000'000, ' ');
  for (std::uint32_t i = 0, x = 1; i < rough.size(); ++i) rough[i] = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  const auto in_pieces = sluice::detail::compressed({sluice::body_piece::of(rough)}, "gzip");
  CHECK(in_pieces.size() == 9);
  for (const auto& piece : in_pieces) all += piece.bytes;
  std::string back;
  sluice::detail::zlib_decoder decoder;
  CHECK(decoder.decode(all, [&](std::string_view bytes) { return back += bytes, true; }));
  CHECK(decoder.at_end());
  CHECK((back == rough));
  const auto unasked = c.Post(rowsum, {{"Accept-Encoding", "gzip, deflate"}}, sums, json);
  REQUIRE(unasked);
  CHECK(unasked->body.ends_with("[3,7]}]}"));  // too short to gain
  for (const char* path : {"/openapi.json", "/metrics"}) {
    const auto plain = c.Get(path, {{"Accept-Encoding", ""}}),
               small = c.Get(path, {{"Accept-Encoding", "br;q=0.1, gzip, deflate"}});
    REQUIRE(plain);
    REQUIRE(small);
    CHECK(small->get_header_value("Content-Encoding") == "gzip");
    CHECK(small->get_header_value("Vary") == "Accept-Encoding");
    CHECK(small->body.size() < plain->body.size() / 2);
    CHECK(decoded(small->body, 15 + 16).substr(0, 50) == plain->body.substr(0, 50));
  }
}

TEST_CASE("a compressed body that is cut short is refused, one of several members is not") {
  running app;
  auto c = app.client();
  const auto post = [&](const std::string& coding, const std::string& body) {
    const auto r = c.Post("/v1/rowsum/stream?columns=1&dtype=u8",
                          {{"Content-Encoding", coding}, {"Accept", "application/json"}}, body, "application/octet-stream");
    REQUIRE(r);
    return cat(std::to_string(r->status), " ", r->body);
  };
  for (const std::string coding : {"gzip", "deflate"}) {
    CAPTURE(coding);
    const std::string whole(sluice::detail::compressed({sluice::body_piece::of("\1\2\3")}, coding)[0].bytes);
    CHECK(post(coding, whole).starts_with(R"(200 {"result":[1,2,3],)"));
    CHECK(post(coding, whole + whole).starts_with(R"(200 {"result":[1,2,3,1,2,3],)"));
    for (std::size_t n = 1; n < whole.size(); ++n) CHECK_MESSAGE(post(coding, whole.substr(0, n)).starts_with("400 "), n);
    CHECK(post(coding, whole + "x").starts_with("400 "));
    CHECK(post(coding, whole + whole.substr(0, whole.size() - 1)).starts_with("400 "));
  }
}
#endif
