#pragma once

#include <algorithm>
#include <utility>

#include "sluice/error.hpp"
#include "sluice/impl/core/pool.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

SLUICE_FUNC std::int32_t parallel_size() noexcept {
  return core::forked.load(std::memory_order_relaxed) ? 1 : core::the_pool().size();
}

SLUICE_FUNC void parallel_nice(std::int32_t nice) noexcept { core::the_pool().set_nice(std::min(nice, 19)); }

SLUICE_FUNC parallel_alone::parallel_alone(bool alone) noexcept : before_(core::pool::inside) {
  core::pool::inside = before_ || alone;
}
SLUICE_FUNC parallel_alone::~parallel_alone() { core::pool::inside = before_; }

SLUICE_FUNC parallel_cancellation::parallel_cancellation(const std::atomic<bool>& cancelled) noexcept
    : before_(std::exchange(core::pool::cancelled, &cancelled)) {}
SLUICE_FUNC parallel_cancellation::~parallel_cancellation() { core::pool::cancelled = before_; }

SLUICE_FUNC void detail::check_not_cancelled() {
  if (core::pool::cancelled != nullptr && core::pool::cancelled->load(std::memory_order_relaxed))
    throw error(error_code::cancelled, "[parallel] the work was cancelled while it ran");
}

SLUICE_FUNC void detail::parallel_run(std::int64_t count, void (*body)(void*, std::int64_t), void* context,
                                      const std::atomic<bool>* stop) {
  if (count <= 0) return;
  core::pool_job j{body, context, count, stop, core::pool::cancelled};
  if (!core::pool::inside && !core::forked.load(std::memory_order_relaxed)) return core::the_pool().run(j);
  for (std::int64_t i = 0; i < count && !j.stopped(); ++i) body(context, i);
}

}  // namespace SLUICE_ABI
}  // namespace sluice
