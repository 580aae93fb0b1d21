// Requests at work at once: so many, each on a thread of lower priority, and a queue of so many more. Connections wait here
// for their answers; an application's own routes never do.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace sluice::serving {

class compute_queue {
 public:
  using clock = std::chrono::steady_clock;

  // What a request asks of the queue.
  struct terms {
    clock::time_point deadline = clock::time_point::max();
    int priority = 0;              // 1 goes before 0, which is to say none, and that before 2 and more
    std::function<bool()> gone{};  // whether nobody waits for the answer any more; may be null
    bool patient = false;          // waits for a place in the queue, too: for work that has begun, of which there is little
  };
  enum class outcome { done, full, expired, gone };
  struct counts {
    int free, waiting;
  };

  compute_queue(int count, int queue_length, int nice) : count_(count), queue_length_(queue_length), nice_(nice) {}
  ~compute_queue();  // nobody waits any more
  compute_queue(const compute_queue&) = delete;
  compute_queue& operator=(const compute_queue&) = delete;

  // Has a slot do `work`, and waits until it is done; what it throws is thrown here. Anything but `done`: it was not begun,
  // because the queue was full, the deadline passed before its turn, or the client went away.
  outcome run(const terms& t, const std::function<void()>& work);

  // Seconds until what is at work and waits now should be done, by the times that requests have taken; at least 1.
  [[nodiscard]] int seconds_to_wait() const;
  [[nodiscard]] counts now() const;

 private:
  struct job {
    const terms& asked;
    const std::function<void()>& work;
    bool waiting = true;  // with `begun` under the mutex of all
    clock::time_point begun{};
    // Its caller is woken under a mutex of its own: under that of all, every request would wait for each one's wake-up.
    std::mutex mutex{};
    std::condition_variable changed{};
    std::exception_ptr error{};
    std::optional<outcome> end{};
  };

  void serve();
  void start_thread();
  void enqueue(job& j);
  static outcome settle(job& j);

  mutable std::mutex mutex_;
  std::condition_variable wanted_;
  std::list<job*> queue_, working_;  // in the order of their turns; the oldest first
  std::vector<std::thread> threads_;
  int idle_ = 0;      // threads that wait for a job
  double usual_ = 0;  // seconds a request takes, the latest counting most
  bool ending_ = false;
  const int count_;
  const int queue_length_;
  const int nice_;
};

}  // namespace sluice::serving
