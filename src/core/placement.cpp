#include "sluice/placement.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include "registry.hpp"

namespace sluice {
inline namespace v0 {
namespace {

// SLUICE_DEVICE, read once; automatic when it is not set.
const device& environment_device() {
  static const device d = [] {
    const char* text = std::getenv("SLUICE_DEVICE");
    if (text == nullptr || *text == '\0') return device::automatic;
    try {
      return device(text);
    } catch (const error& e) {
      throw error(e.code(), fmt::format("{} (in SLUICE_DEVICE)", e.what()));
    }
  }();
  return d;
}

void add_operand(work& w, const tensor& t) {
  w.operands[static_cast<std::size_t>(w.operand_count++)] = {t.device(), static_cast<std::int64_t>(t.bytes()), false};
}

decision decided(const device& where, why because, std::span<const device> candidates) {
  decision d;
  d.where = where;
  d.because = because;
  for (const auto& c : candidates) {
    if (because != why::requested && because != why::environment && core::loss_of(c) != nullptr) continue;
    if (d.estimate_count < static_cast<int>(d.estimates.size()))
      d.estimates[static_cast<std::size_t>(d.estimate_count++)].where = c;
  }
  return d;
}

}  // namespace

work matmul_work(const tensor& a, const tensor& b) {
  const shape out = detail::matmul_shape(a, b);
  work w;
  w.operation = "matmul";
  w.dtype = a.dtype();
  w.flops = 2.0 * static_cast<double>(out.count()) * static_cast<double>(a.shape().back());
  w.result_bytes = checked_product(out.count(), static_cast<std::int64_t>(size_of(a.dtype())));
  add_operand(w, a);
  add_operand(w, b);
  w.bytes = static_cast<double>(a.bytes()) + static_cast<double>(b.bytes()) + static_cast<double>(w.result_bytes);
  return w;
}

work rowsum_work(const tensor& a) {
  const shape out = detail::rowsum_shape(a);
  work w;
  w.operation = "rowsum";
  w.dtype = a.dtype();
  w.flops = static_cast<double>(a.count());
  w.result_bytes = checked_product(out.count(), static_cast<std::int64_t>(size_of(rowsum_dtype(a.dtype()))));
  add_operand(w, a);
  w.bytes = static_cast<double>(a.bytes()) + static_cast<double>(w.result_bytes);
  return w;
}

std::string decision::reason() const {
  switch (because) {
    case why::requested: return fmt::format("{}: the caller named it", where.str());
    case why::environment: return fmt::format("{}: SLUICE_DEVICE names it", where.str());
    case why::operands_there: return fmt::format("{}: the operands are there", where.str());
    case why::device_lost: {
      const char* loss = core::loss_of(lost);
      return fmt::format("{}: {} is lost ({})", where.str(), lost.str(), loss != nullptr ? loss : "no reason is known");
    }
    case why::default_device: break;
  }
  return fmt::format("{}: nothing speaks for another device", where.str());
}

decision place(const work& w, std::span<const device> candidates, const device& wanted) {
  if (!wanted.is_automatic()) return decided(wanted, why::requested, candidates);
  if (!environment_device().is_automatic()) return decided(environment_device(), why::environment, candidates);
  if (candidates.empty())
    throw error(error_code::invalid_argument, fmt::format("[place] {} has no device to choose from", w.operation));
  // Where most bytes of the operands are, if that is no CPU: a copy back would cost more than it brings.
  device best;
  std::int64_t most = -1;
  const device* lost = nullptr;
  for (const auto& c : candidates) {
    if (core::loss_of(c) != nullptr) {
      if (lost == nullptr) lost = &c;
      continue;
    }
    std::int64_t there = 0;
    for (int i = 0; i < w.operand_count; ++i) {
      const auto& o = w.operands[static_cast<std::size_t>(i)];
      if (o.where == c && !c.is_cpu()) there += o.bytes + 1;  // an operand of no bytes still lives somewhere
    }
    if (there > most || (there == most && c.is_cpu() && !best.is_cpu())) {
      most = there;
      best = c;
    }
  }
  if (lost != nullptr) {
    if (most < 0)
      throw error(error_code::device_lost, fmt::format("[place] {}: every device to choose from is lost: {} ({})",
                                                       w.operation, lost->str(), core::loss_of(*lost)));
    decision d = decided(best, why::device_lost, candidates);
    d.lost = *lost;
    return d;
  }
  if (most > 0) return decided(best, why::operands_there, candidates);
  for (int i = 0; i < w.operand_count; ++i)
    if (w.operands[static_cast<std::size_t>(i)].where == best) return decided(best, why::operands_there, candidates);
  return decided(best, why::default_device, candidates);
}

decision place(const work& w, const device& wanted) {
  std::array<device, 5> candidates{device::cpu};
  std::size_t n = 1;
  for (int i = 0; i < w.operand_count; ++i) {
    const device& d = w.operands[static_cast<std::size_t>(i)].where;
    if (std::find(candidates.begin(), candidates.begin() + n, d) == candidates.begin() + n) candidates[n++] = d;
  }
  return place(w, std::span<const device>(candidates.data(), n), wanted);
}

device detail::place_matmul(const tensor& a, const tensor& b, const device& where) {
  return where.is_automatic() ? place(matmul_work(a, b)).where : where;
}

device detail::place_rowsum(const tensor& a, const device& where) {
  return where.is_automatic() ? place(rowsum_work(a)).where : where;
}

}  // namespace v0
}  // namespace sluice
