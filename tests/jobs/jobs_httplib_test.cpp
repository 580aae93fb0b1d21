// Jobs over sockets: addresses below a prefix, results in ranges, and streams of events that end when the job, the client or
// the server does.
#include <atomic>
#include <chrono>

#include "files.hpp"
#include "httplib_testing.hpp"
#include "sluice/hardened_server.hpp"
#include "sluice/jobs.hpp"
#include "sluice/ops/rowsum.hpp"
#include "wire.hpp"

using namespace testing;

namespace {

struct house {
  house() {
    std::filesystem::create_directories(here / "data");
    sluice::write_npy(here / "data/a.npy", rows);
    write_file(here / "data/long", "1234");  // rows of 4 MiB, of zeros that no disk holds
    std::filesystem::resize_file(here / "data/long", std::uintmax_t{400} << 30);
  }
  [[nodiscard]] sluice::job_options options() const {
    return {.folder = here / "jobs", .heartbeat_seconds = 0.05, .data_directories = {{"d", here / "data"}}};
  }

  folder here;
  sluice::tensor rows = sluice::tensor::full({100'000, 3}, 0.3);
};

auto jobs(const sluice::job_options& o) {
  return [o](sluice::service& s) { sluice::add_jobs(s, o); };
}

constexpr auto sums = R"({"operation":"rowsum","input":"d/a.npy"})";
constexpr auto long_job = R"({"operation":"rowsum","input":"d/long","columns":1048576})";

// Where the job is.
std::string started(httplib::Client& c, const std::string& prefix, const std::string& order) {
  const auto r = c.Post(prefix + "/v1/jobs", order, "application/json");
  REQUIRE(r);
  REQUIRE(r->status == 202);
  const auto where = r->get_header_value("Location");
  REQUIRE(where.starts_with(prefix + "/v1/jobs/"));
  return where;
}

std::string until_done(httplib::Client& c, const std::string& where) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string body;
  while (body.find("\"state\":\"done\"") == body.npos && std::chrono::steady_clock::now() < end) body = c.Get(where)->body;
  return body;
}

// A job's events, which must end.
httplib::Result events_of(httplib::Client& c, const std::string& where, const httplib::Headers& headers = {}) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string all;
  auto r = c.Get(where + "/events", headers, [&](const char* data, std::size_t size) {
    all.append(data, size);
    return std::chrono::steady_clock::now() < end;
  });
  if (r) r->body = all;
  return r;
}

std::string get(std::string_view path) { return cat("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n"); }

}  // namespace

