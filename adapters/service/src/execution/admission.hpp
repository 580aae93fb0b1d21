// Decides from a request's head, before its body is read, whether it will be computed: what is to be refused must not cost
// the reading of its body. And it bounds the memory of all bodies together.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <utility>

#include "execution/compute_queue.hpp"

namespace sluice::serving {

struct http_error;

// The refusal of a request that the queue has no place for: 429, with the seconds to wait.
http_error busy(const compute_queue& queue);

class admission {
 public:
  // `bytes`: of all bodies that are read, wait or are computed.
  admission(const compute_queue& queue, std::int64_t bytes) : queue_(queue), bytes_(bytes) {}
  admission(const admission&) = delete;
  admission& operator=(const admission&) = delete;

  class ticket;

  // Throws http_error (429) when the queue is full, or the bodies' memory. `expected`: bytes of the body; -1: not known.
  [[nodiscard]] ticket admit(std::int64_t expected);

 private:
  using clock = std::chrono::steady_clock;

  // A slow client keeps no place from others: its body counts as what has arrived of it, and it queues like a newcomer when
  // all of it is there.
  static constexpr std::chrono::seconds young{1};
  static constexpr std::int64_t trusted = 8 << 20;  // bytes that a head alone can take from others
  static constexpr std::int64_t step = 1 << 20;     // bytes of a body between two looks at the limit

  struct entry {
    std::int64_t expected, received = 0;
    clock::time_point since = clock::now();
    bool computed = false;  // it counts in the queue

    [[nodiscard]] bool is_young() const { return clock::now() - since < young; }
    [[nodiscard]] std::int64_t bytes() const {
      return is_young() ? std::max(received, std::min(expected, trusted)) : received;
    }
  };
  using entries = std::list<entry>;

  std::int64_t held(const entry* but) const;  // bytes, under the mutex
  [[noreturn]] void refuse_bytes(std::int64_t wanted) const;

  const compute_queue& queue_;
  const std::int64_t bytes_;
  std::mutex mutex_;
  entries all_;
};

// Of one request, until it is answered.
class admission::ticket {
 public:
  ticket() = default;  // of a request that needs none
  ticket(ticket&& other) noexcept : from_(std::exchange(other.from_, nullptr)), at_(other.at_) {}
  ticket& operator=(ticket&& other) noexcept {
    std::swap(from_, other.from_);
    std::swap(at_, other.at_);
    return *this;
  }
  ~ticket();

  // So many bytes of the body are in memory. Throws http_error (429) when all bodies' memory is taken.
  void received(std::int64_t bytes);
  // From here on the request counts in the queue. Whether it has a place there, however full the queue is.
  bool queue();

 private:
  friend class admission;
  ticket(admission& from, entries::iterator at) : from_(&from), at_(at) {}
  admission* from_ = nullptr;
  entries::iterator at_{};
};

}  // namespace sluice::serving
