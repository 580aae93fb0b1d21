// Threads that run one function until they are stopped: under the pool, the compute queue and jobs.
//
//     worker_group workers({.name = "sluice-compute", .count = 4, .nice = 10}, [&] { serve(); });
//     workers.start_one();        // at most `count`; a system without threads to give is not an error
//     ...; tell serve() to return
//     workers.join();
//
// In the child of a fork its threads do not exist: none is started or waited for there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "sluice/impl/base/process.hpp"
#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

struct worker_options {
  const char* name = "sluice";  // a literal of at most 15 bytes
  int count = 1;                // threads at most
  int nice = 0;                 // 0 to 19, relative to the process
};

class worker_group {
 public:
  // `work` is called once by every thread; it returns when the group is to end, and must not throw.
  worker_group(const worker_options& o, std::function<void()> work) : options_(o), work_(std::move(work)) {}
  ~worker_group() { join(); }
  worker_group(const worker_group&) = delete;
  worker_group& operator=(const worker_group&) = delete;

  // Starts one thread more, up to `count`. False: there are `count`, or the system gives none.
  bool start_one() noexcept try {
    if (in_forked_child()) return false;
    const std::lock_guard lock(mutex_);
    if (threads_.size() >= static_cast<std::size_t>(options_.count)) return false;
    threads_.reserve(threads_.size() + 1);
    threads_.push_back(start_thread(options_.name, options_.nice, [this] { work_(); }));
    size_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
    return true;
  } catch (...) {
    return false;
  }
  // Starts all of them, as many as the system gives.
  void start_all() noexcept {
    while (start_one()) continue;
  }

  [[nodiscard]] int size() const noexcept { return size_.load(std::memory_order_relaxed); }  // threads started
  [[nodiscard]] const worker_options& options() const noexcept { return options_; }

  // Waits until every thread's work has returned. The caller has told it to.
  void join() {
    if (in_forked_child()) return abandon();
    std::vector<std::thread> ending;
    {
      const std::lock_guard lock(mutex_);
      ending.swap(threads_);
    }
    for (auto& t : ending)
      if (t.joinable()) t.join();
    size_.store(0, std::memory_order_relaxed);
  }
  // Lets the threads go on until the process ends: for a group that is never destroyed.
  void detach() {
    const std::lock_guard lock(mutex_);
    for (auto& t : threads_)
      if (t.joinable()) t.detach();
  }

 private:
  [[nodiscard]] bool in_forked_child() const noexcept { return process_id() != process_; }
  // Without the mutex, which a thread of the parent may have held at the fork.
  void abandon() {
    for (auto& t : threads_)
      if (t.joinable()) t.detach();
    threads_.clear();
    size_.store(0, std::memory_order_relaxed);
  }

  const worker_options options_;
  const std::int64_t process_ = process_id();
  const std::function<void()> work_;
  std::mutex mutex_;
  std::vector<std::thread> threads_{};
  std::atomic<int> size_{0};
};

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
