// Jobs on files: from the request to the result, refusals, events, ranges, bounds, and what becomes of them when the service
// ends or the system fails.
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "files.hpp"
#include "service_testing.hpp"
#include "sluice/pipeline.hpp"
#include "testing.hpp"

using namespace sluice;
using testing::cat;
using testing::check_problem;

namespace {

// data/ is given to clients as "d"; what lies beside it is not.
struct house {
  house() {
    std::filesystem::create_directories(here / "data/sub");
    testing::write_file(here / "secret", "secret");
  }
  [[nodiscard]] service_options options() const {
    return {.data_directories = {{"d", here / "data"}}, .jobs = {.folder = here / "jobs"}};
  }
  [[nodiscard]] std::string data(std::string_view name) const { return here / cat("data/", name); }
  // Rows of 4 MiB, nearly all of them zeros that no disk holds: a job of as many seconds as it has tens of gigabytes.
  void write_long(std::string_view name, std::int64_t bytes) const {
    testing::write_file(data(name), "\x01\x02\x03\x3f");
    std::filesystem::resize_file(data(name), static_cast<std::uintmax_t>(bytes));
  }
  [[nodiscard]] std::size_t files_of_jobs() const {
    std::size_t n = 0;
    for (const auto& e : std::filesystem::directory_iterator(here / "jobs"))
      n += e.path().filename().string().find(".npy") != std::string::npos;
    return n;
  }

