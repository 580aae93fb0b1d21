// What is learnt about a device while it works: how long its queue is, and by how much predictions are off.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Predicted work that a device still has to do. A synchronous call counts until it ends; an asynchronous one counts for its
// predicted duration, after the asynchronous calls before it.
class backlog {
 public:
  [[nodiscard]] double seconds(std::int64_t now) const noexcept {
    const std::int64_t left = std::max<std::int64_t>(0, until_.load(std::memory_order_relaxed) - now);
    return static_cast<double>(left + open_.load(std::memory_order_relaxed)) * 1e-9;
  }
  void begin(double seconds) noexcept { open_.fetch_add(ns_of(seconds), std::memory_order_relaxed); }
  void end(double seconds) noexcept { open_.fetch_sub(ns_of(seconds), std::memory_order_relaxed); }
  void enqueue(double seconds, std::int64_t now) noexcept {
    auto until = until_.load(std::memory_order_relaxed);
    while (!until_.compare_exchange_weak(until, std::max(until, now) + ns_of(seconds), std::memory_order_relaxed)) {
    }
  }

 private:
  static std::int64_t ns_of(double seconds) noexcept { return static_cast<std::int64_t>(std::min(seconds, 3600.0) * 1e9); }

  std::atomic<std::int64_t> open_{0};   // ns, of synchronous calls
  std::atomic<std::int64_t> until_{0};  // when the asynchronous calls will be done
};

// Observed over predicted time, one factor a kind of call. A factor follows the median of the last three observations,
// by 10% of the difference and 5% at most at a time: one outlier changes nothing, and a hundred samples move it anywhere.
class correction {
 public:
  [[nodiscard]] double factor() const noexcept {
    return std::exp(static_cast<double>(log_.load(std::memory_order_relaxed)));
  }
  // Two threads at once may lose a sample: there are others.
  void observe(double ratio) noexcept {
    if (!(ratio > 0) || !std::isfinite(ratio)) return;
    const auto sample = static_cast<float>(std::log(ratio));
    const float last = last_.exchange(sample, std::memory_order_relaxed);
    const float before = before_.exchange(last, std::memory_order_relaxed);
    if (count_.fetch_add(1, std::memory_order_relaxed) < 2) return;
    const float median = std::max(std::min(sample, last), std::min(std::max(sample, last), before));
    const float at = log_.load(std::memory_order_relaxed);
    const float step = std::clamp(0.1F * (median - at), -0.05F, 0.05F);
    log_.store(std::clamp(at + step, -most, most), std::memory_order_relaxed);
  }
  void forget() noexcept {
    log_ = 0;
    count_ = 0;
  }

 private:
  static constexpr float most = 1.3862944F;  // log 4: a profile that is further off needs a new calibration

  std::atomic<float> log_{0};
  std::atomic<float> last_{0}, before_{0};  // logarithms of the last two ratios
  std::atomic<std::uint32_t> count_{0};
};

// Calls of this process, on all devices: calls that overlap slow each other down, on whatever device.
struct call_counters {
  std::atomic<int> open{0};               // in progress
  std::atomic<std::uint32_t> tickets{0};  // begun
};
inline call_counters calls;

// Profiles and corrections are arranged by one number for each precision of each op of all_ops().
inline std::size_t precision_count(const op_descriptor& op) noexcept {
  return std::max<std::size_t>(1, op.precisions.size());
}

// The number of the op's default precision, which those of its others follow; how many there are for an op that is not among
// them.
inline std::size_t index_of(const op_descriptor& op) noexcept {
  std::size_t i = 0;
  for (const auto* o : all_ops()) {
    if (o == &op) break;
    i += precision_count(*o);
  }
  return i;
}

inline std::size_t index_count() noexcept {
  std::size_t n = 0;
  for (const auto* o : all_ops()) n += precision_count(*o);
  return n;
}

// An op of the list, and the number of its default precision.
struct listed_op {
  const op_descriptor* op = nullptr;  // null: work of an application's own
  std::size_t index = 0;
  std::size_t precision = 0;  // that the work asks for, of op->precisions
};

inline listed_op op_of(const work& w) noexcept {
  std::size_t i = 0;
  for (const auto* op : all_ops()) {
    if (w.op != nullptr ? op == w.op : op->name == w.operation) {
      for (std::size_t p = 0; p < op->precisions.size(); ++p)
        if (&op->precisions[p] == w.precision) return {op, i, p};
      return {op, i};
    }
    i += precision_count(*op);
  }
  return {};
}

// A device's, never destroyed.
class live_state {
 public:
  live_state() : corrections((index_count() + others) * cells_per_op) {}

  // By op, precision, dtype, whether operands have to be copied to the device, and size.
  [[nodiscard]] static int cell_of(const work& w, const device& where) noexcept {
    const listed_op listed = op_of(w);
    std::size_t operation = listed.index + listed.precision;
    if (listed.op == nullptr) {
      unsigned hash = 0;
      for (const char c : w.operation) hash = hash * 31 + static_cast<unsigned char>(c);
      operation = index_count() + hash % others;
    }
    int copied = 0;
    for (int i = 0; i < w.operand_count; ++i)
      if (w.operands[static_cast<std::size_t>(i)].where != where) copied = 1;
    const int size = std::clamp(static_cast<int>(std::log2(1 + w.flops + w.bytes) / 3), 0, sizes - 1);
    return static_cast<int>(operation) * cells_per_op + (static_cast<int>(w.dtype) * 2 + copied) * sizes + size;
  }

  backlog queue;
  std::vector<correction> corrections;

 private:
  static constexpr unsigned others = 4;  // kinds of application work, by a hash of their names
  static constexpr int sizes = 16;
  static constexpr int cells_per_op = 7 * 2 * sizes;
};

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice
