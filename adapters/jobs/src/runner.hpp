// Jobs in their turn: few at once, on threads of their own, each as a run of the pipeline whose journal carries the work,
// while the store carries the states. What a process did not end, the next one on the same folder goes on with.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "data_directories.hpp"
#include "folder.hpp"
#include "store.hpp"
#include "sluice/pipeline.hpp"
#include "sluice/service.hpp"

namespace sluice::serving::jobs {

class runner {
 public:
  // Takes up what is left in the folder of `o.jobs`. Throws error.
  explicit runner(const service_options& o);
  ~runner();
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;

  // Queues it, after a look at its files. Throws http_error: 403 and 404 for a file that is not given, 429 when the queue is
  // full; error for what cannot be computed.
  job submit(order o);
  [[nodiscard]] std::vector<job> list(std::size_t most) const;  // the latest first
  [[nodiscard]] job find(const std::string& id) const;          // throws refused (404)
  // A job that has ended is removed with its results, and that is returned as nothing; another is cancelled, one that is at
  // work soon.
  std::optional<job> remove(const std::string& id);
  // The result, or the column totals, of a job that is done. Throws http_error: 404, 409.
  [[nodiscard]] descriptor open_result(const std::string& id, bool totals) const;

  // The job once its latest event is greater than `event`, after `most` seconds at the latest. Nothing: there is no such job
  // any more, or the server is about to end.
  [[nodiscard]] std::optional<job> wait(const std::string& id, std::int64_t event, double most) const;
  // One of the streams of events that may be open at once, until it goes; null: there are no more.
  [[nodiscard]] std::shared_ptr<void> take_event_stream();

  // Jobs at work end soon, to be gone on with by the next process; none begins.
  void drain() noexcept;
  void metrics_text(std::string& out) const;

 private:
  struct entry {
    job now;
    std::stop_source stop{};
    bool cancelled = false;
    std::int64_t counted = -1;  // of its bytes, among worked_bytes_; -1: progress was not told yet
  };
  using entries = std::map<std::int64_t, std::shared_ptr<entry>>;

  void take_up(job j);
  [[nodiscard]] file_stream open(const order& o, const std::string& input, bool whole_npy) const;
  void inspect(job& j) const;
  [[nodiscard]] const std::shared_ptr<entry>& at(const std::string& id) const;
  void make_room();
  void start_thread();
  void serve();
  [[nodiscard]] std::shared_ptr<entry> next_queued() const;
  void work_on(entry& e, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] pipeline_summary compute(const job& j, const pipeline_options& options) const;
  void progress(entry& e, const pipeline_progress& p);
  void ends(entry& e, state s, std::string_view code, const std::string& detail);
  void interrupted(entry& e);
  void keep(const job& j) noexcept;
  [[nodiscard]] int queue_length() const;
  [[nodiscard]] int seconds_to_wait() const;

  const service_options& options_;
  const std::map<std::string, data_directories> data_;
  const folder folder_;
  const std::unique_ptr<store> store_;
  mutable std::mutex mutex_;  // of the next, and of the store
  mutable std::condition_variable changed_;
  entries jobs_;
  std::int64_t worked_bytes_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
  int idle_ = 0;  // threads that wait for a job
  std::shared_ptr<std::atomic<int>> streams_ = std::make_shared<std::atomic<int>>(0);
};

}  // namespace sluice::serving::jobs
