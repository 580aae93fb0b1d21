// Durable jobs on the server's files: /v1/jobs.
//
//   POST   /v1/jobs                    {"operation": "rowsum", "input": "NAME/path"}: 202, and the job's address
//   GET    /v1/jobs                    the latest first; ?limit=N
//   GET    /v1/jobs/ID                 progress
//   GET    /v1/jobs/ID/events          the same as server-sent events, until it ends
//   GET    /v1/jobs/ID/result          .npy, whole or a range; /column_totals likewise
//   DELETE /v1/jobs/ID                 cancels it, or removes one that has ended
#include <array>
#include <atomic>
#include <charconv>

#include <fmt/format.h>

#include "codec/json_writer.hpp"
#include "codec/media_type.hpp"
#include "describe.hpp"
#include "file_response.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/query.hpp"
#include "http/text.hpp"
#include "runner.hpp"
#include "sluice/jobs.hpp"

namespace sluice {
namespace serving {
namespace {

constexpr std::string_view root = "/v1/jobs";
constexpr std::int64_t longest_body = 64 << 10;
constexpr double moment = 0.25;  // seconds that a stream waits for an event before its transport checks the connection

std::string event_text(const jobs::job& j) { return fmt::format("id: {}\ndata: {}\n\n", j.event, jobs::json(j)); }

// One client's stream.
class event_stream {
 public:
  event_stream(const jobs::runner& r, std::string id, std::int64_t seen, double heartbeat,
               std::array<std::shared_ptr<void>, 2> held)
      : runner_(r), id_(std::move(id)), seen_(seen), heartbeat_(heartbeat), held_(std::move(held)) {}

  // Sends the next event, or waits a moment for it. False: the stream has ended, or the client has disconnected.
  bool next(const body_receiver& send) {
    if (!std::exchange(begun_, true) && !send("retry: 2000\n\n")) return false;
    const auto j = runner_.wait(id_, seen_, std::min(moment, heartbeat_));
    if (!j) return false;
    if (j->event > seen_) {
      seen_ = j->event;
      last_ = std::chrono::steady_clock::now();
      return send(event_text(*j)) && !has_ended(j->state);
    }
    if (seconds_of(std::chrono::steady_clock::now() - last_) < heartbeat_) return true;
    last_ = std::chrono::steady_clock::now();
    return send(":\n\n");  // detects a disconnected client, and keeps proxies from closing
  }

 private:
  const jobs::runner& runner_;
  const std::string id_;
  std::int64_t seen_;
  const double heartbeat_;
  const std::array<std::shared_ptr<void>, 2> held_;  // a place among the streams, and one among the threads that wait
  bool begun_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void check(const job_options& o) {
  const auto need = [](int value, int least, const char* name) {
    if (value < least)
      throw error(error_code::invalid_argument, fmt::format("[jobs] {} is {}: it must be at least {}", name, value, least));
  };
  need(o.running, 1, "running");
  need(o.queued, 0, "queued");
  need(o.kept, 1, "kept");
  need(o.event_streams, 0, "event_streams");
}

class jobs_protocol final : public protocol {
 public:
  jobs_protocol(job_options o, const service_options& of_service) : options_(std::move(o)), service_(of_service) {
    check(options_);
    if (!options_.folder.empty())
      runner_ = std::make_unique<jobs::runner>(options_, service_);
    else
      jobs::job_files{options_.data_directories};  // what is wrong with them is told now, not with the first folder
  }

  std::vector<std::string> patterns() const override {
    return {std::string(root), std::string(root) + "/[A-Za-z0-9_-]{1,64}",
            std::string(root) + "/[A-Za-z0-9_-]{1,64}/(events|result|column_totals)"};
  }

  bool owns(std::string_view path) const override {
    return path == root || (path.starts_with(root) && path[root.size()] == '/');
  }

  response answer(const request& r, request_context& record) override {
    const auto rest = std::string_view(r.path).substr(std::min(root.size() + 1, r.path.size()));
    const auto slash = std::min(rest.find('/'), rest.size());
    const std::string id(rest.substr(0, slash));
    const auto part = rest.substr(slash);
    record.route = r.path == root             ? "jobs"
                   : part.empty()             ? "job"
                   : part == "/events"        ? "job_events"
                   : part == "/result"        ? "job_result"
                   : part == "/column_totals" ? "job_column_totals"
                                              : "none";
    if (record.route == "none") fail_not_found(r);
    check_method(r, r.path == root ? "GET, HEAD, POST" : part.empty() ? "GET, HEAD, DELETE" : "GET, HEAD");
    if (!runner_) throw http_error{501, "unsupported", "[jobs] this server has no folder for jobs, so it has no jobs"};
    if (r.path == root) return r.method == "POST" ? submit(r, record) : list(r);
    if (part == "/events") return events(r, id);
    if (!part.empty()) return result(r, id, part == "/column_totals");
    return r.method == "DELETE" ? remove(id) : text_response("application/json", json(runner_->find(id)));
  }

