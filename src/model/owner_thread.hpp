// A thread that owns what the engine keeps for a thread: on a GPU its handles and captured graphs.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

class owner_thread {
 public:
  owner_thread();
  ~owner_thread();
  owner_thread(const owner_thread&) = delete;
  owner_thread& operator=(const owner_thread&) = delete;

  // Runs `work` there and waits for it; throws what it throws. Calls of several threads run in their order, the next begins
  // without waiting for the caller of the one before.
  void call(const std::function<void()>& work);
  [[nodiscard]] bool is_busy() const noexcept { return pending_.load(std::memory_order_relaxed) > 0; }

 private:
  struct job {
    const std::function<void()>& work;
    std::exception_ptr failed{};
    std::atomic<bool> done{false};
  };

  void enqueue(job* j);
  job* next();
  void serve();

  std::mutex mutex_;
  std::deque<job*> queue_;  // null: the thread ends
  std::atomic<int> pending_{0};
  std::thread thread_;
};

// While it lives, the calling thread may use the CUDA driver as it likes although another captures a graph, which else makes
// calls such as an allocation fail. Does nothing where there is no driver.
class beside_capture {
 public:
  beside_capture() noexcept;
  ~beside_capture();
  beside_capture(const beside_capture&) = delete;
  beside_capture& operator=(const beside_capture&) = delete;

 private:
  int before_ = 0;
};

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice
