// The process's thread pool: a bounded number of threads run the loops of any number of callers.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/base/worker_group.hpp"
#include "sluice/impl/core/fork.hpp"
#include "sluice/impl/core/pool_lock.hpp"

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

// Where a helper that spins is told what to do: on a line of its own, so that a caller hands its loop to many under one
// lock.
struct alignas(64) pool_mailbox {
  std::atomic<pool_job*> job{nullptr};
  pool_mailbox* after = nullptr;  // changed under the mutex
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
  // False: it is not there.
  bool erase(const pool_job& j) {
    pool_job** at = &first;
    while (*at != nullptr && *at != &j) at = &(*at)->after;
    if (*at == nullptr) return false;
    *at = j.after;
    return true;
  }
};

// At most `size` threads compute at once. A caller runs its loop itself while fewer do, and helper threads join it.
// Otherwise the caller queues the loop and sleeps, and the next free helper runs it, first come first served: under load the
// same few threads compute without a pause, where waking each caller for its turn would leave cores idle meanwhile.
class pool {
 public:
  explicit pool(int size) : size_(size), mailboxes_(new pool_mailbox[static_cast<std::size_t>(size)]) {}

  int size() const noexcept { return size_; }

  void run(pool_job& j) {
    pool_lock lock(mutex_);
    if (busy_ < size_ && queue_.first == nullptr)
      ++busy_;
    else if (wait_in_queue(j, lock))
      return;
    begin(j);
    lock.unlock();
    inside = true;
    while (j.step()) continue;
    inside = false;
    lock.lock();
    close(j);
    if (j.workers.load(std::memory_order_acquire) == 1) {
      --busy_;
      pass_on();
      return;
    }
    lock.unlock();
    wait_for_helpers(j);
  }

  void set_nice(int nice) noexcept {
    int now = nice_.load(std::memory_order_relaxed);
    while (nice > now && !nice_.compare_exchange_weak(now, nice)) continue;
  }

  // Whether the calling thread runs its loops by itself: inside a body, or for parallel_alone.
  static constinit inline thread_local bool inside = false;
  // Set by parallel_cancellation.
  static constinit inline thread_local const std::atomic<bool>* cancelled = nullptr;

 private:
  // True when a helper ran the loop; false when this thread has to run it, which happens only without helpers.
  bool wait_in_queue(pool_job& j, pool_lock& lock) {
    start_helpers();
    j.workers.store(pool_job::owner_sleeps, std::memory_order_relaxed);
    queue_.push(j);
    waiting_ = true;
    // A caller leaves its place without the mutex and then reads waiting_; here it is the other way round.
    if (busy_ < size_) pass_on();
    lock.wait(j.changed, [&] { return j.state.load(std::memory_order_relaxed) != pool_job::pending; });
    if (j.state.load(std::memory_order_relaxed) == pool_job::done) return true;
    j.workers.store(0, std::memory_order_relaxed);
    return false;
  }

  // Spins in its place, since it has a core for it: threads that compute and threads that spin are together no more than
  // `size`, or the system would suspend one that computes for milliseconds. Leaves before it sleeps.
  void wait_for_helpers(pool_job& j) {
    const auto alone = [&] { return j.workers.load(std::memory_order_acquire) == 1; };
    for (int i = 0; i < 64 && !alone(); ++i) spin_pause();
    if (!alone()) take_back(j);
    if (spin_until(alone)) {
      --busy_;
      if (!waiting_ && loops_ == 0) return;
      const pool_lock lock(mutex_);
      return pass_on();
    }
    pool_lock lock(mutex_);
    --busy_;
    pass_on();
    if (j.workers.fetch_sub(1, std::memory_order_acq_rel) == 1 ||
        j.workers.fetch_or(pool_job::owner_sleeps, std::memory_order_acq_rel) == 0)
      return;
    lock.wait(j.changed, [&] { return j.state.load(std::memory_order_relaxed) == pool_job::done; });
  }

