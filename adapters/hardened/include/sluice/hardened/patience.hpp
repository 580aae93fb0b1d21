// How long a slow client is waited for by a thread.
#pragma once

#include <algorithm>
#include <atomic>

#include "sluice/hardened/connection.hpp"
#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// Threads that wait for clients, of those that there are: the rest stay for others.
class waiting_room {
 public:
  explicit waiting_room(std::size_t size) : size_(size) {}

  class seat {
   public:
    explicit seat(waiting_room& room) : room_(room), taken_(room.taken_.fetch_add(1) < room.size_) {}
    ~seat() { --room_.taken_; }
    seat(const seat&) = delete;
    seat& operator=(const seat&) = delete;
    explicit operator bool() const noexcept { return taken_; }

   private:
    waiting_room& room_;
    bool taken_;
  };

 private:
  std::size_t size_;
  std::atomic<std::size_t> taken_{0};
};

// One direction of one request.
class patience {
 public:
  // `at_most` seconds in all. Where that is 0, what has moved is good for a pause of idle_seconds and no longer: an upload
  // without an end would else earn hours.
  patience(const hardened_options& o, waiting_room& room, double at_most) : options_(o), room_(room), at_most_(at_most) {}

  void moved(std::size_t bytes) noexcept {
    credit_ += static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second);
    if (at_most_ == 0) credit_ = std::min(credit_, options_.idle_seconds);
  }

  // Until `s` can be read or written. A fault when there is no time or no seat left.
  fault wait(socket& s, readiness events) {
    const waiting_room::seat seat(room_);
    if (!seat) return {503, "too many slow clients are waited for"};
    const auto begin = clock::now();
    const bool ready = s.wait(events, begin + seconds(at_most_ > 0 ? std::min(credit_, at_most_ - waited_) : credit_));
    const double took = std::chrono::duration<double>(clock::now() - begin).count();
    waited_ += took;
    credit_ -= took;
    return ready ? fault{} : fault{408, "the client was too slow"};
  }

 private:
  const hardened_options& options_;
  waiting_room& room_;
  double at_most_;
  double credit_ = options_.grace_seconds;  // seconds that may still be waited
  double waited_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
