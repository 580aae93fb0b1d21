// Admission to computing: at most `count` jobs compute at once, each on a worker, a thread of lower priority, and at most
// `queue_length` more wait. Connections wait here for their answers; an application's own routes never do.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "sluice/impl/base/worker_group.hpp"

namespace sluice::serving {

class compute_queue {
  struct job;

 public:
  using clock = std::chrono::steady_clock;

  // What a request asks of the queue.
  struct terms {
    clock::time_point deadline = clock::time_point::max();
    int priority = 0;                 // 1 goes first; 0 means none given and goes before 2 and above
    std::function<bool()> gone{};     // whether the client has disconnected; may be null
    bool bypass_queue_limit = false;  // never `full`: for requests already started, and those that were promised a place
    const void* kind = nullptr;       // of jobs that may be done as one; null: by itself
    // Called before the caller waits; what it returns is held until then. Null is `full`. None: the caller may wait.
    std::function<std::shared_ptr<void>()> begin_wait{};
  };
  enum class outcome { done, full, expired, gone };
  struct counts {
    int free, waiting;
  };

  // One place among those that compute at once. The worker that runs a job holds one; its job may lend it to others.
  class permit {
   public:
    // Others may compute until acquire(): for a job that waits for something else than its turn. False: no other thread can
    // be had, and the job keeps its permit.
    bool release();
    // Waits for a turn, before all jobs that have not begun. `expired` and `gone`: the job has no permit and must end.
    outcome acquire();
    // Jobs that have precedence over `priority` compute first: for a job whose priority is known only once it has begun.
    outcome requeue(int priority);
    [[nodiscard]] const compute_queue& queue() const noexcept { return queue_; }

   private:
    friend class compute_queue;
    permit(compute_queue& queue, job& own) : queue_(queue), job_(own) {}
    compute_queue& queue_;
    job& job_;
  };

  compute_queue(int count, int queue_length, int nice);
  ~compute_queue();  // no job may be waiting
  compute_queue(const compute_queue&) = delete;
  compute_queue& operator=(const compute_queue&) = delete;

  // Runs `work` on a worker and waits until it is done; what it throws is thrown here. Any outcome but `done`: it was not
  // done, because the queue was full, the deadline passed, or the client disconnected. Work that has begun is cancelled
  // then: its loops end (sluice::parallel_cancellation), and what it throws is dropped.
  outcome run(const terms& t, const std::function<void(permit&)>& work);
  outcome run(const terms& t, const std::function<void()>& work);

  // Seconds until the jobs that wait now should have begun, by the rate at which jobs end; at least 1.
  [[nodiscard]] int seconds_to_wait() const;
  // Whether `count` more jobs would be within the limits.
  [[nodiscard]] bool has_place_for(int count) const;
  [[nodiscard]] int workers() const noexcept { return count_; }
  [[nodiscard]] int queue_length() const noexcept { return queue_length_; }
  [[nodiscard]] counts now() const;
  // Jobs of this kind that have not begun and are before those of all other kinds.
  [[nodiscard]] int next_of(const void* kind) const;
  // Turns in order, the lowest first: priority 1, none, 2, 3, ...
  static int turn_of(int priority) { return priority == 0 ? 3 : 2 * std::min(priority, 1'000'000); }

 private:
  struct job {
    const terms& asked;
    const std::function<void(permit&)>& work;
    // Under the queue's mutex:
    int turn;                   // the lowest goes first
    bool waiting = true;        // in queue_
    bool has_begun = false;     // its worker waits for a permit, no worker need take it
    clock::time_point since{};  // of its permit
    double seconds = 0;         // computed before the last release
    std::condition_variable resumed{};
    // Under its own: if its caller were woken under the queue's, every request would wait for each wake-up.
    std::mutex mutex{};
    std::condition_variable changed{};
    std::exception_ptr error{};
    std::optional<outcome> end{};
    std::atomic<bool> cancelled{false};
  };

  outcome wait_for(job& j);
  bool withdraw(job& j);
  void serve();
  bool start_worker();
  void enqueue(job& j);
  void begin(job& j);
  void stop(job& j);
  bool lend(job& j);
  outcome resume(job& j, std::unique_lock<std::mutex>& lock);
  void resume_next();
  [[nodiscard]] bool has_next() const;
  [[nodiscard]] int admitted() const;
  [[nodiscard]] bool has_free_permit() const { return static_cast<int>(working_.size()) < count_; }
  outcome run_on_worker(job& j);
  void end_turn(job& j, outcome end);
  void count_end(const job& j);

  mutable std::mutex mutex_;
  std::condition_variable wanted_;
  std::list<job*> queue_, working_;  // in the order of their turns; the oldest first
  int idle_ = 0;                     // workers that wait for a job
  int parked_ = 0;                   // workers in a job without a permit; of these,
  int released_ = 0;                 // those that do not wait for one
  double usual_ = 0;                 // seconds a job takes, the latest counting most
  double interval_ = 0;              // seconds from one end to the next while others wait; likewise
  clock::time_point last_end_{};     // of a job, while others wait; else none
  bool ending_ = false;
  const int count_;
  const int queue_length_;
  base::worker_group workers_;  // more than `count` while some are parked
};

}  // namespace sluice::serving