  testing::folder here;
};

// Reads and writes that fault/fault.cpp harms as long as this is.
struct fault {
  fault(const std::string& file, const std::string& rules) {
    ::setenv("SLUICE_FAULT_FILE", file.c_str(), 1);
    ::setenv("SLUICE_FAULT", rules.c_str(), 1);
  }
  fault(const fault&) = delete;
  fault& operator=(const fault&) = delete;
  ~fault() { ::unsetenv("SLUICE_FAULT"); }
};

constexpr std::int64_t gigabyte = 1 << 30;
constexpr auto long_job = R"({"operation":"rowsum","input":"d/long","columns":1048576})";

std::string value_of(std::string_view key, std::string_view json) {
  const auto quoted = cat("\"", key, "\":");
  auto at = json.find(quoted);
  if (at == json.npos) return "";
  json.remove_prefix(at + quoted.size());
  if (json.starts_with('"')) return std::string(json.substr(1, json.find('"', 1) - 1));
  return std::string(json.substr(0, json.find_first_of(",}")));
}

response ask(service& s, std::string method, std::string path, testing::headers with = {}) {
  return testing::send(s, std::move(method), std::move(path), {}, std::move(with));
}

// Its id; the order must be taken.
std::string started(service& s, std::string_view order) {
  const auto r = testing::post(s, "jobs", order);
  const auto text = r.text();
  CAPTURE(text);
  REQUIRE(r.status == 202);
  const auto id = value_of("id", text);
  CHECK(r.header("Location") == cat("/v1/jobs/", id));
  return id;
}

// The job once `is` says so of its JSON.
template <class F>
std::string until(service& s, const std::string& id, F is) {
  for (int i = 0; i < 60'000; ++i) {
    const auto text = ask(s, "GET", cat("/v1/jobs/", id)).text();
    if (is(text)) return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL("the job never came so far");
  return "";
}
std::string until_state(service& s, const std::string& id, std::string_view state) {
  return until(s, id, [&](const std::string& text) { return value_of("state", text) == state; });
}
std::string until_ended(service& s, const std::string& id) {
  return until(s, id, [&](const std::string& text) { return value_of("ended", text) != "null"; });
}

tensor result_of(service& s, const std::string& id, std::string_view part = "result") {
  const auto r = ask(s, "GET", cat("/v1/jobs/", id, "/", part));
  REQUIRE(r.status == 200);
  CHECK(r.header("Content-Type") == "application/x-npy");
  const auto text = r.text();
  CHECK(text.size() == r.size());
  return decode_npy(testing::as_bytes(text));
}

}  // namespace

TEST_CASE("from the request to the result") {
  const house p;
  const tensor a = testing::rough({1000, 37}, dtype::f32);
  const tensor b = testing::rough({37, 3}, dtype::f32, 2);
  write_npy(p.data("sub/a.npy"), a);
  write_npy(p.data("b.npy"), b);
  const auto bytes = testing::bytes_of(a);
  testing::write_file(p.data("raw"), cat("0123", std::string(bytes.begin(), bytes.end())));
  service s(p.options());

  const auto first = started(s, R"({"operation":"rowsum","input":"d/sub/a.npy"})");
  auto text = until_ended(s, first);
  CAPTURE(text);
  CHECK(value_of("state", text) == "done");
  CHECK(value_of("columns", text) == "37");
  CHECK(value_of("dtype", text) == "f32");
  CHECK(value_of("bytes", text) == "148000");
  CHECK(value_of("bytes_total", text) == "148000");
  CHECK(value_of("rows", text) == "1000");
  CHECK(value_of("error", text) == "null");
  CHECK(testing::same_bits(result_of(s, first), rowsum(a)));

  const auto raw = started(s, R"({"operation":"rowsum","input":"d/raw","columns":37,"offset":4,"column_totals":true})");
  CHECK(value_of("state", until_ended(s, raw)) == "done");
  CHECK(testing::same_bits(result_of(s, raw), rowsum(a)));
  CHECK(testing::same_bits(result_of(s, raw, "column_totals"), rowsum(a.transpose(0, 1))));
  check_problem(ask(s, "GET", cat("/v1/jobs/", first, "/column_totals")), 404, "column totals");

  const auto product = started(s, R"({"operation":"matmul","input":"d/sub/a.npy","operand":"d/b.npy"})");
  CHECK(value_of("state", until_ended(s, product)) == "done");
  CHECK(testing::same_bits(result_of(s, product), matmul(a, b)));

  // The latest first, and no more than asked for.
  const auto list = ask(s, "GET", "/v1/jobs").text();
  CHECK(list.find(product) < list.find(raw));
  CHECK(list.find(raw) < list.find(first));
  const auto latest = s.handle({.method = "GET", .path = "/v1/jobs", .query = "x=1&limit=1"}).text();
  CHECK(latest.find(product) != latest.npos);
  CHECK(latest.find(raw) == latest.npos);
  for (const char* wrong : {"limit=0", "limit=1001", "limit=x", "limit="})
    check_problem(s.handle({.method = "GET", .path = "/v1/jobs", .query = wrong}), 422, "1 to 1000");

  // One that has ended is removed, with its results.
  CHECK(p.files_of_jobs() == 4);
  CHECK(ask(s, "DELETE", cat("/v1/jobs/", raw)).status == 204);
  CHECK(p.files_of_jobs() == 2);
  for (const char* part : {"", "/result", "/events"}) check_problem(ask(s, "GET", cat("/v1/jobs/", raw, part)), 404, raw);
  check_problem(ask(s, "DELETE", cat("/v1/jobs/", raw)), 404, raw);

  const auto metrics = ask(s, "GET", "/metrics").text();
  CHECK(metrics.find("\nsluice_jobs{state=\"done\"} 2\n") != metrics.npos);
  CHECK(metrics.find("\nsluice_jobs{state=\"running\"} 0\n") != metrics.npos);
  CHECK(metrics.find("\nsluice_job_bytes_total 444000\n") != metrics.npos);
}

TEST_CASE("orders that are none") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({4, 3}, dtype::f32));
  write_npy(p.data("f64.npy"), testing::random({3, 4}, dtype::f64));
  testing::write_file(p.data("raw"), "0123456789");
  testing::write_file(p.data("empty"), "");
  service s(p.options());
  const auto refused = [&](std::string_view order, int status, std::string_view words) {
    CAPTURE(std::string(order));
    check_problem(testing::post(s, "jobs", order), status, words);
  };
  refused("", 400, "not JSON");
  refused("{", 400, "not JSON");
  refused("{} x", 400, "not JSON");
  refused("[]", 422, "no JSON object");
  refused("{}", 422, "operation is");
  refused(R"({"operation":"product","input":"d/a.npy"})", 422, "rowsum or matmul");
  refused(R"({"operation":"rowsum"})", 422, "input");
  refused(R"({"operation":"rowsum","input":3})", 422, "input is no string");
  refused(R"({"operation":"rowsum","input":"d/a.npy","input":"d/a.npy"})", 422, "twice");
  refused(R"({"operation":"rowsum","input":"d/a.npy","output":"d/b"})", 422, "\\\"output\\\" is not known");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":0})", 422, "columns is no whole number from 1");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":1.5})", 422, "columns");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":2,"offset":-1})", 422, "offset");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":2,"dtype":"f7"})", 422, "f7");
  refused(R"({"operation":"rowsum","input":"d/raw","column_totals":1})", 422, "neither true nor false");
  refused(R"({"operation":"rowsum","input":"d/raw"})", 422, "d/raw does not begin with the magic of .npy");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":1})", 400, "d/raw has 10 bytes: not a multiple");
  refused(R"({"operation":"rowsum","input":"d/empty","columns":1})", 400, "0 bytes");
  refused(R"({"operation":"rowsum","input":"d/a.npy","columns":4})", 422, "columns is 4");
  refused(R"({"operation":"rowsum","input":"d/a.npy","operand":"d/a.npy"})", 422, "matmul's");
  refused(R"({"operation":"matmul","input":"d/a.npy"})", 422, "operand");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy","column_totals":true})", 422, "rowsum's");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy"})", 422, "the operand must be (3, n) of f32");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/f64.npy"})", 422, "the operand must be (3, n) of f32");
  refused(cat(R"({"operation":"rowsum","input":")", std::string(70'000, 'x'), "\"}"), 413, "65536");
  check_problem(testing::post(s, "jobs", "x", {{"Content-Type", "application/x-npy"}}), 415, "application/json");
  check_problem(ask(s, "PUT", "/v1/jobs"), 405, "GET, HEAD, POST");
  check_problem(ask(s, "POST", "/v1/jobs/1"), 405, "GET, HEAD, DELETE");
  check_problem(ask(s, "DELETE", "/v1/jobs/1/result"), 405, "GET, HEAD");
  check_problem(ask(s, "GET", "/v1/jobs/1/other"), 404, "nothing is served");
  check_problem(ask(s, "GET", "/v1/jobs/"), 404, "no job");
  CHECK(ask(s, "GET", "/v1/jobs").text() == R"({"jobs":[]})");
  CHECK(p.files_of_jobs() == 0);
}

