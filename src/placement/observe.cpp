#include "observe.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace sluice::core {
namespace {

constexpr float most_factor = 1.3862944F;  // log 4: a profile that is further off wants measuring anew
constexpr float share = 0.1F;
constexpr float most_step = 0.05F;

}  // namespace

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double backlog::seconds(std::int64_t now) const noexcept {
  const std::int64_t left = std::max<std::int64_t>(0, until_.load(std::memory_order_relaxed) - now);
  return static_cast<double>(left + watched_.load(std::memory_order_relaxed)) * 1e-9;
}

void backlog::leave(double seconds, std::int64_t now) noexcept {
  auto until = until_.load(std::memory_order_relaxed);
  while (!until_.compare_exchange_weak(until, std::max(until, now) + ns_of(seconds), std::memory_order_relaxed)) {
  }
}

double correction::factor() const noexcept { return std::exp(static_cast<double>(log_.load(std::memory_order_relaxed))); }

// Two threads at once may lose a sample: there are others.
void correction::observe(double ratio) noexcept {
  if (!(ratio > 0) || !std::isfinite(ratio)) return;
  const auto sample = static_cast<float>(std::log(ratio));
  const float last = last_.exchange(sample, std::memory_order_relaxed);
  const float before = before_.exchange(last, std::memory_order_relaxed);
  if (count_.fetch_add(1, std::memory_order_relaxed) < 2) return;
  const float middle = std::max(std::min(sample, last), std::min(std::max(sample, last), before));
  const float at = log_.load(std::memory_order_relaxed);
  const float step = std::clamp(share * (middle - at), -most_step, most_step);
  log_.store(std::clamp(at + step, -most_factor, most_factor), std::memory_order_relaxed);
}

void correction::forget() noexcept {
  log_ = 0;
  count_ = 0;
}

int live_state::cell_of(const work& w, const device& where) noexcept {
  int operation = 0;
  if (w.operation == "rowsum") {
    operation = 1;
  } else if (w.operation != "matmul") {
    unsigned hash = 0;
    for (const char c : w.operation) hash = hash * 31 + static_cast<unsigned char>(c);
    operation = 2 + static_cast<int>(hash % 4);
  }
  int coming = 0;
  for (int i = 0; i < w.operand_count; ++i)
    if (w.operands[static_cast<std::size_t>(i)].where != where) coming = 1;
  const int size = std::clamp(static_cast<int>(std::log2(1 + w.flops + w.bytes) / 3), 0, 15);
  return ((operation * 7 + static_cast<int>(w.dtype)) * 2 + coming) * 16 + size;
}

}  // namespace sluice::core
