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
  enqueue(nullptr);
  thread_.join();
}

void owner_thread::enqueue(job* j) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(j);
  pending_.fetch_add(1, std::memory_order_release);
  pending_.notify_one();
}

void owner_thread::call(const std::function<void()>& work) {
  job own{.work = work};
  enqueue(&own);
  own.done.wait(false, std::memory_order_acquire);
  if (own.failed) std::rethrow_exception(own.failed);
}

owner_thread::job* owner_thread::next() {
  const auto until = std::chrono::steady_clock::now() + awake;
  while (pending_.load(std::memory_order_acquire) == 0) {
    if (std::chrono::steady_clock::now() > until)
      pending_.wait(0, std::memory_order_acquire);
    else
      std::this_thread::yield();
  }
  const std::lock_guard lock(mutex_);
  job* const first = queue_.front();
  queue_.pop_front();
  return first;
}

void owner_thread::serve() {
  while (job* const now = next()) {
    try {
      const beside_capture relaxed_here;
      now->work();
    } catch (...) {
      now->failed = std::current_exception();
    }
    pending_.fetch_sub(1, std::memory_order_relaxed);
    now->done.store(true, std::memory_order_release);
    now->done.notify_one();
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