TEST_CASE("a job, below a prefix") {
  const house h;
  for (const std::string prefix : {"", "/api/sums"}) {
    CAPTURE(prefix);
    running app(prefix, {}, jobs(h.options()));
    auto c = app.client();
    const auto where = started(c, prefix, sums);
    // Its events, to the end: the connection goes on afterwards.
    const auto events = events_of(c, where);
    REQUIRE(events);
    CHECK(events->status == 200);
    CHECK(events->get_header_value("Content-Type") == "text/event-stream");
    CHECK(events->body.starts_with("retry: 2000\n\nid: "));
    CHECK(events->body.find("\"state\":\"done\"") != std::string::npos);
    CHECK(events->body.ends_with("}\n\n"));
    const auto id =
        events->body.substr(events->body.rfind("id: ") + 4, events->body.rfind("\ndata") - events->body.rfind("id: ") - 4);
    CHECK(c.Get(where + "/events", {{"Last-Event-ID", id}})->status == 204);
    const auto again = events_of(c, where, {{"Last-Event-ID", "1"}, {"Accept-Encoding", "gzip"}});
    REQUIRE(again);
    CHECK(!again->has_header("Content-Encoding"));  // that would be httplib's, in the connection's thread
    CHECK(again->body.find("\nid: " + id + "\n") != std::string::npos);

    const std::string whole = sluice::encode_npy(sluice::rowsum(h.rows));
    const auto result = c.Get(where + "/result");
    REQUIRE(result);
    CHECK(result->body == whole);
    const auto tag = result->get_header_value("ETag");
    const auto part = c.Get(where + "/result", {{"Range", "bytes=100-299999"}, {"If-Range", tag}});
    REQUIRE(part);
    CHECK(part->status == 206);
    CHECK(part->body == whole.substr(100, 299'900));
    CHECK(part->get_header_value("Content-Range") == cat("bytes 100-299999/", std::to_string(whole.size())));
    CHECK(c.Get(where + "/result", {{"Range", "bytes=0-1,5-6"}})->body == whole);
    CHECK(c.Get(where + "/result", {{"Range", "bytes=9999999-"}})->status == 416);
    // httplib 0.11.4 reads a body after a 304, to the end of the connection.
    const auto same = c.Get(where + "/result", {{"If-None-Match", tag}, {"Connection", "close"}});
    REQUIRE(same);
    CHECK(same->status == 304);
    CHECK(same->body.empty());
    const auto head = c.Head(where + "/result");
    REQUIRE(head);
    CHECK(head->get_header_value("Content-Length") == std::to_string(whole.size()));
    CHECK(c.Get(where + "/result")->body == whole);  // on the same connection: nothing was left over
    CHECK(c.Delete(where)->status == 204);
    CHECK(c.Get(where)->status == 404);
    CHECK(c.Get(prefix + "/v1/jobs")->body == R"({"jobs":[]})");
    CHECK(c.Get(prefix + "/v1/jobs?limit=0")->status == 422);
  }
}

TEST_CASE("paths that lead elsewhere") {
  const house h;
  running app("", {}, jobs(h.options()));
  auto c = app.client();
  const auto where = started(c, "", sums);
  CHECK(until_done(c, where).find("\"state\":\"done\"") != std::string::npos);
  for (const std::string& path :
       {where + "/../../jobs.db", where + "/%2e%2e/jobs.db", where + "%00/result", where + "/result/../../../jobs/jobs.db",
        std::string("/v1/jobs/..%2f..%2fsecret/result"), std::string("/v1/jobs/%2e%2e/result"), where + ".npy",
        where + "/result.npy", std::string("/v1/jobs/jobs.db"), where + "/"}) {
    CAPTURE(path);
    wire w(app.port);
    const auto answer = w.send(get(path)).read_until("\r\n\r\n");
    CHECK((answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400")));
  }
}

TEST_CASE("a client that has gone gives its stream back") {
  const house h;
  auto options = h.options();
  options.event_streams = 1;
  running app("", {}, jobs(options));
  auto c = app.client();
  const auto where = started(c, "", long_job);
  {
    wire w(app.port);
    w.send(get(where + "/events"));
    w.read_until("\"state\":\"running\"");
    CHECK(c.Get(where + "/events")->status == 429);
    CHECK(c.Get(where)->status == 200);  // to ask is always possible
  }
  std::string answer = "HTTP/1.1 429";
  for (int i = 0; i < 200 && answer.starts_with("HTTP/1.1 429"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    wire w(app.port);
    answer = w.send(get(where + "/events")).read_until("\r\n\r\n");
  }
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(c.Delete(where)->status / 100 == 2);
}

TEST_CASE("a server that stops ends the streams, with and without a drain") {
  for (const bool drained : {false, true}) {
    const house h;
    auto app = std::make_unique<running>("", sluice::service_options{}, jobs(h.options()));
    app->server.set_keep_alive_timeout(1);  // which it waits for, with connections that it leaves open
    const auto where = [&] {
      auto c = app->client();  // not kept: the server would wait for it
      return started(c, "", long_job);
    }();
    wire w(app->port);
    w.send(get(where + "/events"));
    w.read_until("\"state\":\"running\"");
    if (drained) {
      CHECK(app->service.drain(10));
      CHECK(w.read().ends_with("0\r\n\r\n"));
    }
    app = nullptr;  // waits for its threads
    w.read();
    CHECK(w.closed);
  }
}

namespace {

// Jobs on a hardened server.
struct hardened_jobs {
  hardened_jobs() {
    sluice::add_jobs(service, h.options());
    sluice::mount(server, service);
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();
  }
  ~hardened_jobs() { stop(); }
  void stop() {
    if (!thread.joinable()) return;
    server.stop();
    thread.join();
  }

  const house h;
  sluice::service service;
  sluice::hardened_server server{{.threads = 4}};
  int port = 0;
  std::thread thread;
};

}  // namespace

// cpp-httplib 0.11.4 parses the header before any handler is called, and its numbers overflow.
TEST_CASE("ranges of any number of digits reach a result through a hardened server") {
  const hardened_jobs app;
  httplib::Client c("127.0.0.1", app.port);
  const auto where = started(c, "", sums);
  CHECK(until_done(c, where).find("\"state\":\"done\"") != std::string::npos);
  const auto whole = c.Get(where + "/result")->body;
  const auto size = std::to_string(whole.size());
  const auto last = std::to_string(whole.size() - 1);
  for (const auto& [range, begin] :
       {std::pair{"bytes=0-18446744073709551615", 0}, std::pair{"bytes=7-9223372036854775807", 7},
        std::pair{"bytes=-18446744073709551616", 0}, std::pair{"Bytes=0007-99999999999999999999", 7}}) {
    CAPTURE(range);
    const auto r = c.Get(where + "/result", {{"Range", range}});
    REQUIRE(r);
    CHECK(r->status == 206);
    CHECK(r->body == whole.substr(static_cast<std::size_t>(begin)));
    CHECK(r->get_header_value("Content-Range") == cat("bytes ", std::to_string(begin), "-", last, "/", size));
  }
  const auto beyond = c.Get(where + "/result", {{"Range", "bytes=18446744073709551616-"}});
  REQUIRE(beyond);
  CHECK(beyond->status == 416);
  CHECK(beyond->get_header_value("Content-Range") == cat("bytes */", size));
}

TEST_CASE("streams of events leave threads to others, and those that may not wait are refused") {
  const house h;
  sluice::service service;
  sluice::add_jobs(service, h.options());
  sluice::hardened_server server({.threads = 1, .waiting_threads = 2});
  sluice::mount(server, service);
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  httplib::Client c("127.0.0.1", port);
  const auto where = started(c, "", long_job);
  wire one(port), two(port), three(port);
  for (wire* w : {&one, &two}) {
    w->send(get(where + "/events"));
    CHECK(w->read_until("retry: 2000").find(" 200 ") != std::string::npos);
  }
  CHECK(three.send(get(where + "/events")).read_until("}").find(" 429 ") != std::string::npos);
  CHECK(c.Get("/health/live")->status == 200);
  CHECK(c.Delete(where)->status / 100 == 2);  // 202, or 200 when the job has ended by then
  CHECK(sluice::shut_down(server, service, 20));
  thread.join();
}

TEST_CASE("events by a hardened server, and by HTTP/1.0") {
  hardened_jobs app;
  auto& service = app.service;
  auto& server = app.server;
  const int port = app.port;
  httplib::Client c("127.0.0.1", port);
  const auto where = started(c, "", long_job);
  wire stream(port);
  stream.send(get(where + "/events"));
  const auto begin = stream.read_until("\"state\":\"running\"");
  CHECK(begin.find("Transfer-Encoding: chunked") != begin.npos);
  CHECK(stream.read_until("\"bytes_total\"").find("id: ") != std::string::npos);  // they come one by one
  wire old(port);
  old.send(cat("GET ", where, "/events HTTP/1.0\r\nHost: x\r\n\r\n"));
  const auto unframed = old.read_until("\"state\":\"running\"");
  CHECK(unframed.find("chunked") == unframed.npos);
  CHECK(unframed.find("\r\n\r\nretry: 2000\n\nid: ") != unframed.npos);
  CHECK(c.Delete(where)->status / 100 == 2);
  CHECK(stream.read_until("\r\n0\r\n\r\n").find("cancelled") != std::string::npos);
  CHECK(old.read().find("cancelled") != std::string::npos);
  CHECK(old.closed);

  const auto again = started(c, "", long_job);
  wire last(port);
  last.send(get(again + "/events"));
  last.read_until("\"state\":\"running\"");
  CHECK(service.drain(10));
  CHECK(server.drain(10));
  app.stop();
  CHECK(last.read().ends_with("0\r\n\r\n"));
}
