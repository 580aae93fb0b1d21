// How the pool's threads wait for each other: by spinning for a while before they sleep.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// Waking a sleeping thread costs 65 to 110 us on the virtual machines this was measured on; spinning for about as long
// before sleeping is never worse than twice the best choice.
inline constexpr std::chrono::microseconds spin_time{100};

inline void spin_pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until ready() or for spin_time; true when ready.
template <class F>
bool spin_until(F&& ready) {
  const auto end = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      spin_pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

// A mutex whose critical sections take 0.1 us: a thread spins for it before it sleeps, which costs a hundred times that, and
// while it spins it only reads, so that the holder is not slowed by 16 threads that join a loop at once.
struct pool_mutex {
  std::mutex mutex;
  std::atomic<bool> held{false};  // a hint
};

class pool_lock {
 public:
  explicit pool_lock(pool_mutex& m) : of_(m), lock_(m.mutex, std::defer_lock) { lock(); }
  ~pool_lock() {
    if (lock_.owns_lock()) unlock();
  }
  pool_lock(const pool_lock&) = delete;
  pool_lock& operator=(const pool_lock&) = delete;

  void lock() {
    constexpr int spins = 200;  // of 20 to 60 ns
    for (int i = 0; i < spins && !(!of_.held.load(std::memory_order_relaxed) && lock_.try_lock()); ++i) spin_pause();
    if (!lock_.owns_lock()) lock_.lock();
    of_.held.store(true, std::memory_order_relaxed);
  }
  void unlock() {
    of_.held.store(false, std::memory_order_relaxed);
    lock_.unlock();
  }
  template <class F>
  void wait(std::condition_variable& changed, F&& ready) {
    of_.held.store(false, std::memory_order_relaxed);
    changed.wait(lock_, std::forward<F>(ready));
    of_.held.store(true, std::memory_order_relaxed);
  }

 private:
  pool_mutex& of_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
