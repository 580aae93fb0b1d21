// A thread that owns what the engine keeps for a thread: on a GPU its handles and captured graphs.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

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

  // Runs `work` there and waits for it; throws what it throws. Calls of several threads take turns.
  void call(const std::function<void()>& work);

 private:
  enum class state { idle, called, done, ending };

  void serve();
  void wait_while(state now) const noexcept;

  std::mutex turn_;
  const std::function<void()>* work_ = nullptr;
  std::exception_ptr failed_;
  std::atomic<state> state_{state::idle};
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
