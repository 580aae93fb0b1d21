// The threads of a hardened server. Connections wait in one epoll, and hold a thread only from a complete head (and a
// complete small body) to the end of the answer. A thread that waits within a handler is replaced, so that slow clients and
// full queues never leave the others without one.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <vector>

#include "sluice/hardened/connection.hpp"
#include "sluice/hardened/options.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class workers {
 public:
  // Returns what to wait for next; 0: close the connection.
  using step = std::function<readiness(connection&, std::span<char> scratch)>;

  workers(const hardened_options& o, step s) : options_(o), step_(std::move(s)) {
    try {
      threads_.emplace_back([this] { keep_time(); });
      for (std::size_t i = 0; i < options_.threads; ++i) start_one();
    } catch (...) {
      join();
      throw;
    }
  }
  ~workers() { join(); }
  workers(const workers&) = delete;
  workers& operator=(const workers&) = delete;

  // Takes ownership; false when the limit of connections is reached.
  bool add(std::unique_ptr<connection>& c) {
    connection& added = *c;
    {
      const std::lock_guard lock(mutex_);
      if (open_.size() >= room_) return false;
      open_.emplace(&added, std::move(c));
    }
    added.until = clock::now() + seconds(options_.head_seconds);
    socket& s = added.wire->below();
    added.deadline = added.until.time_since_epoch().count();
    poller_.add(s, readable, &added);
    return true;
  }

  // Called by a thread that begins to wait: when few threads are free, another is started.
  void replace_waiting() noexcept try {
    const auto free = started_ - std::min(started_.load(), at_work_.load());
    if (free * 4 >= options_.threads) return;
    const std::lock_guard lock(mutex_);
    if (!ending_ && started_ < options_.threads + options_.waiting_threads) start_one();
  } catch (...) {  // the system has no more threads
  }

  [[nodiscard]] bool draining() const noexcept { return draining_; }

  // From now on answers close their connections, and idle ones are closed soon. Waits until no request is under way and all
  // answers have reached their clients' systems, at most `time`.
  bool drain(double time) {
    return drain_until([end = clock::now() + seconds(time)] { return end; });
  }

  // stop() cuts nobody off before `end`.
  void promise_time(clock::time_point end) {
    const std::lock_guard lock(mutex_);
    drain_end_ = std::max(drain_end_, end);
  }

  // Waits for the answers under way, at most `time` or as long as was promised, then cuts the remaining clients off, after
  // `on_cut` was called.
  void stop(double time, const std::function<void()>& on_cut) {
    const auto end = clock::now() + seconds(time);
    if (!drain_until([&] { return std::max(end, drain_end_ + 10 * drain_tick); })) {  // a drain returns first
      on_cut();
      const std::lock_guard lock(mutex_);
      for (const auto& [c, owner] : open_) c->wire->below().cut();
    }
    join();
  }

 private:
  // `end` is called with the mutex held, and may move on.
  template <class F>
  bool drain_until(F&& end) {
    std::unique_lock lock(mutex_);
    if (!draining_) draining_since_ = clock::now();
    draining_ = true;
    wake_.notify_all();
    while (!std::none_of(open_.begin(), open_.end(), is_under_way)) {
      if (clock::now() >= end()) return false;
      drained_.wait_until(lock, std::min<clock::time_point>(end(), clock::now() + drain_tick));
    }
    return true;
  }

  using owned = std::unordered_map<connection*, std::unique_ptr<connection>>;

  // Closing a connection drops what its client's system has not confirmed.
  static bool is_under_way(const owned::value_type& c) noexcept {
    return c.first->at != connection::phase::lingering || c.first->wire->below().has_unconfirmed();
  }

  void start_one() {
    auto scratch = std::make_unique<char[]>(scratch_bytes);  // here, where a lack of memory is caught
    threads_.emplace_back([this, scratch = std::move(scratch)] { run(scratch.get()); });
    ++started_;
  }

  void run(char* scratch) {
    while (void* const next = poller_.next()) {
      ++at_work_;
      auto& c = *static_cast<connection*>(next);
      const clock::time_point deadline{
          clock::duration(c.deadline.exchange(0))};  // synchronises with the thread that stored it
      c.until = std::max(c.until, deadline);         // it may have been put off
      readiness events = 0;
      try {
        do events = step_(c, {scratch, scratch_bytes});
        while (events == readable && next_request_is_near(c));
      } catch (...) {  // no memory
        events = 0;
      }
      if (events == 0) {
        close(c);
      } else {
        if (draining_ && c.at == connection::phase::lingering) notify_drained();
        socket& s = c.wire->below();
        c.deadline = c.until.time_since_epoch().count();
        poller_.rearm(s, events, &c);  // another thread may own it from here on
      }
      --at_work_;
    }
  }

  // True if the next request arrives within 2 ms: the thread keeps the connection and bypasses the epoll, on which many
  // threads contend (16 clients on 16 cores: 0.19 million answers a second through it, 0.76 past it). At most half of the
  // threads do so, and none for a lone client, whom the timer would cost 10%.
  bool next_request_is_near(connection& c) {
    if (c.at != connection::phase::idle || draining_ || at_work_ <= 2) return false;
    const bool may_stay = staying_.fetch_add(1) < options_.threads / 2;
    const bool near = may_stay && c.wire->below().wait(readable, clock::now() + std::chrono::milliseconds(2));
    --staying_;
    return near;
  }

  void close(connection& c) {
    const std::lock_guard lock(mutex_);
    open_.erase(&c);  // under the lock: the timekeeper uses its descriptor
    if (draining_) drained_.notify_all();
  }

  void notify_drained() {
    const std::lock_guard lock(mutex_);
    drained_.notify_all();
  }

  // Connections past their deadline get an end of file after the received bytes; their worker answers and closes them. Where
  // bytes have arrived, it is the server that is late: the deadline is put off until a thread has had the time to take them.
  void keep_time() {
    const auto shortest = std::min({options_.head_seconds, options_.idle_seconds, options_.grace_seconds});
    const auto tick = std::clamp(seconds(shortest / 4), clock::duration(std::chrono::milliseconds(5)),
                                 clock::duration(std::chrono::milliseconds(250)));
    std::unique_lock lock(mutex_);
    while (!ending_) {
      const auto now = clock::now();
      for (const auto& [c, owner] : open_)
        if (is_late(*c, now) && !put_off(*c, now) && !c->expired.exchange(true)) c->wire->below().finish_receiving();
      wake_.wait_for(lock, draining_ ? std::min(tick, drain_tick) : tick);
    }
  }

  [[nodiscard]] bool is_late(const connection& c, clock::time_point now) const noexcept {
    const auto deadline = c.deadline.load();
    if (deadline == 0) return false;
    const clock::time_point end{clock::duration(deadline)};
    if (end <= now) return true;
    if (!draining_) return false;
    // While draining, idle connections are late soon, after a request that may already be sent, and new ones after a second.
    const auto at = c.at.load();
    if (at == connection::phase::idle) return now - draining_since_ > last_requests;
    return at < connection::phase::body && end - now < seconds(options_.head_seconds - 1);
  }

  // False if the client is late. A thread that has taken the connection meanwhile has set the deadline to 0.
  static bool put_off(connection& c, clock::time_point now) noexcept {
    if (c.at == connection::phase::lingering || !c.wire->below().has_received()) return false;
    auto deadline = c.deadline.load();
    if (deadline != 0)
      c.deadline.compare_exchange_strong(deadline, (now + std::chrono::seconds(1)).time_since_epoch().count());
    return true;
  }

  void join() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      wake_.notify_all();
    }
    poller_.stop();
    for (auto& t : threads_) t.join();  // no other is started
    threads_.clear();
    const std::lock_guard lock(mutex_);
    open_.clear();
  }

  static constexpr std::size_t scratch_bytes = 256 << 10;
  static constexpr clock::duration drain_tick = std::chrono::milliseconds(10);
  static constexpr clock::duration last_requests = std::chrono::milliseconds(500);

  const hardened_options& options_;
  const step step_;
  const std::size_t room_ = connections_within_limits(options_.connections);
  poller poller_;
  std::atomic<std::size_t> started_{0};  // threads that serve connections; of these,
  std::atomic<std::size_t> at_work_{0};  // have one
  std::atomic<std::size_t> staying_{0};  // wait for a next request
  std::mutex mutex_;                     // of the next
  owned open_;
  bool ending_ = false;
  clock::time_point draining_since_{}, drain_end_{};
  std::condition_variable wake_, drained_;
  std::atomic<bool> draining_{false};
  std::vector<std::thread> threads_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