TEST_CASE("no byte of a file that is not given") {
  const house p;
  std::filesystem::create_symlink(p.here / "secret", p.data("link"));
  std::filesystem::create_symlink("../..", p.data("up"));
  REQUIRE(::mkfifo(p.data("pipe").c_str(), 0600) == 0);
  service s(p.options());
  const auto status = [&](std::string_view input) {
    return testing::post(s, "jobs", cat(R"({"operation":"rowsum","dtype":"u8","columns":1,"input":")", input, "\"}")).status;
  };
  for (const char* input : {"d/../secret", "d/sub/../../secret", "d//etc/passwd", "d/link", "d/up/secret", "d/sub", "d/.",
                            "d/pipe", "d/sub/..", "d/link\\u0000.npy"}) {
    CAPTURE(input);
    CHECK(status(input) == 403);
  }
  for (const char* input : {"d/%2e%2e/secret", "d/%2e%2e%2fsecret", "d/none", "d/", "d", "", "/etc/passwd", "e/secret", "..",
                            "../secret", "./d/sub"}) {
    CAPTURE(input);
    CHECK((status(input) == 404 || std::string_view(input).empty()));
  }
  testing::write_file(p.data("a"), "abc");
  CHECK(status("d/a") == 202);
}

TEST_CASE("ranges of a result") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({100, 3}, dtype::f32));
  service s(p.options());
  const auto id = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  until_state(s, id, "done");
  const auto path = cat("/v1/jobs/", id, "/result");
  const auto whole = ask(s, "GET", path);
  const auto all = whole.text();
  REQUIRE(all.size() == 528);
  const std::string tag(whole.header("ETag"));
  CHECK(tag == cat("\"", id, "\""));
  CHECK(whole.header("Accept-Ranges") == "bytes");

  const auto check_range = [&](std::string_view range, std::size_t begin, std::size_t end) {
    CAPTURE(std::string(range));
    const auto r = ask(s, "GET", path, {{"Range", std::string(range)}});
    CHECK(r.status == 206);
    CHECK(r.size() == end - begin);
    CHECK(r.text() == all.substr(begin, end - begin));
    CHECK(r.header("Content-Range") == cat("bytes ", std::to_string(begin), "-", std::to_string(end - 1), "/528"));
    CHECK(r.header("ETag") == tag);
  };
  check_range("bytes=0-0", 0, 1);
  check_range("bytes=128-527", 128, 528);
  check_range("bytes=500-", 500, 528);
  check_range("bytes=-28", 500, 528);
  check_range("bytes=-9999", 0, 528);
  check_range("bytes=1-99999999999999999999999", 1, 528);
  check_range("bytes= 3-4 ", 3, 5);
  for (const char* range : {"bytes=528-", "bytes=528-600", "bytes=-0", "bytes=99999999999999999999999-"}) {
    CAPTURE(range);
    const auto r = ask(s, "GET", path, {{"Range", range}});
    check_problem(r, 416, "528 bytes");
    CHECK(r.header("Content-Range") == "bytes */528");
  }
  // What is no single range of bytes is passed over.
  for (const char* range :
       {"bytes=0-1,4-5", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "rows=0-1", "bytes=+1-2"}) {
    CAPTURE(range);
    CHECK(ask(s, "GET", path, {{"Range", range}}).status == 200);
  }
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", tag}}).status == 206);
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", "\"other\""}}).status == 200);
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", "Sat, 01 Jan 2050 00:00:00 GMT"}}).status == 200);
  CHECK(ask(s, "HEAD", path, {{"Range", "bytes=0-1"}}).size() == 528);
  for (const std::string& tags : {tag, cat("\"x\", ", tag), cat("W/", tag), std::string("*")}) {
    CAPTURE(tags);
    const auto r = ask(s, "GET", path, {{"If-None-Match", tags}});
    CHECK(r.status == 304);
    CHECK(r.size() == 0);
    CHECK(r.header("ETag") == tag);
  }
  CHECK(ask(s, "GET", path, {{"If-None-Match", "\"x\""}}).status == 200);
}

