// The threads of a hardened server. Connections wait in one epoll for their next request, and hold a thread only from a
// whole head (and a whole small body) to the end of its answer.
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
#include "sluice/hardened/patience.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class workers {
 public:
  // What to wait for next; 0: the connection is to be closed.
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

  // Takes it over; false when there is no room for it.
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

  // Has answers close their connections from now on, and those without a request; waits until no request is under way,
  // `time` at most.
  bool drain(double time) {
    std::unique_lock lock(mutex_);
    draining_ = true;
    wake_.notify_all();
    return drained_.wait_for(lock, seconds(time), [this] { return std::none_of(open_.begin(), open_.end(), is_under_way); });
  }

  // Ends with the answers under way; clients that are waited for are cut off after `time`.
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
      c.deadline.exchange(0);  // reads what its last thread stored, and with it all that it did
      readiness events = 0;
      try {
        do events = step_(c, {scratch.get(), scratch_bytes});
        while (events == readable && asks_again(c));
      } catch (...) {  // no memory
        events = 0;
      }
      if (events == 0) {
        close(c);
      } else {
        if (draining_ && c.at == connection::phase::lingering) tell();
        socket& s = c.wire->below();
        c.deadline = c.until.time_since_epoch().count();
        poller_.again(s, events, &c);  // from here on it may be another thread's
      }
      --at_work_;
    }
  }

  // Whether the next request is there within a moment: the thread then goes on, past the epoll, in which many threads hold
  // one another up (16 clients of 16 cores: 0.19 million answers a second through it, 0.76 beside it). Half of the threads
  // at most stay so, and none for a client that is alone, which the moment's timer would cost a tenth.
  bool asks_again(connection& c) {
    if (c.at != connection::phase::idle || draining_ || at_work_ <= 2) return false;
    const waiting_room::seat seat(staying_);
    return seat && c.wire->below().wait(readable, clock::now() + std::chrono::milliseconds(2));
  }

  void close(connection& c) {
    const std::lock_guard lock(mutex_);
    open_.erase(&c);  // under the lock: the timekeeper looks at its descriptor
    if (draining_) drained_.notify_all();
  }

  void tell() {
    const std::lock_guard lock(mutex_);
    drained_.notify_all();
  }

  // Connections whose time is up get their end of file now, behind what was received: their worker sees to the rest.
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
    // While draining, nobody waits for a next request, and a second at most for a first.
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
  waiting_room staying_{options_.threads / 2};
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
