#include "codec/host_allocator.hpp"

namespace sluice::serving {
namespace {

// Staging less than this costs next to nothing.
constexpr std::int64_t large_bytes = 64 << 10;

}  // namespace

host_allocator::host_allocator(const device_request& wanted) noexcept try {
  const auto d = place(work{}, wanted);
  const bool named = d.because == why::requested || d.because == why::environment || d.because == why::preferred;
  small_ = large_ = awake_device(d.where);
  if (!named) large_ = awake_device();
} catch (...) {  // SLUICE_DEVICE names no device: the call itself reports it
}

host_allocator::place_for_bytes host_allocator::choose(std::int64_t bytes) const try {
  const device& where = bytes > large_bytes ? large_ : small_;
  if (where.is_cpu()) return {device::cpu, memory::device};
  // No more than the pool keeps: slow clients hold their memory for long.
  const auto pool = memory_statistics(where, memory::pinned);
  if (pool.in_use + static_cast<std::uint64_t>(bytes) <= pool.limit) return {where, memory::pinned};
  return {device::cpu, memory::device};
} catch (const error&) {  // the device was lost
  return {device::cpu, memory::device};
}

tensor host_allocator::make(const shape& extents, dtype type) const {
  const auto bytes = checked_product(extents.count(), static_cast<std::int64_t>(size_of(type)));
  const auto home = choose(bytes);
  try {
    if (home.kind == memory::pinned) return tensor(extents, type, home.where, home.kind);
  } catch (const error&) {  // the device was lost, or has no such memory left
  }
  return tensor(extents, type);
}

}  // namespace sluice::serving
