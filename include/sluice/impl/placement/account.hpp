// A call in progress, as decisions of other calls see it.
#pragma once

#include "sluice/impl/placement/profile_set.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

// What takes the CPU a microsecond or so is neither placed nor accounted for.
inline constexpr double least_flops = 2e4;

// While one exists, this thread's calls are not accounted for: they are part of another call, or of a measurement.
class unaccounted {
 public:
  unaccounted() noexcept { ++depth; }
  ~unaccounted() { --depth; }
  unaccounted(const unaccounted&) = delete;
  unaccounted& operator=(const unaccounted&) = delete;
  static bool here() noexcept { return depth > 0; }
  static void enter() noexcept { ++depth; }
  static void leave() noexcept { --depth; }

 private:
  static inline constinit thread_local int depth = 0;
};

class open_call {
 public:
  open_call() = default;  // not accounted for
  ~open_call() {
    if (live_ != nullptr) end();
  }
  open_call(const open_call&) = delete;
  open_call& operator=(const open_call&) = delete;

  void begin(const work& w, const decision& d, completion c) noexcept {
    if (unaccounted::here()) return;
    if (w.measured_count > 0) {
      if (const auto p = predict_measured(w, d.where); !std::isnan(p.seconds)) {
        const auto* known = published();
        begin(known != nullptr ? live_on(*known, d.where) : live_of(d.where), p, c);
      }
      return;
    }
    const auto* known = published();
    if (known == nullptr || !known->measured || w.flops < least_flops) return;
    const int i = known->index_of(d.where);
    if (i < 0) return;
    auto p = predict_on(known->profiles[static_cast<std::size_t>(i)], w, known->profiles);
    if (std::isnan(p.seconds)) return;
    auto& live = *known->live[static_cast<std::size_t>(i)];
    cell_ = live_state::cell_of(w, d.where);
    p.busy *= live.corrections[static_cast<std::size_t>(cell_)].factor();
    begin(live, p, c);
  }
  void succeeded() noexcept { succeeded_ = true; }

 private:
  void begin(live_state& live, const prediction& p, completion c) noexcept {
    completion_ = c;
    predicted_ = p.seconds;
    busy_ = p.busy;
    began_ = now_ns();
    alone_ = calls.open.fetch_add(1, std::memory_order_relaxed) == 0 && live.queue.seconds(began_) == 0;
    ticket_ = calls.tickets.fetch_add(1, std::memory_order_relaxed) + 1;
    c == completion::synchronous ? live.queue.begin(busy_) : live.queue.enqueue(busy_, began_);
    live_ = &live;
    unaccounted::enter();
  }

  // Only a call that overlapped no other one tells what the work takes.
  void end() noexcept {
    unaccounted::leave();
    calls.open.fetch_sub(1, std::memory_order_relaxed);
    if (completion_ == completion::asynchronous) return;
    live_->queue.end(busy_);
    if (!succeeded_ || !alone_ || cell_ < 0 || calls.tickets.load(std::memory_order_relaxed) != ticket_) return;
    const auto taken = static_cast<double>(now_ns() - began_) * 1e-9;
    live_->corrections[static_cast<std::size_t>(cell_)].observe(taken / predicted_);
  }

  live_state* live_ = nullptr;  // null: not accounted for
  double predicted_ = 0;
  double busy_ = 0;
  std::int64_t began_ = 0;  // ns
  std::uint32_t ticket_ = 0;
  int cell_ = -1;  // of the correction; none: the time was measured, not predicted
  completion completion_ = completion::synchronous;
  bool succeeded_ = false;
  bool alone_ = false;
};

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice
