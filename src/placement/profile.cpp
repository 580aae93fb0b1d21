#include "profile.hpp"

#include <algorithm>

#include "sluice/parallel.hpp"

namespace sluice::core {
namespace {

bool comes(const work::operand& o, const profile& p) { return o.bytes > 0 && o.where != p.where; }

// Of a copy, without the wait that the whole call has once.
double without_wait(double seconds, double sync) { return std::max(seconds - sync, 0.1 * seconds); }

const profile* find(const std::vector<profile>& all, const device& d) {
  for (const auto& p : all)
    if (p.where == d) return &p;
  return nullptr;
}

// Rows of 8 elements and rows of 1,024 run at different speeds; those between them in between.
double rowsum_seconds(const profile& p, const work& w) {
  const double even = p.operation(kind::rowsum, form::even, w.dtype).at(w.bytes);
  const double thin = p.operation(kind::rowsum, form::thin, w.dtype).at(w.bytes);
  if (w.result_bytes <= 0) return even;
  const auto rows = static_cast<double>(w.result_bytes) / static_cast<double>(size_of(rowsum_dtype(w.dtype)));
  const double share = std::clamp(std::log2(w.flops / rows / thin_row) / std::log2(wide_row / thin_row), 0.0, 1.0);
  return std::exp2((1 - share) * std::log2(thin) + share * std::log2(even));
}

// The part of a device that a call keeps from others, as 8 callers at once showed it on 16 cores and an H200. A call of the
// CPU has one core while it is short, sums sooner more of them than products.
double cpu_share(const work& w, double seconds) {
  const double one = 1.0 / parallel_size();
  const bool sums = w.operation == "rowsum";
  const double octaves = std::log2(seconds / (sums ? 10e-6 : 100e-6));
  return one + (1 - one) * std::clamp(octaves / (sums ? 5 : 6), 0.0, 1.0);
}

// Calls that copy are mostly waiting while they are short, which others can do beside them; long ones fill the way.
double copying_share(double seconds) { return 0.35 + 0.35 * std::clamp(std::log2(seconds / 60e-6) / 4, 0.0, 1.0); }

}  // namespace

bool curve::add(double size, double seconds) noexcept {
  const bool good = count_ < capacity && std::isfinite(size) && std::isfinite(seconds) && seconds > 0 && size > 0 &&
                    (count_ == 0 || size > points_[static_cast<std::size_t>(count_ - 1)].size);
  if (!good) return false;
  points_[static_cast<std::size_t>(count_)] = {size, seconds};
  logs_[static_cast<std::size_t>(count_)] = {std::log2(size), std::log2(seconds)};
  ++count_;
  return true;
}

double curve::at(double size) const noexcept {
  if (count_ == 0) return not_known;
  const auto last = static_cast<std::size_t>(count_ - 1);
  if (!(size > points_[0].size)) return points_[0].seconds;
  if (size > 1000 * points_[last].size) return not_known;  // a call of next to nothing says nothing of a large one
  if (size >= points_[last].size) return points_[last].seconds * (size / points_[last].size);
  std::size_t i = 1;
  while (points_[i].size < size) ++i;
  const auto& [x0, y0] = logs_[i - 1];
  const auto& [x1, y1] = logs_[i];
  return std::exp2(y0 + (y1 - y0) * (std::log2(size) - x0) / (x1 - x0));
}

double operation_seconds(const profile& p, const work& w) noexcept {
  if (w.operation == "rowsum") return rowsum_seconds(p, w);
  const dtype arithmetic = is_floating(w.dtype) ? w.dtype : dtype::f32;
  const double even = p.operation(kind::matmul, form::even, arithmetic).at(w.flops);
  // What is no product is taken for one pass over its bytes, with the arithmetic of a product.
  const double bytes = w.operation == "matmul" ? p.operation(kind::matmul, form::thin, arithmetic).at(w.bytes)
                                               : p.operation(kind::rowsum, form::even, w.dtype).at(w.bytes);
  return std::isnan(even) || std::isnan(bytes) ? not_known : std::max(even, bytes);
}

prediction predict(const profile& p, const work& w, const std::vector<profile>& others) noexcept {
  const double own = operation_seconds(p, w);
  if (std::isnan(own)) return {};
  double up = 0;
  double down = 0;
  double elsewhere = 0;  // copies that another device makes, each of them waited for
  for (int i = 0; i < w.operand_count; ++i) {
    const auto& o = w.operands[static_cast<std::size_t>(i)];
    if (!comes(o, p)) continue;
    const auto bytes = static_cast<double>(o.bytes);
    if (!o.where.is_cpu()) {
      const profile* from = find(others, o.where);
      elsewhere += from != nullptr ? from->copy(way::down, false).at(bytes) : not_known;
    }
    if (!p.where.is_cpu()) up += without_wait(p.copy(way::up, o.pinned).at(bytes), p.sync);
  }
  if (w.result_to.is_cpu() && !p.where.is_cpu() && w.result_bytes > 0)
    down = without_wait(p.copy(way::down, false).at(static_cast<double>(w.result_bytes)), p.sync);
  prediction out;
  out.seconds = own + up + down + elsewhere;
  if (p.where.is_cpu()) {
    out.busy = out.seconds * cpu_share(w, out.seconds);
  } else if (up + down > 0) {
    out.busy = out.seconds * copying_share(out.seconds);
  } else {
    const double least = std::min(own, p.operation(kind::matmul, form::even, dtype::f32).least());
    out.busy = own - 0.82 * least;
  }
  return out;
}

profile default_cpu(int cores) {
  profile p;
  p.where = device::cpu;
  const double rate = 20e9 * cores;
  const double bandwidth = 5e9 * std::min(cores, 8);
  for (int i = 0; i < dtype_count; ++i) {
    const auto t = static_cast<dtype>(i);
    const double slower = t == dtype::f32 ? 1 : t == dtype::f64 ? 2 : 4;
    if (is_floating(t)) {
      p.operation(kind::matmul, form::even, t).add(2e4, 1e-6 + 2e4 * slower / rate);
      p.operation(kind::matmul, form::even, t).add(2e9, 2e9 * slower / rate);
      p.operation(kind::matmul, form::thin, t).add(4e3, 1e-6);
      p.operation(kind::matmul, form::thin, t).add(1e9, 1e9 * slower / bandwidth);
    }
    for (const auto f : {form::even, form::thin}) {
      p.operation(kind::rowsum, f, t).add(4e3, 1e-6);
      p.operation(kind::rowsum, f, t).add(1e9, 1e9 / bandwidth);
    }
  }
  return p;
}

}  // namespace sluice::core
