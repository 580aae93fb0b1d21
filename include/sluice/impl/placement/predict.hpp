// What a piece of work takes on a device, by the device's profile.
#pragma once

#include <algorithm>

#include "sluice/impl/placement/load.hpp"
#include "sluice/impl/placement/profile.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

// Row lengths of the two shape classes of time_model::row_length.
inline constexpr double long_row = 1024;
inline constexpr double short_row = 8;

inline const profile* find_profile(const std::vector<profile>& all, const device& d) {
  for (const auto& p : all)
    if (p.where == d) return &p;
  return nullptr;
}

// The number of the op whose figures stand for arithmetic, or for passes over memory, in predictions of an application's own
// work: the first that is measured that way.
inline std::size_t reference_op(bool arithmetic) noexcept {
  std::size_t i = 0;
  for (const auto* op : all_ops()) {
    if ((op->model == time_model::roofline) == arithmetic) break;
    i += precision_count(*op);
  }
  return i;
}

// What a case of `size` takes, by the figures of the precision asked for; by those of the default where there are none.
inline double case_seconds(const profile& p, const listed_op& listed, shape_class shapes, dtype type, double size) {
  const auto computed_as = listed.op != nullptr ? listed.op->computed_as : nullptr;
  const std::size_t own = computed_as != nullptr ? computed_as(listed.precision, type, p.where) : listed.precision;
  const double seconds = own > 0 ? p.of(listed.index + own, shapes, type).at(size) : not_known;
  return std::isnan(seconds) ? p.of(listed.index, shapes, type).at(size) : seconds;
}

inline double row_length_seconds(const profile& p, const work& w, const listed_op& listed) {
  const double by_long = case_seconds(p, listed, shape_class::square, w.dtype, w.bytes);
  const double by_short = case_seconds(p, listed, shape_class::skinny, w.dtype, w.bytes);
  if (w.result_bytes <= 0) return by_long;
  const dtype of_result = listed.op->result_dtype != nullptr ? listed.op->result_dtype(w.dtype) : w.dtype;
  const auto rows = static_cast<double>(w.result_bytes) / static_cast<double>(size_of(of_result));
  const double share = std::clamp(std::log2(w.flops / rows / short_row) / std::log2(long_row / short_row), 0.0, 1.0);
  return std::exp2((1 - share) * std::log2(by_short) + share * std::log2(by_long));
}

// What the work of `listed` takes on the device itself, with one wait for it; NaN where the profile does not say.
inline double op_seconds(const profile& p, const work& w, const listed_op& listed) noexcept {
  const auto model = listed.op != nullptr ? listed.op->model : time_model::roofline;
  if (model == time_model::bandwidth) return case_seconds(p, listed, shape_class::square, w.dtype, w.bytes);
  if (model == time_model::row_length) return row_length_seconds(p, w, listed);
  // An application's own work is taken for one pass over its bytes, with the arithmetic of the reference op.
  const bool known = listed.op != nullptr;
  const dtype arithmetic = is_floating(w.dtype) ? w.dtype : dtype::f32;
  const double by_flops =
      case_seconds(p, known ? listed : listed_op{nullptr, reference_op(true)}, shape_class::square, arithmetic, w.flops);
  const double by_bytes = known ? case_seconds(p, listed, shape_class::skinny, arithmetic, w.bytes)
                                : p.of(reference_op(false), shape_class::square, w.dtype).at(w.bytes);
  return std::isnan(by_flops) || std::isnan(by_bytes) ? not_known : std::max(by_flops, by_bytes);
}

// The share of the CPU that a call keeps from others, as 8 callers at once showed it on 16 cores. A short call has one core;
// `passes` over memory use more of them at shorter durations than arithmetic does.
inline double cpu_share(bool passes, double seconds) {
  const double one = 1.0 / parallel_size();
  const double octaves = std::log2(seconds / (passes ? 10e-6 : 100e-6));
  return one + (1 - one) * std::clamp(octaves / (passes ? 5 : 6), 0.0, 1.0);
}

