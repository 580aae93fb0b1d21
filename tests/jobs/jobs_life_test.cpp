// The life of jobs: events, bounds, and what becomes of them when the service ends or the system fails.
#include "fault/fault.hpp"
#include "jobs_testing.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <optional>

using namespace sluice;
using testing::ask;
using testing::cat;
using testing::check_problem;
using testing::fault;
using testing::gigabyte;
using testing::house;
using testing::job_service;
using testing::long_job;
using testing::rest_of;
using testing::result_of;
using testing::started;
using testing::until;
using testing::until_ended;
using testing::until_state;
using testing::value_of;

TEST_CASE("events") {
  const house p;
  p.write_long("long", 400 * gigabyte);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.event_streams = 2;
  options.heartbeat_seconds = 0.01;
  job_service s(options);
  const auto running = started(s, long_job);
  const auto waiting = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  const auto events = [&](const std::string& id, testing::headers with = {}) {
    return ask(s, "GET", cat("/v1/jobs/", id, "/events"), std::move(with));
  };

  // Nothing happens to one that waits but heartbeats; a client that goes ends its stream.
  {
    const auto r = events(waiting);
    CHECK(r.header("Content-Type") == "text/event-stream");
    CHECK(r.header("X-Accel-Buffering") == "no");
    CHECK(r.header("Cache-Control") == "no-cache, no-transform");
    CHECK(r.content_length == -1);
    std::string seen;
    const auto take = [&](std::string_view bytes) { return seen += bytes, true; };
    for (int i = 0; i < 5; ++i) {
      CHECK(r.write_body(take));
    }
    CHECK(seen.starts_with("retry: 2000\n\nid: 1\ndata: {\"id\":\""));
    CHECK(seen.find("\n\n:\n\n") != seen.npos);
    int calls = 0;
    while (calls < 5 && r.write_body([&](std::string_view) { return false; })) ++calls;
    CHECK(calls < 5);
    // So many streams, and no more; a stream that has gone makes room.
    const auto second = events(waiting);
    const auto third = events(waiting);
    REQUIRE(third.status == 429);  // the text of a stream would have no end
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
    for (int n = 0, calls = 0; n < 3; ++calls) {
      REQUIRE(calls < 3000);  // of 10 ms
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
    const auto rest = rest_of(r);
    CHECK(rest.find("\"state\":\"cancelled\"") != rest.npos);
    CHECK(rest.ends_with("}\n\n"));
  }
  // After the end there is the last event, for who has not seen it.
  until_state(s, waiting, "done");
  const auto late = rest_of(events(waiting));
  CHECK(late.find("\"state\":\"done\"") != late.npos);
  const auto id = late.substr(late.find("id: ") + 4, late.find("\ndata") - late.find("id: ") - 4);
  CHECK(events(waiting, {{"Last-Event-ID", id}}).status == 204);
  for (const char* other : {"1", "", "x", "-1", "999999999999", "99999999999999999999999999"}) {
    CAPTURE(other);
    const auto again = events(waiting, {{"Last-Event-ID", other}});
    CHECK(again.status == 200);
    CHECK(rest_of(again) == late);
  }
  // A job that is removed has no more of them.
  const auto stream = events(waiting);
  CHECK(ask(s, "DELETE", cat("/v1/jobs/", waiting)).status == 204);
  CHECK(rest_of(stream) == "retry: 2000\n\n");
}

TEST_CASE("bounds, and cancelling") {
  const house p;
  p.write_long("long", 400 * gigabyte);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.queued = 2;
  options.kept = 3;
  std::optional<job_service> held(options);
  service& s = *held;
  const auto running = started(s, long_job);
  until_state(s, running, "running");
  check_problem(ask(s, "GET", cat("/v1/jobs/", running, "/result")), 409, "running: its result exists once it is done");
  const auto second = started(s, long_job);
  // One at once: while it goes on, the next waits.
  const auto before = value_of("bytes", ask(s, "GET", cat("/v1/jobs/", running)).text());
  until(s, running, [&](const std::string& text) { return value_of("bytes", text) != before; });
  CHECK(value_of("state", ask(s, "GET", cat("/v1/jobs/", second)).text()) == "queued");
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
  // Their results with them, and for good.
  for (int i = 0; i < 2; ++i) until_state(s, started(s, R"({"operation":"rowsum","input":"d/a.npy"})"), "done");
  CHECK(ask(s, "GET", cat("/v1/jobs/", third)).status == 404);
  CHECK(p.files_of_jobs() == 3);
  held.reset();
  options.kept = 100;
  job_service next(options);
  CHECK(ask(next, "GET", cat("/v1/jobs/", third)).status == 404);
  CHECK(ask(next, "GET", cat("/v1/jobs/", fourth, "/result")).status == 200);
}

TEST_CASE("a service that ends leaves its jobs to the next") {
  const house p;
  const tensor rows = testing::rough({48, 1 << 18}, dtype::f32);  // reads of 1 MiB
  write_npy(p.data("slow.npy"), rows);
  write_npy(p.data("a.npy"), testing::random({10, 3}, dtype::f32));
  auto options = p.options();
  options.sync_seconds = 0;
  std::string first, second, done, removed;
  {
    const fault slow(p.data("slow.npy"), "slow=20");
    job_service s(options);
    done = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    until_state(s, done, "done");
    removed = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    until_state(s, removed, "done");
    CHECK(ask(s, "DELETE", cat("/v1/jobs/", removed)).status == 204);
    first = started(s, R"({"operation":"rowsum","input":"d/slow.npy"})");
    second = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
    until(s, first, [](const std::string& text) { return value_of("bytes", text) != "0"; });
    const auto events = ask(s, "GET", cat("/v1/jobs/", first, "/events"));
    // One folder, one service.
    CHECK_REFUSED(job_service(options), unavailable, "in use by another service");
    CHECK(s.drain(10));
    CHECK(rest_of(events) == "retry: 2000\n\n");
    CHECK(value_of("state", until_state(s, first, "queued")) == "queued");
    check_problem(testing::post(s, "jobs", long_job), 503, "the server is shutting down");
    check_problem(ask(s, "GET", cat("/v1/jobs/", first, "/events")), 503, "the server is shutting down");
    CHECK(ask(s, "GET", cat("/v1/jobs/", done, "/result")).status == 200);
  }
  testing::write_file(p.here / cat("jobs/", std::string(32, 'a'), ".npy"), "of a job that nobody knows");
  const auto other = cat("jobs/", std::string(32, 'z'), ".npy");  // as long as an id, and none
  testing::write_file(p.here / other, "none of ours");
  job_service s(options);
  const auto text = until_ended(s, first);
  CAPTURE(text);
  CHECK(value_of("state", text) == "done");
  CHECK(std::stoll(value_of("resumed_bytes", text)) > 0);
  CHECK(testing::same_bits(result_of(s, first), rowsum(rows)));
  until_state(s, second, "done");
  CHECK(ask(s, "GET", cat("/v1/jobs/", done, "/result")).status == 200);
  CHECK(!std::filesystem::exists(p.here / cat("jobs/", std::string(32, 'a'), ".npy")));
  CHECK(std::filesystem::exists(p.here / other));
  check_problem(ask(s, "GET", cat("/v1/jobs/", removed)), 404, removed);
}

// What a kill leaves is what is on the disk: here a copy of it, while the jobs are at work.
TEST_CASE("after a kill a job with a result is done, and another goes on, with events that the clients do not know") {
  const house p;
  p.write_long("long", 400 * gigabyte);
  auto options = p.options();
  options.running = 2;
  job_service s(options);
  const auto whole = started(s, long_job), part = started(s, long_job);
  until_state(s, whole, "running");
  std::int64_t seen = 0;
  {
    const auto events = ask(s, "GET", cat("/v1/jobs/", part, "/events"));
    for (int calls = 0; seen < 8; ++calls) {
      REQUIRE(calls < 300);  // of 250 ms at most
      std::string text;
      REQUIRE(events.write_body([&](std::string_view bytes) { return text += bytes, true; }));
      if (const auto at = text.find("id: "); at != text.npos) seen = std::stoll(text.substr(at + 4));
    }
  }
  std::filesystem::create_directories(p.here / "copy");
  for (const char* name : {"jobs.db", "jobs.db-wal"})
    std::filesystem::copy_file(p.here / cat("jobs/", name), p.here / cat("copy/", name));
  for (const auto& id : {whole, part}) ask(s, "DELETE", cat("/v1/jobs/", id));
  testing::write_file(p.here / cat("copy/", whole, ".npy"), "its result");

  options.folder = p.here / "copy";
  job_service next(options);
  const auto text = ask(next, "GET", cat("/v1/jobs/", whole)).text();
  CAPTURE(text);
  CHECK(value_of("state", text) == "done");
  CHECK(value_of("bytes", text) == value_of("bytes_total", text));
  CHECK(ask(next, "GET", cat("/v1/jobs/", whole, "/result")).text() == "its result");
  until_state(next, part, "running");
  CHECK(ask(next, "DELETE", cat("/v1/jobs/", part)).status == 202);
  until_ended(next, part);
  const auto last = rest_of(ask(next, "GET", cat("/v1/jobs/", part, "/events")));
  REQUIRE(last.find("id: ") != last.npos);
  CHECK(std::stoll(last.substr(last.find("id: ") + 4)) > seen);
}

TEST_CASE("a job that an older release left with its own form of journal is started over") {
  const house p;
  p.write_long("long", gigabyte / 4);
  auto options = p.options();
  options.sync_seconds = 0;
  std::string id, path;
  {
    const fault slow("data/long", "slow=20");
    job_service s(options);
    id = started(s, long_job);
    path = p.here / cat("jobs/", id, ".npy.journal");
    until(s, id, [&](const std::string&) { return std::filesystem::exists(path); });
  }
  const auto journal = testing::read_file(path);
  REQUIRE(!journal.empty());
  auto text = journal.substr(journal.find('\n') + 1);
  REQUIRE(text.starts_with("sluice journal 2\n"));
  text[15] = '1';
  unsigned long long number = 0, sum = 0xcbf29ce484222325;
  REQUIRE(std::sscanf(journal.c_str(), "sluice-journal 1 %llu ", &number) == 1);
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char line[96];
  std::snprintf(line, sizeof line, "sluice-journal 1 %llu %zu %016llx\n", number, text.size(), sum);
  testing::write_file(path, line + text);
  job_service s(options);
  const auto ended = until_ended(s, id);
  CAPTURE(ended);
  CHECK(value_of("state", ended) == "done");
  CHECK(value_of("resumed_bytes", ended) == "0");
  CHECK(value_of("rows", ended) == "64");
}

TEST_CASE("what jobs write is their user's alone") {
  using std::filesystem::perms;
  const auto may = [](const std::string& path) { return std::filesystem::status(path).permissions(); };
  const auto before = ::umask(022);
  const house p;
  p.write_long("long", 400 * gigabyte);
  write_npy(p.data("a.npy"), testing::random({1000, 3}, dtype::f32));
  auto options = p.options();
  options.folder = p.here / "new/jobs";
  options.sync_seconds = 0;
  options.running = 2;
  const auto names = [&](const char* end) {
    std::size_t n = 0;
    for (const auto& e : std::filesystem::directory_iterator(options.folder)) {
      const auto name = e.path().string();
      CAPTURE(name);
      const auto now = std::filesystem::status(name);
      if (!exists(now)) continue;  // renamed meanwhile
      CHECK(now.permissions() == perms(0600));
      n += name.ends_with(end);
    }
    return n;
  };
  {
    job_service s(options);
    CHECK(may(p.here / "new") == perms(0700));
    CHECK(may(options.folder) == perms(0700));
    const auto id = started(s, long_job);
    const auto journal = cat(options.folder, "/", id, ".npy.journal");
    until(s, id, [&](const std::string&) { return std::filesystem::exists(journal); });
    CHECK(names(".journal") == 1);
    CHECK(names(".partial") == 1);
    CHECK(names("jobs.db") + names("jobs.db-wal") + names("jobs.db-shm") == 3);
    const auto sums = started(s, R"({"operation":"rowsum","input":"d/a.npy","column_totals":true})");
    until_state(s, sums, "done");
    CHECK(names(".npy") == 2);
    ask(s, "DELETE", cat("/v1/jobs/", id));
    until_ended(s, id);
  }
  // A folder that is there keeps what its owner gave it.
  std::filesystem::create_directories(p.here / "jobs");
  std::filesystem::permissions(p.here / "jobs", perms(0750));
  {
    job_service s(p.options());
    CHECK(may(p.here / "jobs") == perms(0750));
    CHECK(may(p.here / "jobs/jobs.db") == perms(0600));
  }
  ::umask(before);
}

TEST_CASE("a file that changes while its job waits for the next service fails it") {
  const house p;
  p.write_long("long", 100 * gigabyte);
  auto options = p.options();
  options.sync_seconds = 0;
  std::string id;
  {
    job_service s(options);
    id = started(s, long_job);
    until(s, id, [](const std::string& text) { return value_of("bytes", text) != "0"; });
  }
  p.write_long("long", 1 * gigabyte);
  job_service s(options);
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
  job_service s(p.options());
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
