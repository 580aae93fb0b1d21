// POST /v1/rowsum/stream over sockets: bodies of any length, refused ones, slow ones, and clients that go.
#include "both_servers.hpp"
#include "files.hpp"
#include "rowsum_stream_testing.hpp"
#include "sluice/ops/rowsum.hpp"

#include <chrono>
#include <filesystem>
#include <list>

using namespace testing;
using sluice::dtype;

namespace {

// Open descriptors that lead to files without names.
int nameless_files() {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code none;
    n += std::filesystem::read_symlink(entry.path(), none).string().find("(deleted)") != std::string::npos ? 1 : 0;
  }
  return n;
}

// Other paths take no such bodies.
struct limited : owned {
  explicit limited(sluice::service_options o = {}, const sluice::hardened_options& h = {}, const std::string& prefix = "")
      : owned(std::move(o), h, prefix, 100'000) {}
};
std::string head(const std::string& extra, const std::string& query = "columns=1024&dtype=f32") {
  return cat("POST ", stream_path, "?", query, " HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n", extra,
             "\r\n");
}
const std::string chunks = "Transfer-Encoding: chunked\r\n";

}  // namespace

TEST_CASE_TEMPLATE("over a socket, in chunks and with a length, compressed too", Server, plain, limited) {
  Server running;
  auto client = running.client();
  const auto rows = rough({3000, 257}, dtype::f32, 11);  // 3 MB: more than the server takes elsewhere
  const auto wanted = sluice::rowsum(rows);
  const auto check = [&](const httplib::Result& r) {
    REQUIRE(r);
    CAPTURE(r->body.substr(0, 300));
    REQUIRE(r->status == 200);
    CHECK(same_bits(sluice::decode_npy(std::as_bytes(std::span(r->body))), wanted));
    CHECK(r->get_header_value("Connection") != "close");  // it was read to its end: the next request may come
  };
  const auto target = cat(stream_path, "?", query_of(rows));
  const std::string body(bytes_in(rows)), npy = sluice::encode_npy(rows);
  const auto pieces = [&](std::size_t offset, httplib::DataSink& sink) {
    const auto n = std::min<std::size_t>(100'001, body.size() - offset);
    n > 0 ? static_cast<void>(sink.write(body.data() + offset, n)) : sink.done();
    return true;
  };
  for (const bool compressed : {false, true}) {
    CAPTURE(compressed);
    client.set_compress(compressed);
    check(client.Post(target, body, "application/octet-stream"));
    check(client.Post(target, pieces, "application/octet-stream"));
    check(client.Post(stream_path, npy, "application/x-npy"));
  }
  const auto json = client.Post(stream_path, {{"Accept", "application/json"}}, npy, "application/x-npy");
  REQUIRE(json);
  CHECK(json->status == 200);
  CHECK(
      json->body ==
      post(running.service, "rowsum", npy, {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}}).text());
}

