// How long a client may keep a thread waiting, and which client is given up when all threads wait.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <semaphore>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "sluice/hardened/connection.hpp"
#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// The threads that wait, for clients or for something else, such as a service's worker: a bounded number.
class waiting_threads {
 public:
  // A thread that waits for a client.
  struct client {
    std::string_view address;
    socket& wire;
    readiness events;  // waited for
    double bytes;      // moved so far
    double waited;     // seconds, before this wait
    clock::time_point since = clock::now();
    bool given_up = false;

    [[nodiscard]] double seconds_waited(clock::time_point now) const {
      return waited + std::chrono::duration<double>(now - since).count();
    }
  };

  // `on_wait`: called by each thread that begins to wait.
  waiting_threads(std::size_t size, std::function<void()> on_wait) : size_(size), on_wait_(std::move(on_wait)) {}
  waiting_threads(const waiting_threads&) = delete;
  waiting_threads& operator=(const waiting_threads&) = delete;

  // For a thread that begins to wait for other threads.
  void replace() const { on_wait_(); }

  // While it lives, a thread waits for `c`; false: none may.
  class client_wait {
   public:
    client_wait(waiting_threads& all, const client& c) : all_(all) {
      {
        const std::lock_guard lock(all_.mutex_);
        if (!all_.make_room(c.address)) return;
        at_ = all_.clients_.insert(all_.clients_.end(), c);
        taken_ = true;
      }
      all_.on_wait_();
    }
    ~client_wait() { end(); }
    client_wait(const client_wait&) = delete;
    client_wait& operator=(const client_wait&) = delete;
    explicit operator bool() const noexcept { return taken_; }
    // Whether another took the place: nothing more comes from the client.
    bool end() {
      if (!std::exchange(taken_, false)) return false;
      const std::lock_guard lock(all_.mutex_);
      const bool given_up = at_->given_up;
      all_.given_up_ -= given_up ? 1 : 0;
      all_.clients_.erase(at_);
      return given_up;
    }

   private:
    waiting_threads& all_;
    std::list<client>::iterator at_{};
    bool taken_ = false;
  };

  // Likewise, for something else, on behalf of a client.
  class other_wait {
   public:
    other_wait(waiting_threads& all, std::string_view address) : all_(all) {
      {
        const std::lock_guard lock(all_.mutex_);
        if (!all_.make_room(address)) return;
        ++all_.others_;
        taken_ = true;
      }
      all_.on_wait_();
    }
    ~other_wait() {
      if (!taken_) return;
      const std::lock_guard lock(all_.mutex_);
      --all_.others_;
    }
    other_wait(const other_wait&) = delete;
    other_wait& operator=(const other_wait&) = delete;
    explicit operator bool() const noexcept { return taken_; }

   private:
    waiting_threads& all_;
    bool taken_ = false;
  };

 private:
  // Called with the mutex held. True if one more may wait for a client at `address`, because another was given up if need
  // be.
  bool make_room(std::string_view address) {
    if (clients_.size() - given_up_ + others_ < size_) return true;
    client* const slowest = find_slowest(address);
    if (slowest == nullptr) return false;
    slowest->given_up = true;
    ++given_up_;
    // Its thread wakes up. One that sends has an answer half sent, one that receives can still be told.
    slowest->events == writable ? slowest->wire.cut() : slowest->wire.finish_receiving();
    return true;
  }

  // Of the address that most threads wait for, the client that moved least a second. A client is slow only after a second;
  // but an address that takes many more places than the newcomer's gives one back at once.
  client* find_slowest(std::string_view newcomer) {
    std::unordered_map<std::string_view, std::size_t> counts;
    for (const auto& c : clients_)
      if (!c.given_up) ++counts[c.address];
    const auto many = counts[newcomer] + size_ / 4;
    const auto now = clock::now();
    const auto rate = [&](const client& c) { return c.bytes / c.seconds_waited(now); };
    client* slowest = nullptr;
    for (auto& c : clients_) {
      if (c.given_up || (c.seconds_waited(now) < 1 && counts[c.address] <= many)) continue;
      const auto most = slowest != nullptr ? counts[slowest->address] : 0;
      if (counts[c.address] > most || (counts[c.address] == most && rate(c) < rate(*slowest))) slowest = &c;
    }
    return slowest;
  }

  const std::size_t size_;
  const std::function<void()> on_wait_;
  mutable std::mutex mutex_;  // of the next
  std::list<client> clients_;
  std::size_t given_up_ = 0;  // of them
  std::size_t others_ = 0;
};

// What the threads of a server share.
class shared_threads {
 public:
  shared_threads(std::size_t waiting_size, std::function<void()> on_wait) : waiting(waiting_size, std::move(on_wait)) {}

  waiting_threads waiting;

  template <class F>
  auto while_receiving(F&& receive) {
    if (!receiving.try_acquire()) {
      waiting.replace();
      receiving.acquire();
    }
    auto result = receive();
    receiving.release();
    return result;
  }

 private:
  // Held for each receipt of a piece of a body: however many large bodies come at once, they occupy no more threads than
  // there are cores, and a small request finds one soon.
  std::counting_semaphore<> receiving{usable_cores()};
};

// One direction of one request: a client earns waiting time by the bytes it moves.
class rate_limit {
 public:
  // At most `at_most` seconds in total. 0: no total, but the accumulated credit is capped at idle_seconds, for unbounded
  // uploads.
  rate_limit(const hardened_options& o, waiting_threads& waiting, connection& c, double at_most)
      : options_(o), waiting_(waiting), connection_(c), at_most_(at_most) {}

  void moved(std::size_t bytes) noexcept {
    bytes_ += static_cast<double>(bytes);
    credit_ += static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second);
    if (at_most_ == 0) credit_ = std::min(credit_, options_.idle_seconds);
  }

  // Waits until the connection can be read or written. An error when the time is used up or no thread may wait.
  http_error wait(readiness events) {
    socket& s = connection_.wire->below();
    waiting_threads::client_wait place(
        waiting_, {.address = connection_.remote.ip, .wire = s, .events = events, .bytes = bytes_, .waited = waited_});
    if (!place) return {503, "too many threads wait for slow clients"};
    const auto begin = clock::now();
    const bool ready = s.wait(events, begin + seconds(at_most_ > 0 ? std::min(credit_, at_most_ - waited_) : credit_));
    const double took = std::chrono::duration<double>(clock::now() - begin).count();
    waited_ += took;
    credit_ -= took;
    if (place.end()) return {503, "all threads wait for slow clients, and this one was the slowest of its address"};
    return ready ? http_error{} : http_error{408, "the client was too slow"};
  }

 private:
  const hardened_options& options_;
  waiting_threads& waiting_;
  connection& connection_;
  double at_most_;
  double bytes_ = 0;
  double credit_ = options_.grace_seconds;  // seconds left to wait
  double waited_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
