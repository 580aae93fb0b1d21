// Runs jobs in the order of their submission, few at once, on threads of their own. Each is a run of the pipeline, whose
// journal keeps the work; the store keeps the states. The next process on the same folder resumes what has not ended.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "folder.hpp"
#include "job_files.hpp"
#include "sluice/impl/base/worker_group.hpp"
#include "sluice/jobs.hpp"
#include "sluice/pipeline.hpp"
#include "store.hpp"

namespace sluice::serving::jobs {

class runner {
 public:
  // Resumes what is left in the folder. Both options must outlive it. Throws error.
  runner(const job_options& o, const service_options& of_service);
  ~runner();
  runner(const runner&) = delete;
  runner& operator=(const runner&) = delete;

  // Queues a job, after inspecting its files. Throws http_error: 403 and 404 for a file that clients may not name, 429 when
  // the queue is full; error for what cannot be computed.
  job submit(order o);
  [[nodiscard]] std::vector<job> list(std::size_t most) const;  // the latest first
  [[nodiscard]] job find(const std::string& id) const;          // throws http_error (404)
  // Removes an ended job with its results and returns nothing; cancels any other, a running one soon.
  std::optional<job> remove(const std::string& id);
  // The result, or the column totals, of a job that is done. Throws http_error: 404, 409.
  [[nodiscard]] base::file_descriptor open_result(const std::string& id, bool totals) const;

  // The job once its latest event is greater than `event`, after `most` seconds at the latest. Nothing: the job was removed,
  // or the server is shutting down.
  [[nodiscard]] std::optional<job> wait(const std::string& id, std::int64_t event, double most) const;
  // One of the event streams that may be open at once, held while the pointer lives; null: all are taken.
  [[nodiscard]] std::shared_ptr<void> take_event_stream();

  // Running jobs stop soon, to be resumed by the next process; no other begins.
  void drain() noexcept;
  void print_metrics(std::string& out) const;

 private:
  struct entry {
    job now;
    std::stop_source stop{};
    bool cancelled = false;
    std::int64_t counted = -1;  // its bytes in worked_bytes_; -1: no progress was reported yet
  };
  using entries = std::map<std::int64_t, std::shared_ptr<entry>>;

  void take_up(job j);
  [[nodiscard]] const std::shared_ptr<entry>& at(const std::string& id) const;
  void make_room();
  void start_worker();
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

  const job_options& options_;
  const service_options& service_;
  const job_files files_;
  const folder folder_;
  const std::unique_ptr<store> store_;
  mutable std::mutex mutex_;  // of the next, and of the store
  mutable std::condition_variable changed_;
  entries jobs_;
  std::int64_t worked_bytes_ = 0;
  bool ending_ = false;
  int idle_ = 0;  // workers that wait for a job
  std::shared_ptr<std::atomic<int>> streams_ = std::make_shared<std::atomic<int>>(0);
  base::worker_group workers_;
};

}  // namespace sluice::serving::jobs
