#include "owner_thread.hpp"

#include <chrono>

#include "sluice/impl/base/library.hpp"
#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

namespace {

// A thread that sleeps takes some 5 us to wake; a batch that follows on another within this time finds it awake.
constexpr auto awake = std::chrono::microseconds(50);

constexpr int relaxed = 2;  // CU_STREAM_CAPTURE_MODE_RELAXED

// cuThreadExchangeStreamCaptureMode of the CUDA driver, once the process has loaded it.
using exchange_function = int (*)(int*);
exchange_function exchange_capture_mode() noexcept {
#if defined(_WIN32)
  constexpr const char* driver = "nvcuda.dll";
#else
  constexpr const char* driver = "libcuda.so.1";
#endif
  static std::atomic<void*> found{nullptr};
  void* exchange = found.load(std::memory_order_acquire);
  if (exchange == nullptr) {
    exchange = base::find_loaded(driver, "cuThreadExchangeStreamCaptureMode");
    found.store(exchange, std::memory_order_release);
  }
  return reinterpret_cast<exchange_function>(exchange);
}

}  // namespace

owner_thread::owner_thread() {
  thread_ = base::start_thread("sluice-model", 0, [this] { serve(); });
}

owner_thread::~owner_thread() {
  state_.store(state::ending);
  state_.notify_all();
  thread_.join();
}

void owner_thread::call(const std::function<void()>& work) {
  const std::lock_guard turn(turn_);
  work_ = &work;
  state_.store(state::called, std::memory_order_release);
  state_.notify_all();
  state_.wait(state::called, std::memory_order_acquire);
  state_.store(state::idle, std::memory_order_relaxed);
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
}

void owner_thread::wait_while(state now) const noexcept {
  const auto until = std::chrono::steady_clock::now() + awake;
  while (state_.load(std::memory_order_acquire) == now) {
    if (std::chrono::steady_clock::now() > until) return state_.wait(now, std::memory_order_acquire);
    std::this_thread::yield();
  }
}

void owner_thread::serve() {
  for (state seen = state::idle; seen != state::ending; seen = state_.load(std::memory_order_acquire)) {
    if (seen == state::called) {
      try {
        const beside_capture relaxed_here;
        (*work_)();
      } catch (...) {
        failed_ = std::current_exception();
      }
      state_.store(state::done, std::memory_order_release);
      state_.notify_all();
      seen = state::done;
    }
    wait_while(seen);
  }
}

beside_capture::beside_capture() noexcept : before_(relaxed) {
  if (const auto exchange = exchange_capture_mode()) exchange(&before_);
}

beside_capture::~beside_capture() {
  if (const auto exchange = exchange_capture_mode()) exchange(&before_);
}

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice
