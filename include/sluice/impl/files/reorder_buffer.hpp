// Reorder buffer: values arrive in any order and are used in order, by the thread that delivers the next one. Producers
// block only when they are `capacity` ahead.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

template <class T>
class reorder_buffer {
 public:
  // `use` is called by one thread at a time.
  reorder_buffer(std::int64_t first, std::int64_t capacity, std::function<void(std::int64_t, T&&)> use)
      : slots_(static_cast<std::size_t>(capacity)), next_(first), use_(std::move(use)) {}

  // From any thread. Throws what `use` throws; after fail() or a throw, drops what comes.
  void put(std::int64_t i, T&& value) {
    std::unique_lock lock(mutex_);
    space_.wait(lock, [&] { return failed_ || i < next_ + static_cast<std::int64_t>(slots_.size()); });
    if (failed_) return;
    slot(i) = std::move(value);
    if (busy_) return;
    busy_ = true;
    while (!failed_ && slot(next_)) use_next(lock);
    busy_ = false;
  }
  // Ends all waits.
  void fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    space_.notify_all();
  }
  // All before it are used.
  [[nodiscard]] std::int64_t next() const {
    const std::lock_guard lock(mutex_);
    return next_;
  }

 private:
  std::optional<T>& slot(std::int64_t i) { return slots_[static_cast<std::size_t>(i) % slots_.size()]; }

  void use_next(std::unique_lock<std::mutex>& lock) {
    T value = std::move(*slot(next_));
    slot(next_).reset();
    const std::int64_t i = next_;
    lock.unlock();
    try {
      use_(i, std::move(value));
    } catch (...) {
      fail();
      throw;
    }
    lock.lock();
    ++next_;
    space_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable space_;
  std::vector<std::optional<T>> slots_;
  std::int64_t next_;
  bool busy_ = false;
  bool failed_ = false;
  std::function<void(std::int64_t, T&&)> use_;
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
