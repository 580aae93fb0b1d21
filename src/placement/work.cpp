// What operations need, and the account of a call under way.
#include <fmt/format.h>

#include "profiles.hpp"
#include "sluice/impl/core/storage.hpp"
#include "sluice/impl/core/tensor_access.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

// What takes the CPU a microsecond or so is not worth looking at.
constexpr double least_flops = 2e4;

std::int64_t size_as(const shape& s, dtype t) { return checked_product(s.count(), static_cast<std::int64_t>(size_of(t))); }

void add_operand(work& w, const tensor& t) {
  const auto* owner = core::storage_of(t);
  w.operands[static_cast<std::size_t>(w.operand_count++)] = {t.device(), static_cast<std::int64_t>(t.bytes()),
                                                             owner != nullptr && owner->kind() == memory::pinned};
}

void add_operand(work& w, const shape& s, dtype t, const device& at, bool pinned) {
  w.operands[static_cast<std::size_t>(w.operand_count++)] = {at, size_as(s, t), pinned};
}

// Once the operands are there.
work& finish(work& w) {
  w.bytes = static_cast<double>(w.result_bytes);
  bool on_cpu = true;
  for (int i = 0; i < w.operand_count; ++i) {
    const auto& o = w.operands[static_cast<std::size_t>(i)];
    w.bytes += static_cast<double>(o.bytes);
    on_cpu = on_cpu && o.where.is_cpu();
  }
  if (on_cpu) w.result_to = device::cpu;
  return w;
}

work product(const shape& out, std::int64_t inner, dtype type) {
  work w;
  w.operation = "matmul";
  w.dtype = type;
  w.flops = 2.0 * static_cast<double>(out.count()) * static_cast<double>(inner);
  w.result_bytes = size_as(out, type);
  return w;
}

work sums(const shape& out, const shape& a, dtype type) {
  work w;
  w.operation = "rowsum";
  w.dtype = type;
  w.flops = static_cast<double>(a.count());
  w.result_bytes = size_as(out, rowsum_dtype(type));
  return w;
}

// A tensor of that shape whose memory nobody will ask for: it repeats one element, or none.
tensor imagined(const shape& s, dtype type) {
  static const double element = 0;
  strides none = s;
  for (auto& step : none) step = 0;
  return tensor::wrap(const_cast<double*>(&element), type, s, none, nullptr);
}



// Small work of operands on the CPU: no device that has to be asked is quicker.
bool stays(const work& w) {
  return w.flops < least_flops && w.result_to.is_cpu() && core::environment_device().is_automatic();
}

// A call whose operands are on the CPU ends when its result is back; one on the CPU when it returns.
call_account account(const work& w, const device_request& wanted) {
  const device alone[] = {wanted.where};
  const decision d = wanted.is_required() ? place(w, alone, wanted) : place(w, wanted);
  const bool comes_back = !wanted.is_required() && w.result_to.is_cpu() && !d.where.is_cpu() && d.because != why::environment;
  return {w, d, comes_back, comes_back || d.where.is_cpu()};
}

}  // namespace

work matmul_work(const tensor& a, const tensor& b) {
  work w = product(detail::matmul_shape(a, b), a.shape().back(), a.dtype());
  add_operand(w, a);
  add_operand(w, b);
  return finish(w);
}

work rowsum_work(const tensor& a) {
  work w = sums(detail::rowsum_shape(a), a.shape(), a.dtype());
  add_operand(w, a);
  return finish(w);
}

work matmul_work(const shape& a, const shape& b, dtype type, const device& at, bool pinned) {
  work w = product(detail::matmul_shape(imagined(a, type), imagined(b, type)), a.back(), type);
  add_operand(w, a, type, at, pinned);
  add_operand(w, b, type, at, pinned);
  return finish(w);
}

work rowsum_work(const shape& a, dtype type, const device& at, bool pinned) {
  work w = sums(detail::rowsum_shape(imagined(a, type)), a, type);
  add_operand(w, a, type, at, pinned);
  return finish(w);
}

call_account detail::place_matmul(const tensor& a, const tensor& b, const device_request& wanted) {
  if (wanted.is_required() && core::published() == nullptr) return call_account(wanted.where);
  const work w = matmul_work(a, b);
  if (wanted.is_automatic() && stays(w)) return call_account(device::cpu);
  return account(w, wanted);
}

call_account detail::place_rowsum(const tensor& a, const device_request& wanted) {
  if (wanted.is_required() && core::published() == nullptr) return call_account(wanted.where);
  const work w = rowsum_work(a);
  if (wanted.is_automatic() && stays(w)) return call_account(device::cpu);
  return account(w, wanted);
}

call_account::call_account(const work& w, const decision& d, bool comes_back, bool watched) noexcept
    : where_(d.where), comes_back_(comes_back), watched_(watched) {
  const auto* known = core::published();
  if (known == nullptr || !known->measured || w.flops < least_flops || core::unaccounted::here()) return;
  const int i = known->index_of(d.where);
  if (i < 0) return;
  const auto p = core::predict(known->profiles[static_cast<std::size_t>(i)], w, known->profiles);
  if (std::isnan(p.seconds)) return;
  auto& live = *known->live[static_cast<std::size_t>(i)];
  cell_ = core::live_state::cell_of(w, d.where);
  predicted_ = p.seconds;
  busy_ = p.busy * live.corrections[static_cast<std::size_t>(cell_)].factor();
  began_ = core::now_ns();
  alone_ = core::calls.open.fetch_add(1, std::memory_order_relaxed) == 0 && live.queue.seconds(began_) == 0;
  ticket_ = core::calls.tickets.fetch_add(1, std::memory_order_relaxed) + 1;
  watched_ ? live.queue.begin(busy_) : live.queue.leave(busy_, began_);
  live_ = &live;
  core::unaccounted::enter();
}

// Only a call that met no other tells what the work takes.
void call_account::end() noexcept {
  core::unaccounted::leave();
  auto& live = *static_cast<core::live_state*>(live_);
  core::calls.open.fetch_sub(1, std::memory_order_relaxed);
  if (!watched_) return;
  live.queue.end(busy_);
  if (!succeeded_ || !alone_ || core::calls.tickets.load(std::memory_order_relaxed) != ticket_) return;
  const auto taken = static_cast<double>(core::now_ns() - began_) * 1e-9;
  live.corrections[static_cast<std::size_t>(cell_)].observe(taken / predicted_);
}

}  // namespace SLUICE_ABI
}  // namespace sluice
