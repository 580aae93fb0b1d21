// What is learnt of a device while it works: how long its queue is, and how far predictions are off.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "sluice/placement.hpp"

namespace sluice::core {

std::int64_t now_ns() noexcept;

// Predicted work that a device still has to do. Calls whose end is seen count until then; work whose end nobody waits for
// counts as long as it was to take, after what else of that kind there is.
class backlog {
 public:
  [[nodiscard]] double seconds(std::int64_t now) const noexcept;
  void begin(double seconds) noexcept { watched_.fetch_add(ns_of(seconds), std::memory_order_relaxed); }
  void end(double seconds) noexcept { watched_.fetch_sub(ns_of(seconds), std::memory_order_relaxed); }
  void leave(double seconds, std::int64_t now) noexcept;

 private:
  static std::int64_t ns_of(double seconds) noexcept { return static_cast<std::int64_t>(std::min(seconds, 3600.0) * 1e9); }

  std::atomic<std::int64_t> watched_{0};  // ns
  std::atomic<std::int64_t> until_{0};    // when the work left behind will be done
};

// Observed over predicted time, one factor a kind of call. A factor follows the middle one of the last three observations,
// by 10% of the way and 5% at most at a time: one odd sample moves nothing, and a hundred move it wherever they are.
class correction {
 public:
  [[nodiscard]] double factor() const noexcept;
  void observe(double ratio) noexcept;
  void forget() noexcept;

 private:
  std::atomic<float> log_{0};
  std::atomic<float> last_{0}, before_{0};  // logarithms of the last two ratios
  std::atomic<std::uint32_t> count_{0};
};

// Calls of this process, on all devices: those that meet slow each other down, wherever they are.
struct traffic {
  std::atomic<int> open{0};               // under way
  std::atomic<std::uint32_t> tickets{0};  // begun
};
inline traffic calls;

// A device's, never destroyed.
class live_state {
 public:
  static constexpr int cells = 6 * 7 * 2 * 16;
  // Of work by operation, dtype, whether operands have to come, and size.
  [[nodiscard]] static int cell_of(const work& w, const device& where) noexcept;

  backlog queue;
  std::array<correction, cells> corrections{};
};

}  // namespace sluice::core
