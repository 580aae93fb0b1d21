// POST /v1/rowsum/stream: bodies of any length, summed as they come.
#include "hardened_testing.hpp"
#include "httplib_testing.hpp"
#include "sluice/ops/rowsum.hpp"
#include "testing.hpp"

#include <filesystem>
#include <list>

using namespace testing;
using sluice::dtype;

namespace {

const std::string path = "/v1/rowsum/stream";
const headers raw_type{{"Content-Type", "application/octet-stream"}};

std::string_view bytes_in(const sluice::tensor& t) { return {static_cast<const char*>(t.data()), t.bytes()}; }

std::string query_of(const sluice::tensor& rows) {
  return cat("columns=", std::to_string(rows.extent(1)), "&dtype=", text(rows.dtype()));
}

// Passes `body` on in pieces of the sizes that `cut` gives.
sluice::response stream(sluice::service& s, std::string_view body, const std::string& query, headers with,
                        const std::function<std::size_t()>& cut, std::int64_t length = -1) {
  sluice::request r{.method = "POST", .path = path, .query = query};
  r.header = [&](std::string_view name) -> std::string_view {
    for (const auto& [key, value] : with)
      if (key == name) return value;
    return {};
  };
  r.read_body = [&](const sluice::body_receiver& take) {
    for (auto rest = body; !rest.empty();) {
      const auto n = std::min(rest.size(), std::max<std::size_t>(1, cut()));
      if (!take(rest.substr(0, n))) return false;
      rest.remove_prefix(n);
    }
    return true;
  };
  r.content_length = length;
  return s.handle(r);
}

sluice::tensor sums_in(const sluice::response& r) {
  const auto body = r.text();
  CAPTURE(body.substr(0, 300));
  REQUIRE(r.status == 200);
  CHECK(r.header("Content-Type") == "application/x-npy");
  CHECK(r.size() == body.size());
  return sluice::decode_npy(std::as_bytes(std::span(body)));
}

// Open descriptors that lead to files without names.
int nameless_files() {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code none;
    n += std::filesystem::read_symlink(entry.path(), none).string().find("(deleted)") != std::string::npos ? 1 : 0;
  }
  return n;
}

