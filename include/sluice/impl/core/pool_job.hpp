// What the pool's threads hand each other: loops, lists of them, and mailboxes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// A caller's loop. It lives on the caller's stack: scheduling never allocates.
struct pool_job {
  enum : int { pending, its_turn, done };

  void (*body)(void*, std::int64_t);
  void* context;
  std::int64_t count;
  const std::atomic<bool>* stop;       // null: never stopped
  const std::atomic<bool>* cancelled;  // likewise, by parallel_cancellation
  std::atomic<std::int64_t> next{0};
  std::atomic<int> state{pending};    // changed under the pool's mutex only
  std::condition_variable changed{};  // not state.wait(), which yields several times before it sleeps
  // Threads in its loop. The last to leave tells an owner that sleeps; of one that does not, it does not touch the job
  // again.
  std::atomic<std::uint32_t> workers{0};
  static constexpr std::uint32_t owner_sleeps = 1u << 31;
  pool_job* after = nullptr;  // the next in its list
  bool open = false;          // helpers may join; changed under the pool's mutex by the thread that runs it
  bool awake = false;         // in the queue: its owner spins; likewise
  std::uint64_t call = 0;     // which of the pool's calls opened it

  bool has_work() const noexcept { return next.load(std::memory_order_relaxed) < count; }
  bool stopped() const noexcept { return is_set(stop) || is_set(cancelled); }
  static bool is_set(const std::atomic<bool>* flag) noexcept {
    return flag != nullptr && flag->load(std::memory_order_relaxed);
  }
  // True: the owner sleeps and is to be told.
  bool leave() noexcept { return workers.fetch_sub(1, std::memory_order_acq_rel) == (owner_sleeps | 1); }
  // Runs one index; false when all are handed out.
  bool step() {
    if (stopped()) next.store(count, std::memory_order_relaxed);
    const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
    if (i < count) body(context, i);
    return i < count;
  }
};

// Where a helper that spins is told what to do: on a line of its own, so that a caller hands its loop to many without their
// taking a lock. Null: the helper does not spin.
struct alignas(64) pool_mailbox {
  std::atomic<pool_job*> job{nullptr};

  // False: it holds something else.
  bool change(pool_job* from, pool_job* to) noexcept { return job.compare_exchange_strong(from, to); }
};

// Oldest first.
struct pool_job_list {
  pool_job* first = nullptr;

  void push(pool_job& j) {
    pool_job** end = &first;
    while (*end != nullptr) end = &(*end)->after;
    *end = &j;
    j.after = nullptr;
  }
  void erase(const pool_job& j) {
    pool_job** at = &first;
    while (*at != nullptr && *at != &j) at = &(*at)->after;
    if (*at != nullptr) *at = j.after;
  }
};

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
