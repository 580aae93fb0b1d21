// The fake device's queues and events: a worker thread a queue, which runs its work in order and later.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fake_memory.hpp"
#include "sluice/backend_api.h"

namespace fake {

// How work ended.
struct outcome {
  sluice_status status = SLUICE_OK;
  std::string sentence;
};

// A point in a queue that will be reached.
class point {
 public:
  void reach(outcome how) {
    const std::lock_guard lock(mutex_);
    reached_ = true;
    how_ = std::move(how);
    changed_.notify_all();
  }
  outcome wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return reached_; });
    return how_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false;
  outcome how_;
};

}  // namespace fake

namespace fake {
inline const char brand = 0;  // its address is another in each module
}

// An event's point outlives the event: a queue may wait for it after the event was destroyed or recorded anew.
struct sluice_event {
  void set(std::shared_ptr<fake::point> p) {
    must_be_ours();
    const std::lock_guard lock(mutex);
    at = std::move(p);
  }
  std::shared_ptr<fake::point> get() {
    must_be_ours();
    const std::lock_guard lock(mutex);
    return at;
  }
  void must_be_ours() const {
    if (owner != &fake::brand) fake::ledger::die("a slot", "an event of another backend");
  }
  const char* const owner = &fake::brand;
  std::mutex mutex;
  std::shared_ptr<fake::point> at;
};

struct sluice_queue {
  sluice_queue(int its_device, int seed, int most_delay)
      : device(its_device), most_delay_us(most_delay), random(static_cast<unsigned>(seed)) {
    std::thread([this] { work(); }).detach();  // queues live as long as the process
  }

  void push(std::function<void()> task) {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
    changed.notify_one();
  }

  const int device;

 private:
  void work() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return !tasks.empty(); });
        task = std::move(tasks.front());
        tasks.pop_front();
      }
      dawdle();
      task();
    }
  }

  // Some of the work begins late.
  void dawdle() {
    if (most_delay_us <= 0 || random() % 4 != 0) return;
    std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(most_delay_us)));
  }

  const int most_delay_us;
  std::minstd_rand random;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
};

namespace fake {

// Three queues a device; whoever wants a fourth waits.
class queue_pool {
 public:
  queue_pool(int device, int most_delay) {
    for (int i = 0; i < 3; ++i) free_.push_back(new sluice_queue(device, 10 * device + i + 1, most_delay));
  }
  sluice_queue* acquire() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !free_.empty(); });
    sluice_queue* q = free_.front();  // the one that rested longest, so that following calls get different ones
    free_.pop_front();
    return q;
  }
  void release(sluice_queue* q) {
    const std::lock_guard lock(mutex_);
    free_.push_back(q);
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<sluice_queue*> free_;
};

}  // namespace fake