TEST_CASE("events") {
  const house p;
  p.write_long("long", 400 * gigabyte);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.jobs.event_streams = 2;
  options.jobs.heartbeat_seconds = 0.01;
  service s(options);
  const auto running = started(s, long_job);
  const auto waiting = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  const auto events = [&](const std::string& id, testing::headers with = {}) {
    return ask(s, "GET", cat("/v1/jobs/", id, "/events"), std::move(with));
  };

  // Nothing happens to one that waits but heartbeats; a client that goes ends its stream.
  {
    const auto r = events(waiting);
    CHECK(r.header("Content-Type") == "text/event-stream");
    CHECK(r.content_length == -1);
    std::string seen;
    const auto take = [&](std::string_view bytes) { return seen += bytes, true; };
    for (int i = 0; i < 5; ++i) {
      CHECK(r.write_body(take));
    }
    CHECK(seen.starts_with("retry: 2000\n\nid: 1\ndata: {\"id\":\""));
    CHECK(seen.find("\n\n:\n\n") != seen.npos);
    int calls = 0;
    while (r.write_body([&](std::string_view) { return false; })) ++calls;
    CHECK(calls < 5);
    // So many streams, and no more; a stream that has gone makes room.
    const auto second = events(waiting);
    const auto third = events(waiting);
    check_problem(third, 429, "2 streams");
    CHECK(third.header("Retry-After") == "5");
    const auto metrics = ask(s, "GET", "/metrics").text();
    CHECK(metrics.find("\nsluice_job_event_streams 2\n") != metrics.npos);
  }
  // One at work tells of its progress; with ids that rise.
  {
    const auto r = events(running);
    std::string seen;
    std::int64_t last = 0;
    for (int n = 0; n < 3;) {
      seen.clear();
      REQUIRE(r.write_body([&](std::string_view bytes) { return seen += bytes, true; }));
      const auto id = seen.find("id: ");
      if (id == seen.npos) continue;
      const auto now = std::stoll(seen.substr(id + 4));
      CHECK(now > last);
      last = now;
      ++n;
    }
    CHECK(value_of("state", seen) == "running");
    CHECK(std::stoll(value_of("bytes", seen)) > 0);
    CHECK(std::stod(value_of("seconds_left", seen)) > 0);
    CHECK(ask(s, "DELETE", cat("/v1/jobs/", running)).status == 202);
    const auto rest = r.text();  // to the last event
    CHECK(rest.find("\"state\":\"cancelled\"") != rest.npos);
    CHECK(rest.ends_with("}\n\n"));
  }
  // After the end there is the last event, for who has not seen it.
  until_state(s, waiting, "done");
  const auto late = events(waiting).text();
  CHECK(late.find("\"state\":\"done\"") != late.npos);
  const auto id = late.substr(late.find("id: ") + 4, late.find("\ndata") - late.find("id: ") - 4);
  CHECK(events(waiting, {{"Last-Event-ID", id}}).status == 204);
  for (const char* other : {"1", "", "x", "-1", "999999999999", "99999999999999999999999999"}) {
    CAPTURE(other);
    const auto again = events(waiting, {{"Last-Event-ID", other}});
    CHECK(again.status == 200);
    CHECK(again.text() == late);
  }
  // A job that is removed has no more of them.
  const auto stream = events(waiting);
  CHECK(ask(s, "DELETE", cat("/v1/jobs/", waiting)).status == 204);
  CHECK(stream.text() == "retry: 2000\n\n");
}

