// Bounds the time that threads spend waiting for slow clients.
#pragma once

#include <algorithm>
#include <atomic>

#include "sluice/hardened/connection.hpp"
#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// Limits how many threads do something at once; the others stay free.
class permit_pool {
 public:
  explicit permit_pool(std::size_t size) : size_(size) {}

  class permit {
   public:
    explicit permit(permit_pool& pool) : pool_(pool), taken_(pool.taken_.fetch_add(1) < pool.size_) {}
    ~permit() { --pool_.taken_; }
    permit(const permit&) = delete;
    permit& operator=(const permit&) = delete;
    explicit operator bool() const noexcept { return taken_; }

   private:
    permit_pool& pool_;
    bool taken_;
  };

 private:
  std::size_t size_;
  std::atomic<std::size_t> taken_{0};
};

// One direction of one request: a client earns waiting time by the bytes it moves.
class rate_limit {
 public:
  // At most `at_most` seconds in total. 0: no total, but the accumulated credit is capped at idle_seconds, for unbounded uploads.
  rate_limit(const hardened_options& o, permit_pool& waiting, double at_most)
      : options_(o), waiting_(waiting), at_most_(at_most) {}

  void moved(std::size_t bytes) noexcept {
    credit_ += static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second);
    if (at_most_ == 0) credit_ = std::min(credit_, options_.idle_seconds);
  }

  // Waits until `s` can be read or written. An error when the time is used up or no permit is free.
  http_error wait(socket& s, readiness events) {
    const permit_pool::permit permit(waiting_);
    if (!permit) return {503, "too many threads wait for slow clients"};
    const auto begin = clock::now();
    const bool ready = s.wait(events, begin + seconds(at_most_ > 0 ? std::min(credit_, at_most_ - waited_) : credit_));
    const double took = std::chrono::duration<double>(clock::now() - begin).count();
    waited_ += took;
    credit_ -= took;
    return ready ? http_error{} : http_error{408, "the client was too slow"};
  }

 private:
  const hardened_options& options_;
  permit_pool& waiting_;
  double at_most_;
  double credit_ = options_.grace_seconds;  // seconds left to wait
  double waited_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
