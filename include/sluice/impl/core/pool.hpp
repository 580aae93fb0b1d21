#include "sluice/parallel.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "platform.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

using clock = std::chrono::steady_clock;

// Waking a sleeping thread costs 65 to 110 us on the virtual machines this was measured on; spinning for about as long
// before sleeping is never worse than twice the best choice.
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

// A caller's loop, on his stack, so that a loop asks for no memory: none can be wanting.
struct job {
  enum : int { pending, turn, done };

  void (*body)(void*, std::int64_t);
  void* context;
  std::int64_t count;
  const std::atomic<bool>* stop;  // null: it is never stopped
  std::atomic<std::int64_t> next{0};
  std::atomic<int> state{pending};    // changed under the pool's mutex only
  std::condition_variable changed{};  // not state.wait(), which yields a few times before it sleeps, and so stays in the way
  int workers = 0;                    // changed under the mutex
  job* after = nullptr;               // in the list that it is in

  bool has_work() const noexcept { return next.load(std::memory_order_relaxed) < count; }
  bool stopped() const noexcept { return stop != nullptr && stop->load(std::memory_order_relaxed); }
  // Does one index; false when all are handed out.
  bool step() {
    if (stopped()) next.store(count, std::memory_order_relaxed);
    const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
    if (i < count) body(context, i);
    return i < count;
  }
};

// The oldest first.
struct job_list {
  job* first = nullptr;

  void push(job& j) {
    job** end = &first;
    while (*end != nullptr) end = &(*end)->after;
    *end = &j;
    j.after = nullptr;
  }
  void erase(const job& j) {
    job** at = &first;
    while (*at != nullptr && *at != &j) at = &(*at)->after;
    if (*at != nullptr) *at = j.after;
  }
};

// At most `size` threads compute at once. A caller who finds room computes, and helpers join his loop while there is room. A
// caller who finds none queues his loop and sleeps; the helper who is free next runs it, first come first served. So under
// load the same few threads compute without a pause: had each caller to be woken for his turn, cores would idle meanwhile.
class pool {
 public:
  explicit pool(int size) : size_(size) {}

  int size() const noexcept { return size_; }

  void run(job& j) {
    std::unique_lock lock(mutex_);
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
    const bool last = end(j);
    pass_on();
    lock.unlock();
    if (!last) wait_for_helpers(j);
  }

  void set_nice(int nice) noexcept {
    int now = nice_.load(std::memory_order_relaxed);
    while (nice > now && !nice_.compare_exchange_weak(now, nice)) continue;
  }

  static thread_local bool inside;

 private:
  // True when a helper has done the loop; false when this thread is to do it, which happens only for lack of helpers.
  bool wait_in_queue(job& j, std::unique_lock<std::mutex>& lock) {
    start_helpers();
    queue_.push(j);
    waiting_.store(true, std::memory_order_relaxed);
    j.changed.wait(lock, [&] { return j.state.load(std::memory_order_relaxed) != job::pending; });
    return j.state.load(std::memory_order_relaxed) == job::done;
  }

  void wait_for_helpers(job& j) {
    const auto done = [&] { return j.state.load(std::memory_order_acquire) == job::done; };
    const bool soon = spin_until(done);
    std::unique_lock lock(mutex_);  // whoever set the state is done with `j` once it lets go of the mutex
    if (!soon) j.changed.wait(lock, done);
  }

  // What follows, up to help(), is called with the mutex held.

  // The caller of begin has raised busy_.
  void begin(job& j) {
    ++j.workers;
    if (j.count == 1 || size_ == 1) return;
    start_helpers();
    jobs_.push(j);
    call_helpers(j.count - 1);
  }

  // True when the loop is done.
  bool end(job& j) {
    --busy_;
    if (--j.workers > 0) return false;
    jobs_.erase(j);
    set(j, job::done);
    return true;
  }

  static void set(job& j, int state) {
    j.state.store(state, std::memory_order_release);
    j.changed.notify_one();
  }

  // After a caller has left his place: a helper is to take it, for the queue or for a loop that goes on.
  void pass_on() {
    if (busy_ >= size_ || (queue_.first == nullptr && open_job() == nullptr)) return;
    if (helpers_ > helping_) return call_helpers(1);
    if (queue_.first == nullptr) return;
    ++busy_;
    set(*take(), job::turn);
  }