TEST_CASE("only the stream's path takes bodies beyond the server's limit") {
  limited running({}, {}, "/api");
  auto client = running.client();
  const std::string body(200'000, '\0');
  const auto status = [&](const std::string& target) {
    const auto r = client.Post(target, body, "application/octet-stream");
    return r ? r->status : 0;
  };
  CHECK(status("/api/v1/rowsum/stream?columns=10") == 200);
  CHECK(status("/size") == 413);
  CHECK(status("/api/v1/rowsum") == 413);
  CHECK(status("/v1/rowsum/stream?columns=10") == 413);
}

TEST_CASE_TEMPLATE("over its quota an upload is refused at once, and not read on", Server, plain, limited) {
  Server running({.stream = {.quota_bytes = 4096}});
  const std::string zeros(1 << 16, '\0');
  const std::string length = cat("Content-Length: ", std::to_string(std::int64_t{1} << 40), "\r\n");
  wire known(running.port());
  CHECK(known.send(head(length, "columns=1024")).read_until("held at most").starts_with("HTTP/1.1 413"));
  // 2^40 bytes in chunks, or as much as goes out before the answer is there.
  wire endless(running.port());
  endless.send(head(chunks));
  std::size_t sent = 0;
  while (sent < (std::size_t{1} << 30) && !endless.readable()) {
    endless.send(chunk(zeros));
    sent += zeros.size();
  }
  CHECK(endless.read_until("held at most").starts_with("HTTP/1.1 413"));
  CHECK(sent < std::size_t{64} << 20);
  CHECK(eventually([&] { return endless.send("0\r\n").read(), endless.closed; }));
}

#if defined(CPPHTTPLIB_ZLIB_SUPPORT) && defined(CPPHTTPLIB_BROTLI_SUPPORT)
TEST_CASE_TEMPLATE("a few bytes that decode to many are refused, by what came", Server, plain, limited) {
  Server running({.stream = {.decoded_bytes = 1 << 20, .decoded_ratio = 100}});
  auto client = running.client();
  const auto rows = rough({90, 257}, dtype::f32, 11);
  const std::string zeros(8 << 20, '\0'), body(bytes_in(rows));
  const auto coded = [](std::string_view coding, const std::string& text) {
    std::string out;
    httplib::detail::brotli_compressor brotli;
    const auto append = [&](const char* data, std::size_t n) { return out.append(data, n), true; };
    if (coding == "br")
      REQUIRE(brotli.compress(text.data(), text.size(), true, append));
    else
      for (const auto& piece : sluice::detail::compressed({sluice::body_piece::of(text)}, coding)) out += piece.bytes;
    return out;
  };
  for (const std::string coding : {"gzip", "deflate", "br"}) {
    CAPTURE(coding);
    const httplib::Headers with{{"Content-Encoding", coding}};
    const auto send = [&](const std::string& target, const std::string& bytes) {
      auto r = client.Post(target, with, bytes, "application/octet-stream");
      REQUIRE(r);
      CAPTURE(r->body.substr(0, 300));
      return std::pair{r->status, r->body};
    };
    const auto bomb = send(cat(stream_path, "?columns=1024"), coded(coding, zeros));
    CHECK(bomb.first == 413);
    CHECK(bomb.second.find("beyond the first 1048576, at most 100 are taken for each") != bomb.second.npos);
    CHECK(send(cat(stream_path, "?columns=1024"), coded(coding, zeros.substr(0, 1 << 20))).first == 200);
    const auto whole = coded(coding, body);
    const auto good = send(cat(stream_path, "?", query_of(rows)), whole);
    REQUIRE(good.first == 200);
    CHECK(same_bits(sluice::decode_npy(std::as_bytes(std::span(good.second))), sluice::rowsum(rows)));
    for (const auto& cut : {whole.substr(0, whole.size() - 1), whole.substr(0, whole.size() / 2), whole.substr(0, 1)})
      CHECK(send(cat(stream_path, "?", query_of(rows)), cut).first == 400);
    CHECK(send(cat(stream_path, "?", query_of(rows)), "no such coding").first == 400);
    if (coding != "gzip") CHECK(send(cat(stream_path, "?", query_of(rows)), whole + std::string(70'000, 'x')).first == 400);
    // Other routes decode by the same means.
    const auto npy = sluice::encode_npy(rows);
    const auto all = client.Post("/v1/rowsum", with, coded(coding, npy), "application/x-npy");
    REQUIRE(all);
    CHECK(same_bits(sluice::decode_npy(std::as_bytes(std::span(all->body))), sluice::rowsum(rows)));
    const auto json = client.Post("/v1/rowsum", with, coded(coding, R"({"a":[[1,2],[3,4]]})"), "application/json");
    REQUIRE(json);
    CHECK(json->body.starts_with(R"({"result":[3,7])"));
    const auto text = coded(coding, cat(R"({"a":[[1,2],[3,4]]})", std::string(1000, ' ')));
    CHECK(client.Post("/v1/rowsum", with, text.substr(0, text.size() - 2), "application/json")->status == 400);
  }
}
#endif

TEST_CASE("what the head alone refuses is refused before 100 Continue") {
  limited running({.tokens = {"secret"}, .stream = {.uploads = 1, .quota_bytes = 4096}});
  const std::string waits = "Expect: 100-continue\r\nContent-Length: 40000\r\n";
  const std::string token = "Authorization: Bearer secret\r\n";
  const auto told = [&](const std::string& bytes) { return wire(running.port()).send(bytes).read_until("\r\n\r\n"); };
  CHECK(says(told(head(waits)), "401"));
  CHECK(says(told(head(waits + token, "columns=1&dtype=u8")), "413"));
  CHECK(says(told(head(waits + token, "columns=1001")), "400"));
  wire first(running.port());
  CHECK(says(first.send(head(waits + token, "columns=1000")).read_until("\r\n\r\n"), "100"));
  CHECK(says(told(head(waits + token, "columns=1000")), "429"));
  CHECK(says(first.send(std::string(40'000, '\0')).read_until("NUMPY"), "200"));
}

TEST_CASE_TEMPLATE("a client that goes leaves nothing behind", Server, plain, limited) {
  const folder here;
  Server running({.stream = {.uploads = 1, .spool_memory = 0, .spool_directory = here / ""}});
  {
    wire w(running.port());
    w.send(head(chunks, "columns=1&dtype=f32"));
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 8; ++i) w.send(chunk(zeros));
    CHECK(eventually([] { return nameless_files() == 1; }));
  }
  CHECK(eventually([] { return nameless_files() == 0; }));
  CHECK(std::filesystem::is_empty(here / ""));
  auto client = running.client();
  CHECK(eventually([&] {
    const auto r = client.Post(cat(stream_path, "?columns=1"), std::string(4000, '\0'), "application/octet-stream");
    return r && r->status == 200;
  }));
}

TEST_CASE("metrics know uploads while they come") {
  limited running;
  auto client = running.client();
  const auto metrics = [&] { return client.Get("/metrics")->body; };
  CHECK(metrics().find("\nsluice_uploads 0\n") != std::string::npos);
  wire w(running.port());
  w.send(head(chunks)).send(chunk(std::string(20'480, '\0')));
  CHECK(eventually([&] { return metrics().find("\nsluice_upload_bytes_total 20480\n") != std::string::npos; }));
  CHECK(metrics().find("\nsluice_uploads 1\n") != std::string::npos);
  CHECK(says(w.send("0\r\n\r\n").read_until("NUMPY"), "200"));
  CHECK(eventually([&] { return metrics().find("\nsluice_uploads 0\n") != std::string::npos; }));
  CHECK(metrics().find("sluice_stage_seconds_count{route=\"rowsum_stream\",stage=\"read\"} 1") != std::string::npos);
}

TEST_CASE_TEMPLATE("slow uploads hold no slot, and are bounded in number", Server, plain, limited) {
  Server running({.compute_workers = 1, .queue_length = 0, .inline_bytes = -1, .stream = {.uploads = 5}});
  std::list<wire> slow;
  for (int i = 0; i < 5; ++i) slow.emplace_back(running.port()).send(head(chunks)).send(chunk(std::string(3'000'000, '\0')));
  auto client = running.client();
  const auto over = [&] {
    const auto r = client.Post(cat(stream_path, "?columns=1"), std::string(4, '\0'), "application/octet-stream");
    return r ? r->status : 0;
  };
  // Before one more asks: it could take the place of one that is still to come.
  CHECK(eventually([&] { return client.Get("/metrics")->body.find("\nsluice_uploads 5\n") != std::string::npos; }));
  CHECK(over() == 429);
  for (int i = 0; i < 20; ++i) {
    const auto hello = client.Get("/hello");
    REQUIRE(hello);
    CHECK(hello->status == 200);
  }
  CHECK(eventually([&] {
    const auto r = client.Post("/v1/rowsum", R"({"a": [[1, 2]]})", "application/json");
    return r && r->status == 200;
  }));
  for (auto& w : slow) {
    const auto answer = w.send(chunk(std::string(96, '\0')) + "0\r\n\r\n").read_until("\"code\"");
    CHECK(answer.starts_with("HTTP/1.1 400"));  // 3,000,096 bytes are no rows of 4,096
    CHECK(answer.find("3000096") != answer.npos);
  }
  CHECK(eventually([&] { return over() == 200; }));
}

TEST_CASE_TEMPLATE("past its deadline an upload is refused while it comes", Server, plain, limited) {
  Server running;
  wire w(running.port());
  w.send(head(chunks + "X-Request-Timeout: 0.2\r\n"));
  for (int i = 0; i < 500 && !w.readable(); ++i) {
    w.send(chunk("12345678"));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto answer = w.read();
  CHECK(answer.starts_with("HTTP/1.1 504"));
  CHECK(answer.find("0.200 s") != answer.npos);
  CHECK(w.closed);
}

TEST_CASE("a long upload may pause, but for no longer than an idle connection") {
  limited running({}, {.idle_seconds = 0.5, .grace_seconds = 0.2, .bytes_per_second = 1000, .body_seconds = 0.1});
  wire w(running.port());
  w.send(head(chunks, "columns=1000"));
  // More than body_seconds in all; each byte of it buys a pause.
  for (int i = 0; i < 4; ++i) {
    w.send(chunk(std::string(10'000, '\0')));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(!w.readable());
  // What has come would be good for 40 s.
  CHECK(says(w.read(), "408"));
}

// Gigabytes in a few megabytes.
TEST_CASE_TEMPLATE("two gigabytes in bounded memory", Server, plain, limited) {
  std::ofstream("/proc/self/clear_refs") << '5';  // the peak begins anew
  const auto kilobytes = [](const std::string& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with(key)) return std::stol(line.substr(key.size() + 1));
    return -1L;
  };
  Server running;
  const auto rows = rough({256, 1024}, dtype::f32, 17);
  const auto sums = sluice::rowsum(rows);
  const std::string block(bytes_in(rows));
  constexpr std::size_t times = 2048;
  const auto before = kilobytes("VmRSS:");
  REQUIRE(before > 0);
  auto client = running.client();
  client.set_read_timeout(60);
  const auto r = client.Post(
      cat(stream_path, "?", query_of(rows)), times * block.size(),
      [&](std::size_t offset, std::size_t, httplib::DataSink& sink) {
        return sink.write(block.data() + offset % block.size(), block.size() - offset % block.size());
      },
      "application/octet-stream");
  [[maybe_unused]] const auto after = kilobytes("VmHWM:");
  REQUIRE(r);
  REQUIRE(r->status == 200);
  const auto all = sluice::decode_npy(std::as_bytes(std::span(r->body)));
  REQUIRE(all.shape() == sluice::shape{256 * static_cast<std::int64_t>(times)});
  std::size_t equal = 0;
  for (std::size_t i = 0; i < times; ++i)
    equal += std::memcmp(static_cast<const char*>(all.data()) + i * sums.bytes(), sums.data(), sums.bytes()) == 0 ? 1 : 0;
  CHECK(equal == times);
#ifndef __SANITIZE_THREAD__  // which has a memory of its own for each byte that is touched
  CHECK(after - before < 64 << 10);
#endif
}