  void describe(document& d) const override {
    if (runner_) describe_jobs(d);
  }

  void drain() noexcept override {
    draining_ = true;
    if (runner_) runner_->drain();
  }

  void print_metrics(std::string& out) const override {
    if (runner_) runner_->print_metrics(out);
  }

 private:
  void check_open() const {
    if (draining_) throw shutting_down();
  }

  response submit(const request& r, request_context& record) {
    check_open();
    if (!is_json(header(r, "Content-Type")))
      throw http_error{
          415, "unsupported_media_type",
          fmt::format("[jobs] Content-Type is \"{}\": this takes application/json", shown(header(r, "Content-Type")))};
    const auto body = read_text(r, std::min(longest_body, service_.limits.body_bytes), record);
    const auto j = runner_->submit(jobs::parse_order(body));
    auto out = text_response("application/json", json(j), 202);
    out.headers.emplace_back("Location", fmt::format("{}/{}", root, j.id));
    return out;
  }

  response list(const request& r) {
    std::size_t most = 100;
    if (const auto number = query_value(r.query, "limit"); number) {
      const auto [end, e] = std::from_chars(number->data(), number->data() + number->size(), most);
      if (e != std::errc{} || end != number->data() + number->size() || most < 1 || most > 1000)
        throw http_error{422, "invalid_argument",
                         fmt::format("[jobs] limit is {}: it is 1 to 1000", json_string(shown(*number)))};
    }
    json_writer w;
    w.begin_object().key("jobs").begin_array();
    for (const auto& j : runner_->list(most)) w.raw(json(j));
    return text_response("application/json", w.end_array().end_object().take());
  }

  response events(const request& r, const std::string& id) {
    check_open();
    const auto j = runner_->find(id);
    std::int64_t seen = 0;
    const auto last = header(r, "Last-Event-ID");
    std::from_chars(last.data(), last.data() + last.size(), seen);
    if (seen > j.event) seen = 0;                                       // no event of this job
    if (has_ended(j.state) && seen == j.event) return {.status = 204};  // browsers do not reconnect after it
    // Proxies pass each event on as it comes: nginx holds answers back without the first, and compressing ones without the
    // second.
    response out{.headers = {{"Content-Type", "text/event-stream"},
                             {"X-Accel-Buffering", "no"},
                             {"Cache-Control", "no-cache, no-transform"}}};
    auto taken = runner_->take_event_stream();
    if (!taken)
      throw http_error{429,
                       "busy",
                       fmt::format("[jobs] {} streams of events are open, the most allowed: request the job itself",
                                   options_.event_streams),
                       {{"Retry-After", "5"}}};
    if (r.method == "HEAD") return out;
    const auto waiting = r.begin_wait ? r.begin_wait() : nullptr;
    if (r.begin_wait && !waiting)
      throw http_error{429, "busy", "[jobs] too many threads wait: request the job itself", {{"Retry-After", "5"}}};
    auto stream = std::make_shared<event_stream>(*runner_, id, seen, options_.heartbeat_seconds,
                                                 std::array{std::shared_ptr<void>(std::move(taken)), waiting});
    out.write_body = [stream](const body_receiver& send) { return stream->next(send); };
    return out;
  }

  response result(const request& r, const std::string& id, bool totals) {
    return file_response(r, runner_->open_result(id, totals), "application/x-npy", totals ? id + "-column_totals" : id);
  }

  response remove(const std::string& id) {
    const auto j = runner_->remove(id);
    if (!j) return {.status = 204};
    return text_response("application/json", json(*j), has_ended(j->state) ? 200 : 202);
  }

  const job_options options_;
  const service_options& service_;
  std::atomic<bool> draining_{false};
  std::unique_ptr<jobs::runner> runner_;
};

}  // namespace
}  // namespace serving

inline namespace SLUICE_ABI {

void add_jobs(service& to, job_options options) {
  to.add_protocol(std::make_unique<serving::jobs_protocol>(std::move(options), to.options()));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