TEST_CASE("bounds, and cancelling") {
  const house p;
  p.write_long("long", 400 * gigabyte);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.jobs.queued = 2;
  options.jobs.kept = 3;
  service s(options);
  const auto running = started(s, long_job);
  until_state(s, running, "running");
  check_problem(ask(s, "GET", cat("/v1/jobs/", running, "/result")), 409, "running: its result is there when it is done");
  const auto second = started(s, long_job);
  const auto third = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  const auto full = testing::post(s, "jobs", long_job);
  check_problem(full, 429, "2 jobs wait");
  CHECK(std::stoi(std::string(full.header("Retry-After"))) >= 1);
  // The compute slots are for requests.
  CHECK(ask(s, "GET", "/metrics").text().find("\nsluice_compute_slots_in_use 0\n") != std::string::npos);

  const auto cancelled = ask(s, "DELETE", cat("/v1/jobs/", second));
  CHECK(cancelled.status == 200);
  CHECK(value_of("state", cancelled.text()) == "cancelled");
  CHECK(ask(s, "DELETE", cat("/v1/jobs/", running)).status == 202);
  const auto text = until_ended(s, running);
  CHECK(value_of("state", text) == "cancelled");
  CHECK(value_of("error", text) == "null");
  check_problem(ask(s, "GET", cat("/v1/jobs/", running, "/result")), 409, "cancelled: it has no result");
  until_state(s, third, "done");
  CHECK(p.files_of_jobs() == 1);

  // The oldest that have ended go.
  const auto fourth = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  until_state(s, fourth, "done");
  CHECK(ask(s, "GET", cat("/v1/jobs/", second)).status == 404);
  CHECK(ask(s, "GET", cat("/v1/jobs/", running)).status == 200);
  CHECK(ask(s, "GET", cat("/v1/jobs/", third, "/result")).status == 200);
}

TEST_CASE("a service that ends leaves its jobs to the next") {
  const house p;
  const tensor rows = testing::rough({48, 1 << 18}, dtype::f32);  // reads of 1 MiB
  write_npy(p.data("slow.npy"), rows);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.jobs.sync_seconds = 0;
  std::string first, second, done;
  {
    const fault slow(p.data("slow.npy"), "slow=20");
    service s(options);
    done = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    until_state(s, done, "done");
    first = started(s, R"({"operation":"rowsum","input":"d/slow.npy"})");
    second = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    until(s, first, [](const std::string& text) { return value_of("bytes", text) != "0"; });
    const auto events = ask(s, "GET", cat("/v1/jobs/", first, "/events"));
    // One folder, one service.
    CHECK_REFUSED(service(options), unavailable, "in use by another service");
    CHECK(s.drain(10));
    CHECK(events.text() == "retry: 2000\n\n");
    CHECK(value_of("state", until_state(s, first, "queued")) == "queued");
    check_problem(testing::post(s, "jobs", long_job), 503, "about to end");
    check_problem(ask(s, "GET", cat("/v1/jobs/", first, "/events")), 503, "about to end");
    CHECK(ask(s, "GET", cat("/v1/jobs/", done, "/result")).status == 200);
  }
  testing::write_file(p.here / cat("jobs/", std::string(32, 'a'), ".npy"), "of a job that nobody knows");
  testing::write_file(p.here / "jobs/other.npy", "none of ours");
  service s(options);
  const auto text = until_ended(s, first);
  CAPTURE(text);
  CHECK(value_of("state", text) == "done");
  CHECK(std::stoll(value_of("resumed_bytes", text)) > 0);
  CHECK(testing::same_bits(result_of(s, first), rowsum(rows)));
  until_state(s, second, "done");
  CHECK(ask(s, "GET", cat("/v1/jobs/", done, "/result")).status == 200);
  CHECK(!std::filesystem::exists(p.here / cat("jobs/", std::string(32, 'a'), ".npy")));
  CHECK(std::filesystem::exists(p.here / "jobs/other.npy"));
}

