// Jobs of a service without a transport, and the files that they are about.
#pragma once

#include <chrono>
#include <thread>

#include "files.hpp"
#include "service_testing.hpp"
#include "sluice/jobs.hpp"
#include "testing.hpp"

namespace testing {

// data/ is given to clients as "d"; what lies beside it is not.
struct house {
  house() {
    std::filesystem::create_directories(here / "data/sub");
    write_file(here / "secret", "secret");
  }
  [[nodiscard]] sluice::job_options options() const {
    return {.folder = here / "jobs", .data_directories = {{"d", here / "data"}}};
  }
  [[nodiscard]] std::string data(std::string_view name) const { return here / cat("data/", name); }
  // Rows of 4 MiB, nearly all of them zeros that no disk holds: a job of as many seconds as it has tens of gigabytes.
  void write_long(std::string_view name, std::int64_t bytes) const {
    write_file(data(name), "\x01\x02\x03\x3f");
    std::filesystem::resize_file(data(name), static_cast<std::uintmax_t>(bytes));
  }
  [[nodiscard]] std::size_t files_of_jobs() const {
    std::size_t n = 0;
    for (const auto& e : std::filesystem::directory_iterator(here / "jobs"))
      n += e.path().filename().string().find(".npy") != std::string::npos;
    return n;
  }

  folder here;
};

// A service with jobs.
struct job_service : sluice::service {
  explicit job_service(sluice::job_options jobs, sluice::service_options options = {}) : service(std::move(options)) {
    sluice::add_jobs(*this, std::move(jobs));
  }
};

inline constexpr std::int64_t gigabyte = 1 << 30;
inline constexpr auto long_job = R"({"operation":"rowsum","input":"d/long","columns":1048576})";

inline std::string value_of(std::string_view key, std::string_view json) {
  const auto quoted = cat("\"", key, "\":");
  auto at = json.find(quoted);
  if (at == json.npos) return "";
  json.remove_prefix(at + quoted.size());
  if (json.starts_with('"')) return std::string(json.substr(1, json.find('"', 1) - 1));
  return std::string(json.substr(0, json.find_first_of(",}")));
}

inline sluice::response ask(sluice::service& s, std::string method, std::string path, headers with = {}) {
  return send(s, std::move(method), std::move(path), {}, std::move(with));
}

// Its id; the order must be taken.
inline std::string started(sluice::service& s, std::string_view order) {
  const auto r = post(s, "jobs", order);
  const auto text = r.text();
  CAPTURE(text);
  REQUIRE(r.status == 202);
  const auto id = value_of("id", text);
  CHECK(r.header("Location") == cat("/v1/jobs/", id));
  return id;
}

// The rest of a stream of events, which must end.
inline std::string rest_of(const sluice::response& events) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string all;
  while (events.write_body([&](std::string_view bytes) { return all += bytes, true; }))
    if (std::chrono::steady_clock::now() > end) FAIL("the events never ended: " << all.substr(0, 500));
  return all;
}

// The job once `is` says so of its JSON.
template <class F>
std::string until(sluice::service& s, const std::string& id, F is) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (;;) {
    const auto text = ask(s, "GET", cat("/v1/jobs/", id)).text();
    if (is(text)) return text;
    if (std::chrono::steady_clock::now() > end) FAIL("the job never came so far: " << text);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}
inline std::string until_state(sluice::service& s, const std::string& id, std::string_view state) {
  return until(s, id, [&](const std::string& text) { return value_of("state", text) == state; });
}
inline std::string until_ended(sluice::service& s, const std::string& id) {
  return until(s, id, [&](const std::string& text) { return value_of("ended", text) != "null"; });
}

inline sluice::tensor result_of(sluice::service& s, const std::string& id, std::string_view part = "result") {
  const auto r = ask(s, "GET", cat("/v1/jobs/", id, "/", part));
  REQUIRE(r.status == 200);
  CHECK(r.header("Content-Type") == "application/x-npy");
  const auto text = r.text();
  CHECK(text.size() == r.size());
  return sluice::decode_npy(as_bytes(text));
}

}  // namespace testing
