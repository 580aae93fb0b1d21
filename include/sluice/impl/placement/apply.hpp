// The work that a call is, and a call from its operands to its result.
#pragma once

#include <new>
#include <optional>

#include "sluice/impl/ops/run.hpp"
#include "sluice/impl/placement/account.hpp"
#include "sluice/impl/placement/decision.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline std::int64_t bytes_of(const operand_spec& s) {
  return checked_product(s.shape.count(), static_cast<std::int64_t>(size_of(s.dtype)));
}

// The operands of a call as specs, on the caller's stack.
class operand_specs {
 public:
  explicit operand_specs(const operands& in) : size_(static_cast<std::size_t>(in.size())) {
    for (std::size_t i = 0; i < size_; ++i) {
      const tensor& t = in[static_cast<int>(i)];
      const auto* owner = core::storage_of(t);
      new (&all_[i]) operand_spec{t.dtype(), t.shape(), t.device(), owner != nullptr && owner->kind() == memory::pinned};
    }
  }
  [[nodiscard]] std::span<const operand_spec> span() const noexcept { return {all_, size_}; }

 private:
  static_assert(std::is_trivially_destructible_v<operand_spec>);
  union {  // no more than `size_` are constructed: a small call takes 0.2 us
    operand_spec all_[max_operands];
  };
  std::size_t size_;
};

// Of operands whose result is `out`.
inline work make_work(const op_descriptor& op, std::span<const operand_spec> in, const operand_spec& out,
                      const op_options& options) {
  const op_cost cost = op.cost != nullptr ? op.cost(in, out) : op_cost{.flops = static_cast<double>(out.shape.count())};
  work w;
  w.operation = op.name;
  w.op = &op;
  w.precision = precision_of(op, options);
  w.dtype = in[0].dtype;
  w.flops = cost.flops;
  w.result_bytes = bytes_of(out);
  w.bytes = static_cast<double>(w.result_bytes);
  bool on_cpu = true;
  for (const auto& s : in) {
    const std::int64_t bytes = bytes_of(s);
    w.operands[static_cast<std::size_t>(w.operand_count++)] = {s.where, bytes, s.pinned};
    w.bytes += static_cast<double>(bytes);
    on_cpu = on_cpu && s.where.is_cpu();
  }
  if (cost.bytes > 0) w.bytes = cost.bytes;
  if (on_cpu) w.result_to = device::cpu;
  return w;
}

// Where a call runs, and whether its result returns to the CPU.
struct placed {
  device where;
  bool returns = false;
};

inline placed place_call(const op_descriptor& op, std::span<const operand_spec> in, const operand_spec& out,
                         const op_options& options, const device_request& wanted, open_call& call) {
  if (wanted.is_required() && published() == nullptr) return {wanted.where};
  const work w = make_work(op, in, out, options);
  // No device that has to be asked is faster for small work of operands on the CPU.
  if (wanted.is_automatic() && w.flops < least_flops && w.result_to.is_cpu() && environment_device().is_automatic())
    return {device::cpu};
  const device only[] = {wanted.where};
  const decision d = wanted.is_required() ? place(w, only, wanted) : place(w, wanted);
  const bool returns = !wanted.is_required() && w.result_to.is_cpu() && !d.where.is_cpu() && d.because != why::environment;
  // A call that returns its result, or runs on the CPU, is complete when it returns.
  call.begin(w, d, returns || d.where.is_cpu() ? completion::synchronous : completion::asynchronous);
  return {d.where, returns};
}

// Whether `out`, which is contiguous, may share an element with an operand.
inline bool shares_memory(const tensor& out, const operands& in) noexcept {
  const auto bytes = [](const tensor& t, std::int64_t elements) {
    return static_cast<std::uintptr_t>(elements) * size_of(t.dtype());
  };
  const auto begin = reinterpret_cast<std::uintptr_t>(core::tensor_access::data_of(out));
  std::int64_t count = 1;
  for (const auto extent : out.shape()) count *= extent;
  for (int i = 0; i < in.size(); ++i) {
    const tensor& t = in[i];
    const auto from = reinterpret_cast<std::uintptr_t>(core::tensor_access::data_of(t));
    std::int64_t last = 0;
    for (int d = 0; d < t.rank(); ++d) last += (t.extent(d) - 1) * t.stride(d);
    if (from < begin + bytes(out, count) && begin < from + bytes(t, last + 1)) return true;
  }
  return false;
}

}  // namespace placement

SLUICE_FUNC work work_of(const op_descriptor& op, std::span<const operand_spec> in, const op_options& options) {
  return placement::make_work(op, in, result_of(op, in, options), options);
}

SLUICE_FUNC work work_of(const op_descriptor& op, const operands& in, const op_options& options) {
  return work_of(op, placement::operand_specs(in).span(), options);
}

SLUICE_FUNC tensor apply(const op_descriptor& op, operands in, const device_request& where, const op_options& options) {
  const placement::operand_specs specs(in);
  const operand_spec result = result_of(op, specs.span(), options);
  placement::open_call call;
  const placement::placed at = placement::place_call(op, specs.span(), result, options, where, call);
  tensor out(result.shape, result.dtype, at.where);
  std::array<std::optional<tensor>, max_operands> copies;
  for (int i = 0; i < in.size(); ++i)
    if (in[i].device() != at.where) in.replace(i, copies[static_cast<std::size_t>(i)].emplace(in[i].to(at.where)));
  ops::run(op, in, out, options);
  if (at.returns) out = out.to(device::cpu);
  call.succeeded();
  return out;
}

SLUICE_FUNC void apply_into(const op_descriptor& op, tensor& out, operands in, const op_options& options) {
  const placement::operand_specs specs(in);
  const operand_spec result = result_of(op, specs.span(), options);
  if (out.dtype() != result.dtype || out.shape() != result.shape)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] out is {} {}, and the result is {} {}", op.name, name_of(out.dtype()), out.shape().str(),
                            name_of(result.dtype), result.shape.str()));
  if (!out.is_contiguous() || placement::shares_memory(out, in)) return out.assign(apply(op, in, out.device(), options));
  placement::open_call call;
  const bool small = op.cost != nullptr && op.cost(specs.span(), result).flops < placement::least_flops;
  if (!small || !out.device().is_cpu()) placement::place_call(op, specs.span(), result, options, out.device(), call);
  std::array<std::optional<tensor>, max_operands> copies;
  for (int i = 0; i < in.size(); ++i)
    if (in[i].device() != out.device()) in.replace(i, copies[static_cast<std::size_t>(i)].emplace(in[i].to(out.device())));
  ops::run(op, in, out, options);
  call.succeeded();
}

SLUICE_FUNC call_account::call_account(const work& w, const decision& d, completion c) noexcept {
  static_assert(sizeof(placement::open_call) <= sizeof state_ && alignof(placement::open_call) <= 8);
  (new (state_.data()) placement::open_call)->begin(w, d, c);
}

SLUICE_FUNC call_account::~call_account() {
  std::launder(reinterpret_cast<placement::open_call*>(state_.data()))->~open_call();
}

SLUICE_FUNC void call_account::succeeded() noexcept {
  std::launder(reinterpret_cast<placement::open_call*>(state_.data()))->succeeded();
}

}  // namespace SLUICE_ABI
}  // namespace sluice
