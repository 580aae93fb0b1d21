#include "sluice/parallel.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "platform.hpp"

namespace sluice {
inline namespace v0 {
namespace {

using clock = std::chrono::steady_clock;

// Waking a sleeping thread costs 65 to 110 us on the virtual machines this was measured on; spinning for about as long before
// sleeping is never worse than twice the best choice.
constexpr std::chrono::microseconds spin_time{100};

inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until ready() or for spin_time; true when ready.
template <class F>
bool spin_until(F&& ready) {
  const auto end = clock::now() + spin_time;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (clock::now() < end);
  return ready();
}

// Callers and jobs are links of lists, on their callers' stacks: a loop asks for no memory, so none can be wanting.
struct job {
  void (*body)(void*, std::int64_t);
  void* context;
  std::int64_t count;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> helpers{0};  // raised under the pool's mutex only
  job* after = nullptr;
  bool has_work() const noexcept { return next.load(std::memory_order_relaxed) < count; }
};

struct turn {
  std::atomic<bool> mine{false};
  turn* after = nullptr;
};

// At most `size` threads compute at once: callers, who come first, and helpers, who join a caller's loop while there is room.
class pool {
 public:
  explicit pool(int size) : size_(size) {}

  int size() const noexcept { return size_; }

  void run(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
    enter();
    inside = true;
    job j{body, context, count};
    if (count == 1 || size_ == 1) {
      for (std::int64_t i = 0; i < count; ++i) body(context, i);
      inside = false;
      leave();
      return;
    }
    open(j);
    for (std::int64_t i; (i = j.next.fetch_add(1, std::memory_order_relaxed)) < count;) body(context, i);
    inside = false;
    close(j);
  }

  static thread_local bool inside;

 private:
  void enter() {
    turn t;
    {
      std::lock_guard lock(mutex_);
      if (busy_ < size_ && first_ == nullptr) {
        ++busy_;
        return;
      }
      (first_ == nullptr ? first_ : last_->after) = &t;
      last_ = &t;
      waiting_.store(true, std::memory_order_relaxed);
    }
    t.mine.wait(false, std::memory_order_acquire);
    std::lock_guard lock(mutex_);  // whoever handed the place over is done with `t` once it lets go of the mutex
  }

  void leave() {
    std::lock_guard lock(mutex_);
    leave_locked();
  }

  // Gives this thread's place to the caller who waits longest, else to a helper that an open job could use.
  void leave_locked() {
    if (first_ != nullptr) {
      turn* t = first_;
      first_ = t->after;
      waiting_.store(first_ != nullptr, std::memory_order_relaxed);
      t->mine.store(true, std::memory_order_release);
      t->mine.notify_one();
      return;
    }
    --busy_;
    call_helpers();
  }

  void open(job& j) {
    std::lock_guard lock(mutex_);
    start_helpers();
    job** end = &jobs_;
    while (*end != nullptr) end = &(*end)->after;
    *end = &j;
    call_helpers();
  }

  void close(job& j) {
    {
      std::lock_guard lock(mutex_);
      job** at = &jobs_;
      while (*at != &j) at = &(*at)->after;
      *at = j.after;
      leave_locked();
    }
    const auto done = [&] { return j.helpers.load(std::memory_order_acquire) == 0; };
    if (spin_until(done)) return;
    std::unique_lock lock(mutex_);
    finished_.wait(lock, done);
  }

  job* open_job() const {
    for (job* j = jobs_; j != nullptr; j = j->after)
      if (j->has_work()) return j;
    return nullptr;
  }

  void call_helpers() {
    if (busy_ >= size_ || open_job() == nullptr) return;
    calls_.fetch_add(1, std::memory_order_release);  // seen by helpers that spin
    if (sleeping_ > 0) work_.notify_all();
  }

  void start_helpers() {
    for (; helpers_ < size_ - 1; ++helpers_) {
      try {
        platform::start_thread([](void* p) { static_cast<pool*>(p)->help(); }, this);
      } catch (...) {  // out of threads, or of memory: the callers do the work
        return;
      }
    }
  }

  void help() {
    inside = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      job* j = busy_ < size_ && first_ == nullptr ? open_job() : nullptr;
      if (j == nullptr) {
        rest(lock);
        continue;
      }
      ++busy_;
      j->helpers.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      while (!waiting_.load(std::memory_order_relaxed)) {
        const std::int64_t i = j->next.fetch_add(1, std::memory_order_relaxed);
        if (i >= j->count) break;
        j->body(j->context, i);
      }
      lock.lock();
      leave_locked();
      if (j->helpers.fetch_sub(1, std::memory_order_release) == 1) finished_.notify_all();
    }
  }

  void rest(std::unique_lock<std::mutex>& lock) {
    const auto seen = calls_.load(std::memory_order_relaxed);
    const auto called = [&] { return calls_.load(std::memory_order_acquire) != seen; };
    const bool spin = busy_ < size_;  // a thread that spins while all cores are taken takes one from them
    lock.unlock();
    const bool found = spin && spin_until(called);
    lock.lock();
    if (found || called()) return;
    ++sleeping_;
    work_.wait(lock, called);
    --sleeping_;
  }

  const int size_;
  std::mutex mutex_;
  int busy_ = 0;                 // threads at work
  int helpers_ = 0;              // helper threads started
  int sleeping_ = 0;             // of these, in work_.wait
  turn* first_ = nullptr;        // of the callers who wait for a place
  turn* last_ = nullptr;
  std::atomic<bool> waiting_{false};  // somebody does, for helpers at work
  job* jobs_ = nullptr;          // the open ones, the oldest first
  std::atomic<std::uint64_t> calls_{0};
  std::condition_variable work_;
  std::condition_variable finished_;
};

thread_local bool pool::inside = false;

// Set in a forked child, where the helpers do not exist and the mutex may be held by nobody: loops run in order there.
std::atomic<bool> forked{false};

int chosen_size() {
  if (const char* text = std::getenv("SLUICE_THREADS"); text != nullptr) {
    const long wanted = std::strtol(text, nullptr, 10);
    if (wanted >= 1 && wanted <= 4096) return static_cast<int>(wanted);
  }
  return platform::usable_cores();
}

pool& the_pool() {
  // Never destroyed: helpers may still be asleep in it when the process exits.
  static pool* p = [] {
    platform::after_fork_in_child([] { forked.store(true); });
    return new pool(chosen_size());
  }();
  return *p;
}

}  // namespace

std::int32_t parallel_size() noexcept { return forked.load(std::memory_order_relaxed) ? 1 : the_pool().size(); }

void detail::parallel_run(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
  if (count <= 0) return;
  if (pool::inside || forked.load(std::memory_order_relaxed)) {
    for (std::int64_t i = 0; i < count; ++i) body(context, i);
    return;
  }
  the_pool().run(count, body, context);
}

}  // namespace v0
}  // namespace sluice
