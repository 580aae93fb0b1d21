// The threads of a hardened server. Connections wait in one epoll, and hold a thread only from a complete head (and a complete small
// body) to the end of the answer.
#pragma once

#include <algorithm>
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
#include "sluice/hardened/rate_limit.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class workers {
 public:
  // Returns what to wait for next; 0: close the connection.
  using step = std::function<readiness(connection&, std::span<char> scratch)>;

  workers(const hardened_options& o, step s) : options_(o), step_(std::move(s)) {
    threads_.reserve(options_.threads + 1);
    try {
      threads_.emplace_back([this] { keep_time(); });
      for (std::size_t i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
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

  [[nodiscard]] bool draining() const noexcept { return draining_; }

  // From now on answers close their connections, and idle ones are closed. Waits until no request is under way, at most `time`.
  bool drain(double time) {
    std::unique_lock lock(mutex_);
    draining_ = true;
    wake_.notify_all();
    return drained_.wait_for(lock, seconds(time), [this] { return std::none_of(open_.begin(), open_.end(), is_under_way); });
  }

  // Waits for the answers under way, at most `time`, then cuts the remaining clients off.
  void stop(double time) {
    if (!drain(time)) {
      const std::lock_guard lock(mutex_);
      for (const auto& [c, owner] : open_) c->wire->below().cut();
    }
    join();
  }

 private:
  using owned = std::unordered_map<connection*, std::unique_ptr<connection>>;

  static bool is_under_way(const owned::value_type& c) noexcept { return c.first->at != connection::phase::lingering; }

  void run() {
    const auto scratch = std::make_unique<char[]>(scratch_bytes);
    while (void* const next = poller_.next()) {
      ++at_work_;
      auto& c = *static_cast<connection*>(next);
      c.deadline.exchange(0);  // synchronises with the thread that stored it
      readiness events = 0;
      try {
        do events = step_(c, {scratch.get(), scratch_bytes});
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

  // True if the next request arrives within 2 ms: the thread keeps the connection and bypasses the epoll, on which many threads
  // contend (16 clients on 16 cores: 0.19 million answers a second through it, 0.76 past it). At most half of the threads do so, and
  // none for a lone client, whom the timer would cost 10%.
  bool next_request_is_near(connection& c) {
    if (c.at != connection::phase::idle || draining_ || at_work_ <= 2) return false;
    const permit_pool::permit permit(staying_);
    return permit && c.wire->below().wait(readable, clock::now() + std::chrono::milliseconds(2));
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

  // Connections past their deadline get an end of file after the received bytes; their worker answers and closes them.
  void keep_time() {
    const auto shortest = std::min({options_.head_seconds, options_.idle_seconds, options_.grace_seconds});
    const auto tick = std::clamp(seconds(shortest / 4), clock::duration(std::chrono::milliseconds(5)),
                                 clock::duration(std::chrono::milliseconds(250)));
    std::unique_lock lock(mutex_);
    while (!ending_) {
      const auto now = clock::now();
      for (const auto& [c, owner] : open_)
        if (is_late(*c, now) && !c->expired.exchange(true)) c->wire->below().finish_receiving();
      wake_.wait_for(lock, draining_ ? std::min(tick, clock::duration(std::chrono::milliseconds(10))) : tick);
    }
  }

  [[nodiscard]] bool is_late(const connection& c, clock::time_point now) const noexcept {
    const auto deadline = c.deadline.load();
    if (deadline == 0) return false;
    const clock::time_point end{clock::duration(deadline)};
    if (end <= now) return true;
    if (!draining_) return false;
    // While draining, idle connections are late at once, and new ones after a second.
    const auto at = c.at.load();
    if (at == connection::phase::idle) return true;
    return at < connection::phase::body && end - now < seconds(options_.head_seconds - 1);
  }

  void join() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      wake_.notify_all();
    }
    poller_.stop();
    for (auto& t : threads_) t.join();
    threads_.clear();
    open_.clear();
  }

  static constexpr std::size_t scratch_bytes = 256 << 10;

  const hardened_options& options_;
  const step step_;
  const std::size_t room_ = connections_within_limits(options_.connections);
  poller poller_;
  permit_pool staying_{options_.threads / 2};
  std::atomic<int> at_work_{0};  // threads that have a connection
  std::mutex mutex_;             // of the next
  owned open_;
  bool ending_ = false;
  std::condition_variable wake_, drained_;
  std::atomic<bool> draining_{false};
  std::vector<std::thread> threads_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