  job* take() {
    job* j = queue_.first;
    queue_.erase(*j);
    waiting_.store(queue_.first != nullptr, std::memory_order_relaxed);
    return j;
  }

  job* open_job() const {
    for (job* j = jobs_.first; j != nullptr; j = j->after)
      if (j->has_work()) return j;
    return nullptr;
  }

  void call_helpers(std::int64_t wanted) {
    calls_.fetch_add(1, std::memory_order_release);  // seen by helpers that spin
    wanted = std::min<std::int64_t>({wanted, size_ - busy_, spinning_ + sleeping_});
    for (; wanted > spinning_; --wanted) work_.notify_one();
  }

  void start_helpers() {
    for (; helpers_ < size_; ++helpers_) {
      try {
        platform::start_thread([](void* p) { static_cast<pool*>(p)->help(); }, this);
      } catch (...) {  // out of threads, or of memory: the callers do the work
        return;
      }
    }
  }

  void help() {
    inside = true;
    int nice = 0;
    std::unique_lock lock(mutex_);
    for (;;) {
      if (const int wanted = nice_.load(std::memory_order_relaxed); wanted != nice) platform::set_nice(nice = wanted);
      if (busy_ < size_ && queue_.first != nullptr)
        run_queued(*take(), lock);
      else if (job* j = busy_ < size_ ? open_job() : nullptr; j != nullptr)
        join(*j, lock);
      else
        rest(lock);
    }
  }

  void run_queued(job& j, std::unique_lock<std::mutex>& lock) {
    ++busy_;
    ++helping_;
    begin(j);
    lock.unlock();
    while (j.step()) continue;
    lock.lock();
    --helping_;
    end(j);
  }

  // Helps until the loop is done or someone waits in the queue.
  void join(job& j, std::unique_lock<std::mutex>& lock) {
    ++busy_;
    ++helping_;
    ++j.workers;
    lock.unlock();
    while (!waiting_.load(std::memory_order_relaxed) && j.step()) continue;
    lock.lock();
    --helping_;
    end(j);
  }

  // Spins, as long as that takes no core from a thread at work, or from the caller whose next loop it waits for; then
  // sleeps.
  void rest(std::unique_lock<std::mutex>& lock) {
    const auto seen = calls_.load(std::memory_order_relaxed);
    const auto called = [&] { return calls_.load(std::memory_order_acquire) != seen; };
    if (spinning_ + std::max<int>(busy_, 1) < size_) {
      ++spinning_;
      lock.unlock();
      spin_until([&] { return called() || busy_.load(std::memory_order_relaxed) >= size_; });
      lock.lock();
      --spinning_;
      if (called()) return;
    }
    ++sleeping_;
    work_.wait(lock, called);
    --sleeping_;
  }

  const int size_;
  std::mutex mutex_;
  std::atomic<int> busy_{0};          // threads at work; changed under the mutex only
  int helpers_ = 0;                   // helper threads started
  int helping_ = 0;                   // of these, at work
  int spinning_ = 0;                  // of these, about to sleep
  int sleeping_ = 0;                  // of these, in work_.wait
  job_list queue_;                    // loops not begun, for want of a place
  std::atomic<bool> waiting_{false};  // there are such, for helpers at work
  job_list jobs_;                     // loops begun that helpers may join
  std::atomic<std::uint64_t> calls_{0};
  std::condition_variable work_;
  std::atomic<int> nice_{0};  // of the helpers
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

void parallel_nice(std::int32_t nice) noexcept { the_pool().set_nice(std::min(nice, 19)); }

parallel_alone::parallel_alone(bool alone) noexcept : before_(pool::inside) { pool::inside = before_ || alone; }
parallel_alone::~parallel_alone() { pool::inside = before_; }

void detail::parallel_run(std::int64_t count, void (*body)(void*, std::int64_t), void* context,
                          const std::atomic<bool>* stop) {
  if (count <= 0) return;
  job j{body, context, count, stop};
  if (!pool::inside && !forked.load(std::memory_order_relaxed)) return the_pool().run(j);
  for (std::int64_t i = 0; i < count && !j.stopped(); ++i) body(context, i);
}

}  // namespace SLUICE_ABI
}  // namespace sluice