TEST_CASE("a file that changes while its job waits for the next service fails it") {
  const house p;
  p.write_long("long", 100 * gigabyte);
  auto options = p.options();
  options.jobs.sync_seconds = 0;
  std::string id;
  {
    service s(options);
    id = started(s, long_job);
    until(s, id, [](const std::string& text) { return value_of("bytes", text) != "0"; });
  }
  p.write_long("long", 1 * gigabyte);
  service s(options);
  const auto text = until_ended(s, id);
  CAPTURE(text);
  CHECK(value_of("state", text) == "failed");
  CHECK(text.find("journal") != text.npos);
  CHECK(text.find("bytes, changed at") != text.npos);
  CHECK(text.find(p.here / "") == text.npos);  // the folder is no client's business
  check_problem(ask(s, "GET", cat("/v1/jobs/", id, "/result")), 409, "failed: it has no result");
  CHECK(p.files_of_jobs() == 0);
}

TEST_CASE("what the system refuses is in the job's state") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({100'000, 3}, dtype::f32));
  write_npy(p.data("gone.npy"), testing::random({10, 3}, dtype::f32));
  p.write_long("long", 400 * gigabyte);
  service s(p.options());
  {
    const fault full(".npy.partial", cat("write=", std::to_string(ENOSPC), "@200000"));
    const auto id = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    const auto text = until_ended(s, id);
    CAPTURE(text);
    CHECK(value_of("state", text) == "failed");
    CHECK(value_of("code", text) == "io");
    CHECK(text.find("No space left on device at byte ") != text.npos);
    CHECK(text.find(p.here / "") == text.npos);
  }
  const auto running = started(s, long_job);
  const auto gone = started(s, R"({"operation":"rowsum","input":"d/gone.npy"})");
  std::filesystem::remove(p.data("gone.npy"));
  ask(s, "DELETE", cat("/v1/jobs/", running));
  const auto text = until_ended(s, gone);
  CAPTURE(text);
  CHECK(value_of("state", text) == "failed");
  CHECK(value_of("code", text) == "not_found");
  CHECK(p.files_of_jobs() == 0);
}

TEST_CASE("a service without jobs, and options that cannot be") {
  {
    service s;
    for (const char* method : {"GET", "POST"}) check_problem(ask(s, method, "/v1/jobs"), 501, "no folder for jobs");
    check_problem(ask(s, "GET", "/v1/jobs/1/result"), 501, "no folder for jobs");
    CHECK(ask(s, "GET", "/metrics").text().find("sluice_jobs") == std::string::npos);
    CHECK_REFUSED(s.add({.name = "jobs"}), invalid_argument, "reserved");
  }
  const house p;
  const auto with = [&](auto change) {
    auto o = p.options();
    change(o);
    service s(o);
  };
  CHECK_REFUSED(with([](auto& o) { o.jobs.running = 0; }), invalid_argument, "jobs.running is 0");
  CHECK_REFUSED(with([](auto& o) { o.jobs.queued = -1; }), invalid_argument, "jobs.queued is -1");
  CHECK_REFUSED(with([](auto& o) { o.jobs.kept = 0; }), invalid_argument, "jobs.kept is 0");
  CHECK_REFUSED(with([&](auto& o) { o.data_directories["e"] = p.here / "none"; }), io, "none");
  CHECK_REFUSED(with([&](auto& o) { o.data_directories["a/b"] = p.here / "data"; }), invalid_argument, "a/b");
  CHECK_REFUSED(with([&](auto& o) { o.jobs.folder = p.here / "secret"; }), io, "secret");
  std::filesystem::create_directories(p.here / "jobs");
  testing::write_file(p.here / "jobs/jobs.db", std::string(5000, 'x'));
  CHECK_REFUSED(with([](auto&) {}), io, "jobs.db");
}