class folder {
 public:
  folder() {
    char name[] = "/tmp/sluice-spool-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

// The service on a server that is ours.
struct owned {
  explicit owned(sluice::service_options o = {}, const sluice::hardened_options& h = {}, const std::string& prefix = "")
      : service(std::move(o)), app(h) {
    app.server.set_payload_max_length(100'000);
    sluice::mount(app.server, service, prefix);
    app.start();
  }
  [[nodiscard]] int port() const { return app.port; }
  [[nodiscard]] httplib::Client client() const { return httplib::Client("127.0.0.1", app.port); }

  sluice::service service;
  testing::app app;
};
struct plain : running {
  explicit plain(sluice::service_options o = {}) : running("", std::move(o)) {
    server.set_payload_max_length(std::numeric_limits<std::size_t>::max());  // newer httplibs' is 100 MB
  }
  [[nodiscard]] int port() const { return running::port; }
};

std::string head(const std::string& extra, const std::string& query = "columns=1024&dtype=f32") {
  return cat("POST ", path, "?", query, " HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n", extra, "\r\n");
}
const std::string chunks = "Transfer-Encoding: chunked\r\n";

template <class F>
bool eventually(F holds) {
  for (int i = 0; i < 1000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

TEST_CASE("the sums are those of rowsum, bit for bit, however the bytes are cut") {
  sluice::service s;
  const std::int64_t columns[] = {1, 3, 100, 1024, 1025, 300'001};
  for (const auto type : every_dtype)
    for (const auto c : columns) {
      CAPTURE(text(type));
      CAPTURE(c);
      const auto rows = rough({std::max<std::int64_t>(2, 900'000 / c), c}, type, 7);
      const auto wanted = sluice::rowsum(rows);
      numbers n(static_cast<std::uint64_t>(c));
      for (const std::int64_t most : {std::int64_t{200}, std::int64_t{4096}, std::int64_t{3'000'000}}) {
        const auto cut = [&] { return static_cast<std::size_t>(n.below(most)); };
        CHECK(same_bits(sums_in(stream(s, bytes_in(rows), query_of(rows), raw_type, cut)), wanted));
      }
      if (type == dtype::bf16) continue;
      const auto npy = sluice::encode_npy(rows);
      CHECK(same_bits(sums_in(stream(s, npy, "", npy_type, [&] { return static_cast<std::size_t>(n.below(90)) + 60; })),
                      wanted));
    }
}

TEST_CASE("rows larger than the room, in parts that join as rowsum's do") {
  sluice::service s;
  for (const auto type : {dtype::f32, dtype::f64, dtype::u8, dtype::bf16, dtype::i64}) {
    CAPTURE(text(type));
    for (const std::int64_t c : {std::int64_t{1'048'577}, std::int64_t{3'700'003}}) {
      auto rows = rough({2, c}, type, 3);
      if (type == dtype::f32)
        rows.view<float, 2>()(1, 77) = std::numeric_limits<float>::infinity() - std::numeric_limits<float>::infinity();
      CHECK(same_bits(sums_in(stream(s, bytes_in(rows), query_of(rows), raw_type, [] { return 1'000'003; })),
                      sluice::rowsum(rows)));
    }
  }
}

TEST_CASE("an .npy's shape is the sums' but for the last extent") {
  sluice::service s;
  const auto cut = [] { return 1000; };
  for (const sluice::shape& extents : {sluice::shape{5}, {0, 3}, {4, 0}, {0}, {2, 3, 4}, {70'000, 0}, {300, 2, 1, 5}}) {
    CAPTURE(extents.str());
    const auto rows = random(extents, dtype::f32);
    CHECK(same_bits(sums_in(stream(s, sluice::encode_npy(rows), "", npy_type, cut)), sluice::rowsum(rows)));
    // As JSON the same text as the endpoint's.
    const auto npy = sluice::encode_npy(rows);
    const headers as_json{{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}};
    const auto streamed = stream(s, npy, "", as_json, cut), whole = post(s, "rowsum", npy, as_json);
    CHECK(streamed.status == 200);
    CHECK(streamed.text() == whole.text());
  }
  CHECK(sums_in(stream(s, "", "columns=7&dtype=f32", raw_type, cut)).shape() == sluice::shape{0});
}

TEST_CASE("JSON in pieces, out of the spool") {
  const folder here;
  sluice::service s({.stream = {.spool_memory = 256 << 10, .spool_directory = here.path}});
  const auto rows = rough({200'000, 2}, dtype::f32, 5);
  const headers as_json{{"Content-Type", "application/octet-stream"}, {"Accept", "application/json"}};
  auto streamed = stream(s, bytes_in(rows), query_of(rows), as_json, [] { return 5000; });
  REQUIRE(streamed.status == 200);
  CHECK(streamed.content_length == -1);
  const auto npy = sluice::encode_npy(rows);
  CHECK(streamed.text() ==
        post(s, "rowsum", npy, {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}}).text());
  auto broken = rows.clone();
  broken.view<float, 2>()(150'000, 1) = std::numeric_limits<float>::infinity();
  check_problem(stream(s, bytes_in(broken), query_of(rows), as_json, [] { return 5000; }), 422,
                "1 of the result's 200000 numbers");
  CHECK(same_bits(sums_in(stream(s, bytes_in(broken), query_of(rows), raw_type, [] { return 5000; })),
                  sluice::rowsum(broken)));
}

TEST_CASE("what is no body of rows is refused, with the numbers") {
  sluice::service s({.stream = {.body_bytes = 1'000'000}});
  const auto rows = random({10, 3}, dtype::f32);
  const auto npy = sluice::encode_npy(rows);
  const auto cut = [] { return 50; };
  const auto tell = [&](std::string_view body, const std::string& query, const headers& with, std::int64_t length = -1) {
    return stream(s, body, query, with, cut, length);
  };
  check_problem(tell(bytes_in(rows).substr(5), query_of(rows), raw_type), 400, "115 bytes are 7 too many");
  check_problem(tell(bytes_in(rows).substr(5), query_of(rows), raw_type, 115), 400, "115 bytes are 7 too many");
  check_problem(tell(std::string_view(npy).substr(0, npy.size() - 1), "", npy_type), 400,
                "(10, 3) of f32: 120 bytes, and 119 came");
  check_problem(tell(npy + "x", "", npy_type), 400, "120 bytes, and the body has more");
  check_problem(tell(npy.substr(0, 70), "", npy_type), 400, "the .npy's 70 bytes end inside the header");
  check_problem(tell("PK\3\4 and more of a zip, which is no npy at all", "", npy_type), 400, "npy");
  check_problem(tell("", "columns=0", raw_type), 400, "columns");
  check_problem(tell("", "columns=12x", raw_type), 400, "12x");
  check_problem(tell("", "", raw_type), 400, "names no columns");
  check_problem(tell("", "columns=3&rows=4", raw_type), 400, "rows");
  check_problem(tell("", "columns=3&dtype=complex", raw_type), 422, "complex");
  check_problem(tell("", "columns=3", {{"Content-Type", "application/x-www-form-urlencoded"}}), 415, "octet-stream");
  check_problem(tell("", "columns=3", {{"Content-Type", "application/octet-stream"}, {"Accept", "text/html"}}), 406,
                "text/html");
  check_problem(tell(bytes_in(rows), "columns=3", raw_type, 1'000'001), 413, "1000001 bytes: at most 1000000");
  check_problem(tell(std::string(1'000'100, 'x'), "columns=3", raw_type), 413, "more than 1000000");
  check_problem(
      tell(bytes_in(rows), "columns=3", {{"Content-Type", "application/octet-stream"}, {"X-Request-Timeout", "0"}}), 504,
      "0.000 s");
  check_problem(send(s, "GET", path), 405, "POST");
  const auto column_major = sluice::encode_npy(rows);
  auto fortran = column_major;
  fortran.replace(fortran.find("False"), 5, "True ");
  check_problem(tell(fortran, "", npy_type), 422, "Fortran");
}

TEST_CASE("sums have a quota: 413 as soon as it is known") {
  const folder here;
  std::size_t passed = 0;
  const auto counted = [&] { return passed += 4000, 4000; };
  const std::string many(4'000'000, '\0');
  {
    sluice::service s({.stream = {.quota_bytes = 40'000, .spool_memory = 0, .spool_directory = here.path}});
    check_problem(stream(s, many, "columns=1", raw_type, counted), 413, "40000 bytes");
    CHECK(passed < 2'500'000);  // one piece, and not the rest
    passed = 0;
    check_problem(stream(s, many, "columns=1", raw_type, counted, 4'000'000), 413, "1000000 rows");
    CHECK(passed == 0);
    const auto npy = sluice::npy_header_bytes(dtype::f32, {std::int64_t{1} << 40, 0});
    check_problem(stream(s, npy, "", npy_type, counted), 413, "1099511627776 rows");
    CHECK(sums_in(stream(s, many, "columns=100", raw_type, counted)).count() == 10'000);
  }
  // In memory alone, memory is the quota.
  sluice::service s({.stream = {.spool_memory = 100'000}});
  CHECK(sums_in(stream(s, many, "columns=40", raw_type, counted)).count() == 25'000);
  check_problem(stream(s, many, "columns=25", raw_type, counted), 413, "100000 bytes");
  CHECK_REFUSED(sluice::service({.stream = {.spool_directory = here.path + "/none"}}), io, "spool");
}

TEST_CASE_TEMPLATE("over a socket, in chunks and with a length, compressed too", Server, plain, owned) {
  Server running;
  auto client = running.client();
  const auto rows = rough({3000, 257}, dtype::f32, 11);  // 3 MB: more than the server takes elsewhere
  const auto wanted = sluice::rowsum(rows);
  const auto check = [&](const httplib::Result& r) {
    REQUIRE(r);
    CAPTURE(r->body.substr(0, 300));
    REQUIRE(r->status == 200);
    CHECK(same_bits(sluice::decode_npy(std::as_bytes(std::span(r->body))), wanted));
  };
  const auto target = cat(path, "?", query_of(rows));
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
    check(client.Post(path, npy, "application/x-npy"));
  }
  const auto json = client.Post(path, {{"Accept", "application/json"}}, npy, "application/x-npy");
  REQUIRE(json);
  CHECK(json->status == 200);
  CHECK(
      json->body ==
      post(running.service, "rowsum", npy, {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}}).text());
}

TEST_CASE("only the stream's path takes bodies beyond the server's limit") {
  owned running({}, {}, "/api");
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

TEST_CASE_TEMPLATE("over its quota an upload is refused at once, and not read on", Server, plain, owned) {
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

TEST_CASE("what the head alone refuses is refused before 100 Continue") {
  owned running({.tokens = {"secret"}, .stream = {.uploads = 1, .quota_bytes = 4096}});
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

TEST_CASE_TEMPLATE("a client that goes leaves nothing behind", Server, plain, owned) {
  const folder here;
  Server running({.stream = {.uploads = 1, .spool_memory = 0, .spool_directory = here.path}});
  {
    wire w(running.port());
    w.send(head(chunks, "columns=1&dtype=f32"));
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 8; ++i) w.send(chunk(zeros));
    CHECK(eventually([] { return nameless_files() == 1; }));
  }
  CHECK(eventually([] { return nameless_files() == 0; }));
  CHECK(std::filesystem::is_empty(here.path));
  auto client = running.client();
  CHECK(eventually([&] {
    const auto r = client.Post(cat(path, "?columns=1"), std::string(4000, '\0'), "application/octet-stream");
    return r && r->status == 200;
  }));
}

TEST_CASE("metrics know uploads while they come") {
  owned running;
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

TEST_CASE_TEMPLATE("slow uploads hold no slot, and are bounded in number", Server, plain, owned) {
  Server running({.compute_slots = 1, .queue_length = 0, .inline_bytes = -1, .stream = {.uploads = 5}});
  std::list<wire> slow;
  for (int i = 0; i < 5; ++i) slow.emplace_back(running.port()).send(head(chunks)).send(chunk(std::string(3'000'000, '\0')));
  auto client = running.client();
  const auto over = [&] {
    const auto r = client.Post(cat(path, "?columns=1"), std::string(4, '\0'), "application/octet-stream");
    return r ? r->status : 0;
  };
  CHECK(eventually([&] { return over() == 429; }));
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

TEST_CASE_TEMPLATE("past its deadline an upload is refused while it comes", Server, plain, owned) {
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
  owned running({}, {.idle_seconds = 0.5, .grace_seconds = 0.2, .bytes_per_second = 1000, .body_seconds = 0.1});
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

TEST_CASE("the log counts what was read of an upload") {
  std::atomic<std::int64_t> bytes{-1};
  sluice::service s(
      {.on_request = [&](const sluice::access_record& r) { bytes = r.bytes_in; }, .stream = {.quota_bytes = 4000}});
  CHECK(stream(
            s, std::string(4'000'000, '\0'), "columns=1000", raw_type, [] { return 1000; }, 4'000'000)
            .status == 200);
  CHECK(bytes == 4'000'000);
  CHECK(stream(
            s, "", "columns=1", raw_type, [] { return 1000; }, 4'000'000)
            .status == 413);
  CHECK(bytes == 0);
}

// Gigabytes in a few megabytes.
TEST_CASE_TEMPLATE("two gigabytes in bounded memory", Server, plain, owned) {
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
      cat(path, "?", query_of(rows)), times * block.size(),
      [&](std::size_t offset, std::size_t, httplib::DataSink& sink) {
        return sink.write(block.data() + offset % block.size(), block.size() - offset % block.size());
      },
      "application/octet-stream");
  const auto after = kilobytes("VmHWM:");
  REQUIRE(r);
  REQUIRE(r->status == 200);
  const auto all = sluice::decode_npy(std::as_bytes(std::span(r->body)));
  REQUIRE(all.shape() == sluice::shape{256 * static_cast<std::int64_t>(times)});
  std::size_t equal = 0;
  for (std::size_t i = 0; i < times; ++i)
    equal += std::memcmp(static_cast<const char*>(all.data()) + i * sums.bytes(), sums.data(), sums.bytes()) == 0 ? 1 : 0;
  CHECK(equal == times);
  CHECK(after - before < 64 << 10);
}