  // From helpers that have not begun: their threads may not run while others have the cores.
  void take_back(pool_job& j) {
    for (pool_mailbox* box = mailboxes_.get(); box != mailboxes_.get() + size_; ++box) {
      pool_job* mine = &j;
      if (!box->job.compare_exchange_strong(mine, &look_, std::memory_order_acq_rel)) continue;
      --helping_;
      --busy_;
      j.workers.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  // The functions from here to start_helpers() are called with the mutex held.

  // After the caller has raised busy_.
  void begin(pool_job& j) {
    j.workers.fetch_add(1, std::memory_order_relaxed);
    if (j.count == 1 || size_ == 1) return;
    start_helpers();
    jobs_.push(j);
    ++loops_;
    call_helpers(j.count - 1, &j);
  }

  void close(const pool_job& j) {
    if (jobs_.erase(j)) --loops_;
  }

  static void set(pool_job& j, int state) {
    j.state.store(state, std::memory_order_release);
    j.changed.notify_one();
  }

  // After a caller has finished: has a helper take its place, for the queue or for a loop still running.
  void pass_on() {
    if (busy_ >= size_ || (queue_.first == nullptr && open_job() == nullptr)) return;
    if (helpers_.size() > helping_) return call_helpers(1, nullptr);
    if (queue_.first == nullptr) return;
    ++busy_;
    set(*take(), pool_job::its_turn);
  }

  pool_job* take() {
    pool_job* j = queue_.first;
    queue_.erase(*j);
    waiting_ = queue_.first != nullptr;
    return j;
  }

  pool_job* open_job() const {
    for (pool_job* j = jobs_.first; j != nullptr; j = j->after)
      if (j->has_work()) return j;
    return nullptr;
  }

  // Those that spin join `j` at once; without one, and those that sleep, they come to look.
  void call_helpers(std::int64_t wanted, pool_job* j) {
    calls_.fetch_add(1, std::memory_order_release);
    wanted = std::min<std::int64_t>({wanted, size_ - busy_, spinning_ + sleeping_});
    for (; wanted > 0 && idle_ != nullptr; --wanted) {
      pool_mailbox& box = *std::exchange(idle_, idle_->after);
      --spinning_;
      if (j != nullptr) count_in(*j);
      box.job.store(j != nullptr ? j : &look_, std::memory_order_release);
    }
    for (; wanted > 0; --wanted) work_.notify_one();
  }

  // One helper more, in the loop `j`.
  void count_in(pool_job& j) {
    ++busy_;
    ++helping_;
    j.workers.fetch_add(1, std::memory_order_relaxed);
  }

  void start_helpers() {
    while (helpers_.size() < size_)
      if (!helpers_.start_one()) return;  // out of threads or memory: the callers do the work
  }

  void help() {
    inside = true;
    int nice = 0;
    pool_mailbox& box = mailboxes_[started_.fetch_add(1)];
    pool_lock lock(mutex_);
    for (;;) {
      if (const int wanted = nice_.load(std::memory_order_relaxed); wanted != nice) base::set_niceness(nice = wanted);
      if (busy_ < size_ && queue_.first != nullptr)
        run_queued(*take(), lock);
      else if (pool_job* j = busy_ < size_ ? open_job() : nullptr; j != nullptr)
        join(*j, lock);
      else
        rest(box, lock);
    }
  }

  void run_queued(pool_job& j, pool_lock& lock) {
    ++busy_;
    ++helping_;
    begin(j);
    lock.unlock();
    while (j.step()) continue;
    lock.lock();
    close(j);
    take_back(j);
    --helping_;
    --busy_;
    if (j.leave()) set(j, pool_job::done);
  }

  void join(pool_job& j, pool_lock& lock) {
    count_in(j);
    lock.unlock();
    work_on(j, lock);
  }

  // Helps until the loop is done or another is queued; locks.
  void work_on(pool_job& j, pool_lock& lock) {
    while (!waiting_.load(std::memory_order_relaxed) && j.step()) continue;
    // Without the mutex, for which the others come at the same time: the owner waits.
    --helping_;
    --busy_;
    const bool tell = j.leave();
    lock.lock();
    if (tell) set(j, pool_job::done);
  }

  // Spins, unless that takes a core from a working thread or from the caller whose next loop is expected; then sleeps.
  void rest(pool_mailbox& box, pool_lock& lock) {
    const auto seen = calls_.load(std::memory_order_relaxed);
    const auto called = [&] { return calls_.load(std::memory_order_acquire) != seen; };
    if (spinning_ + std::max<int>(busy_, 1) >= size_) return sleep(lock, called);
    box.after = std::exchange(idle_, &box);
    ++spinning_;
    lock.unlock();
    const auto told = [&] { return box.job.load(std::memory_order_relaxed) != nullptr; };
    spin_until(
        [&] { return told() || busy_.load(std::memory_order_relaxed) + spinning_.load(std::memory_order_relaxed) > size_; });
    if (!told()) {
      lock.lock();
      if (!told()) {
        withdraw(box);
        if (!called()) sleep(lock, called);
        return;
      }
      lock.unlock();
    }
    pool_job* j = box.job.exchange(nullptr, std::memory_order_acq_rel);
    if (j != &look_) return work_on(*j, lock);
    lock.lock();
  }

  void withdraw(pool_mailbox& box) {
    pool_mailbox** at = &idle_;
    while (*at != &box) at = &(*at)->after;
    *at = box.after;
    --spinning_;
  }

  template <class F>
  void sleep(pool_lock& lock, const F& called) {
    ++sleeping_;
    lock.wait(work_, called);
    --sleeping_;
  }

  const int size_;
  pool_mutex mutex_;
  std::atomic<int> busy_{0};          // threads with a place; raised under the mutex only
  std::atomic<int> helping_{0};       // helpers that compute; likewise
  std::atomic<int> spinning_{0};      // helpers that spin before they sleep; changed under the mutex
  int sleeping_ = 0;                  // helpers in work_.wait
  pool_job_list queue_;               // loops not begun: all places are taken
  std::atomic<bool> waiting_{false};  // the queue is not empty; read by helpers that compute
  pool_job_list jobs_;                // loops begun, which helpers may join
  std::atomic<int> loops_{0};         // how many
  std::atomic<std::uint64_t> calls_{0};
  const std::unique_ptr<pool_mailbox[]> mailboxes_;       // of the helpers
  std::atomic<std::size_t> started_{0};                   // helpers
  pool_mailbox* idle_ = nullptr;                          // of helpers that spin, the last to come first
  pool_job look_{nullptr, nullptr, 0, nullptr, nullptr};  // in a mailbox: look for something to do
  std::condition_variable work_;
  std::atomic<int> nice_{0};  // of the helpers
  base::worker_group helpers_{{.name = "sluice-pool", .count = size_}, [this] { help(); }};
};

// Set in a forked child, where the helpers do not exist and the mutex may be locked for ever: loops run in order there.
inline std::atomic<bool> forked{false};

inline int chosen_pool_size() {
  const int wanted = base::environment_number("SLUICE_THREADS", 1, 4096, 0);
  return wanted != 0 ? wanted : base::usable_cores();
}

inline pool& the_pool() {
  // Never destroyed: helpers may still sleep in it when the process exits.
  return first_use([] {
    base::after_fork_in_child([] { forked.store(true); });
    return new pool(chosen_pool_size());
  });
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