// Short calls that copy mostly wait, and other calls run meanwhile; long ones fill the bus.
inline double copying_share(double seconds) { return 0.35 + 0.35 * std::clamp(std::log2(seconds / 60e-6) / 4, 0.0, 1.0); }

// Of work that was measured as a whole: a device has it alone, and the CPU one thread of its own, so that others compute
// beside it.
inline prediction predict_measured(const work& w, const device& where) noexcept {
  const double seconds = w.measured_on(where);
  return {.seconds = seconds, .busy = where.is_cpu() ? seconds / parallel_size() : seconds};
}

// `others` are looked through for what a copy from another device takes.
inline prediction predict_on(const profile& p, const work& w, const std::vector<profile>& others) noexcept {
  // Of a copy, without the wait that the whole call has once.
  const auto without_wait = [&](double seconds) { return std::max(seconds - p.sync, 0.1 * seconds); };
  const listed_op listed = op_of(w);
  const double own = op_seconds(p, w, listed);
  if (std::isnan(own)) return {};
  double to_device = 0;
  double to_host = 0;
  double elsewhere = 0;  // copies that another device makes, each of them waited for
  for (int i = 0; i < w.operand_count; ++i) {
    const auto& o = w.operands[static_cast<std::size_t>(i)];
    if (o.bytes <= 0 || o.where == p.where) continue;
    const auto bytes = static_cast<double>(o.bytes);
    if (!o.where.is_cpu()) {
      const profile* from = find_profile(others, o.where);
      elsewhere += from != nullptr ? from->copy(direction::device_to_host, false).at(bytes) : not_known;
    }
    if (!p.where.is_cpu()) to_device += without_wait(p.copy(direction::host_to_device, o.pinned).at(bytes));
  }
  if (w.result_to.is_cpu() && !p.where.is_cpu() && w.result_bytes > 0)
    to_host = without_wait(p.copy(direction::device_to_host, false).at(static_cast<double>(w.result_bytes)));
  prediction out;
  out.seconds = own + to_device + to_host + elsewhere;
  if (p.where.is_cpu()) {
    const bool passes = listed.op != nullptr && listed.op->model != time_model::roofline;
    out.busy = out.seconds * cpu_share(passes, out.seconds);
  } else if (to_device + to_host > 0) {
    out.busy = out.seconds * copying_share(out.seconds);
  } else {
    out.busy = own - 0.82 * std::min(own, p.of(reference_op(true), shape_class::square, dtype::f32).least());
  }
  return out;
}

// The CPU before it is measured: 20 GFLOP/s in f32 and 5 GB/s a core, both lower than is likely. Products of 16-bit floats
// are widened first: two thirds of the arithmetic and a quarter of the bytes a second that f32 has.
inline profile default_cpu(int cores) {
  profile p;
  p.where = device::cpu;
  const double rate = 20e9 * cores;
  const double bandwidth = 5e9 * std::min(cores, 8);
  for (const auto* op : all_ops())
    for (const auto t : op->inputs[0].dtypes) {
      const bool widened = size_of(t) == 2;
      const double slower = widened ? 1.5 : t == dtype::f32 ? 1 : 2;
      curve& square = p.of(index_of(*op), shape_class::square, t);
      curve& skinny = p.of(index_of(*op), shape_class::skinny, t);
      const bool arithmetic = op->model == time_model::roofline;
      square.add(arithmetic ? 2e4 : 4e3, arithmetic ? 1e-6 + 2e4 * slower / rate : 1e-6);
      arithmetic ? square.add(2e9, 2e9 * slower / rate) : square.add(1e9, 1e9 / bandwidth);
      skinny.add(4e3, 1e-6);
      skinny.add(1e9, 1e9 * (arithmetic && widened ? 4 : 1) / bandwidth);
    }
  return p;
}

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice
