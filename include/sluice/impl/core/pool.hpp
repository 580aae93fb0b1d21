// The process's thread pool: a bounded number of threads run the loops of any number of callers.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/base/worker_group.hpp"
#include "sluice/impl/core/fork.hpp"
#include "sluice/impl/core/pool_job.hpp"
#include "sluice/impl/core/pool_lock.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// At most `size` threads compute at once. A caller runs its loop itself while fewer do, and helper threads join it: of many
// callers, only once the loop has taken a while. Otherwise the caller queues the loop and sleeps, and the next free helper
// runs it, first come first served: under load the same few threads compute without a pause, where waking each caller for
// its turn would leave cores idle meanwhile.
class pool {
 public:
  explicit pool(int size) : size_(size), mailboxes_(new pool_mailbox[static_cast<std::size_t>(size)]) {}

  int size() const noexcept { return size_; }

  void run(pool_job& j) {
    const counted_in caller(callers_);
    pool_lock lock(mutex_);
    if (busy_ < size_ && queue_.first == nullptr)
      ++busy_;
    else if (wait_in_queue(j, lock))
      return;
    begin(j);
    lock.unlock();
    inside = true;
    run_steps(j);
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
  // Where a third as many callers as threads compute at once, helpers would gain each little, and each would wait for
  // several threads, the slowest of them. A loop that takes longer than this is worth the wait all the same.
  static constexpr std::chrono::microseconds time_alone{500};

  struct counted_in {
    explicit counted_in(std::atomic<int>& n) : count(n) { count.fetch_add(1, std::memory_order_relaxed); }
    ~counted_in() { count.fetch_sub(1, std::memory_order_relaxed); }
    counted_in(const counted_in&) = delete;
    counted_in& operator=(const counted_in&) = delete;
    std::atomic<int>& count;
  };

  bool crowded() const noexcept {
    const int callers = callers_.load(std::memory_order_relaxed);
    return callers > 1 && 3 * callers > size_;
  }

  void run_steps(pool_job& j) {
    if (!j.open && j.count > 1 && size_ > 1) {
      const auto due = std::chrono::steady_clock::now() + time_alone;
      while (j.step())
        if (std::chrono::steady_clock::now() >= due) {
          const pool_lock lock(mutex_);
          open(j);
          break;
        }
    }
    while (j.step()) continue;
  }

  // True when a helper ran the loop; false when it is this thread's turn to run it.
  bool wait_in_queue(pool_job& j, pool_lock& lock) {
    start_helpers();
    j.workers.store(pool_job::owner_sleeps, std::memory_order_relaxed);
    queue_.push(j);
    waiting_ = true;
    // A caller leaves its place without the mutex and then reads waiting_; here it is the other way round.
    if (busy_ < size_) pass_on();
    if (&j == queue_.first) {
      j.awake = true;
      lock.unlock();
      spin_until([&] { return j.state.load(std::memory_order_acquire) != pool_job::pending; });
      lock.lock();
      j.awake = false;
    }
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
      if (box->job.load(std::memory_order_relaxed) != &j || !box->change(&j, &idle_)) continue;
      count_out();
      j.workers.fetch_sub(1, std::memory_order_acq_rel);
      ++spinning_;
    }
  }

  // The functions from here to start_helpers() are called with the mutex held.

  // After the caller has raised busy_.
  void begin(pool_job& j) {
    j.workers.fetch_add(1, std::memory_order_relaxed);
    if (j.count == 1 || size_ == 1) return;
    start_helpers();
    if (!crowded()) open(j);
  }

  void open(pool_job& j) {
    j.open = true;
    jobs_.push(j);
    ++loops_;
    call_helpers(j.count - j.next - 1, &j);
  }

  void close(pool_job& j) {
    if (!j.open) return;
    jobs_.erase(j);
    --loops_;
  }

  static void set(pool_job& j, int state) {
    j.state.store(state, std::memory_order_release);
    j.changed.notify_one();
  }

  // After a caller has finished: has a helper take its place, for the queue or for a loop still running.
  void pass_on() {
    if (busy_ >= size_ || (queue_.first == nullptr && open_job() == nullptr)) return;
    const bool awake = queue_.first != nullptr && queue_.first->awake;
    if (!awake && helpers_.size() > helping_) return call_helpers(1, nullptr);
    if (queue_.first != nullptr) give_turn();
  }

  void give_turn() {
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
    const std::uint64_t call = ++calls_;
    if (j != nullptr) j->call = call;
    wanted = std::min<std::int64_t>(wanted, size_ - busy_);
    for (pool_mailbox* box = mailboxes_.get(); wanted > 0 && spinning_ > 0 && box != mailboxes_.get() + size_; ++box)
      if (box->job.load(std::memory_order_relaxed) == &idle_ && hand_over(*box, j)) --wanted;
    wake(wanted);
  }

  // To wake a thread takes 5 us: a caller wakes a few, and each that finds work as many again.
  void wake(std::int64_t wanted) {
    for (wanted = std::min<std::int64_t>({wanted, sleeping_, 4}); wanted > 0; --wanted) work_.notify_one();
  }

  // Counts the helper first: it may be done at once.
  bool hand_over(pool_mailbox& box, pool_job* j) {
    --spinning_;
    if (j != nullptr) count_in(*j);
    if (box.change(&idle_, j != nullptr ? j : &look_)) return true;
    if (j != nullptr) {
      count_out();
      j->workers.fetch_sub(1, std::memory_order_relaxed);
    }
    ++spinning_;
    return false;
  }

  // One helper more, in the loop `j`.
  void count_in(pool_job& j) {
    ++busy_;
    ++helping_;
    j.workers.fetch_add(1, std::memory_order_relaxed);
  }
  void count_out() {
    --helping_;
    --busy_;
  }

  void start_helpers() {
    while (helpers_.size() < size_)
      if (!helpers_.start_one()) return;  // out of threads or memory: the callers do the work
  }

  void help() {
    inside = true;
    int nice = 0;
    pool_mailbox& box = mailboxes_[started_.fetch_add(1)];
    pool_job* told = &look_;
    for (bool tired = false;;) {
      if (const int wanted = nice_.load(std::memory_order_relaxed); wanted != nice) base::set_niceness(nice = wanted);
      std::uint64_t seen = 0;
      if (told != &look_) {
        seen = work_on(*told);
      } else if (pool_lock lock(mutex_); find_work(lock)) {
        continue;
      } else if (seen = calls_; tired || too_many(spinning_ + 1)) {
        sleep(lock);
        tired = false;
        continue;
      }
      told = spin(box, seen);
      tired = told == nullptr;
      if (tired) told = &look_;
    }
  }

  // Of one who holds the mutex: false when there is nothing to do.
  bool find_work(pool_lock& lock) {
    if (busy_ >= size_) return false;
    if (queue_.first != nullptr && queue_.first->awake) {
      give_turn();
    } else if (queue_.first != nullptr) {
      run_queued(*take(), lock);
    } else if (pool_job* j = open_job(); j != nullptr) {
      count_in(*j);
      if (j->has_work()) wake(size_ - busy_);
      lock.unlock();
      work_on(*j);
    } else {
      return false;
    }
    return true;
  }

  void run_queued(pool_job& j, pool_lock& lock) {
    ++busy_;
    ++helping_;
    begin(j);
    lock.unlock();
    run_steps(j);
    lock.lock();
    close(j);
    take_back(j);
    count_out();
    if (j.leave()) set(j, pool_job::done);
  }

  // Helps until the loop is done or another is queued; returns the call that opened it.
  std::uint64_t work_on(pool_job& j) {
    while (!waiting_.load(std::memory_order_relaxed) && j.step()) continue;
    const std::uint64_t call = j.call;
    // Without the mutex, for which the others come at the same time: the owner waits.
    count_out();
    if (j.leave()) {
      const pool_lock lock(mutex_);
      set(j, pool_job::done);
    }
    return call;
  }

  // To spin: that takes a core from a thread that computes, or from the caller whose next loop is expected.
  bool too_many(int spinning) const noexcept {
    return spinning + std::max(busy_.load(std::memory_order_relaxed), 1) > size_;
  }
  // Counts one of too many out: this one.
  bool is_surplus() noexcept {
    int n = spinning_.load(std::memory_order_relaxed);
    return too_many(n) && spinning_.compare_exchange_strong(n, n - 1);
  }

  // Spins until it is told what to do: a loop, or look_. Null: it is time to sleep. `seen`: the last of the calls that it
  // knows of; one that came between is looked at, since it found no helper here.
  pool_job* spin(pool_mailbox& box, std::uint64_t seen) {
    ++spinning_;
    box.job = &idle_;
    const bool missed = waiting_ || calls_ != seen;
    bool counted_out = false;
    if (!missed)
      spin_until([&] { return box.job.load(std::memory_order_relaxed) != &idle_ || (counted_out = is_surplus()); });
    for (;;) {
      pool_job* const told = box.job;
      if (!box.change(told, nullptr)) continue;
      if (told != &idle_) {
        if (counted_out) ++spinning_;  // by who told it, too
        return told;
      }
      if (!counted_out) --spinning_;
      return missed ? &look_ : nullptr;
    }
  }

  void sleep(pool_lock& lock) {
    const std::uint64_t seen = calls_;
    ++sleeping_;
    lock.wait(work_, [&] { return calls_ != seen; });
    --sleeping_;
  }

  const int size_;
  std::atomic<int> callers_{0};  // threads in run()
  pool_mutex mutex_;
  std::atomic<int> busy_{0};          // threads with a place; raised under the mutex only
  std::atomic<int> helping_{0};       // helpers that compute; likewise
  std::atomic<int> spinning_{0};      // helpers whose mailbox is idle
  int sleeping_ = 0;                  // helpers in work_.wait
  pool_job_list queue_;               // loops not begun: all places are taken
  std::atomic<bool> waiting_{false};  // the queue is not empty; read by helpers that compute
  pool_job_list jobs_;                // loops begun, which helpers may join
  std::atomic<int> loops_{0};         // how many
  std::atomic<std::uint64_t> calls_{0};
  const std::unique_ptr<pool_mailbox[]> mailboxes_;       // of the helpers
  std::atomic<std::size_t> started_{0};                   // helpers
  pool_job idle_{nullptr, nullptr, 0, nullptr, nullptr};  // in a mailbox: its helper spins
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
