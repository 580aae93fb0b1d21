// The choice of a device.
#pragma once

#include <string_view>

#include <fmt/format.h>

#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/core/registry.hpp"
#include "sluice/impl/placement/profile_set.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

// SLUICE_DEVICE, read once; automatic when it is not set. Throws invalid_argument when it is no device's name.
inline const device& environment_device() {
  static const device d = [] {
    const std::string_view text = base::environment("SLUICE_DEVICE");
    if (text.empty()) return device::automatic;
    try {
      return device(text);
    } catch (const error& e) {
      throw error(e.code(), fmt::format("{} (in SLUICE_DEVICE)", e.what()));
    }
  }();
  return d;
}

// The gain that a device must promise: 15% less time than the CPU, whose calls do not share a bus; a third less than the
// device that the operands are on, because they have to be copied. The length of a queue is known roughly, and work on one
// device slows down the others: a queue sends work elsewhere only where that takes half the time.
inline constexpr double gain_from_cpu = 0.85;
inline constexpr double gain_from_device = 0.7;
inline constexpr double gain_from_queue = 0.5;

inline std::int64_t bytes_on(const work& w, const device& d) {
  std::int64_t there = 0;
  for (int i = 0; i < w.operand_count; ++i) {
    const auto& o = w.operands[static_cast<std::size_t>(i)];
    if (o.where == d) there += o.bytes + 1;  // an empty operand still has a place
  }
  return there;
}

// The candidates, and what a decision depends on.
class survey {
 public:
  survey(const work& w, const profile_set& known)
      : work_(w), known_(known), now_(known.measured || w.measured_count > 0 ? now_ns() : 0) {
    out_.measured = w.measured_count > 0;
    if (const auto listed = op_of(w); listed.precision > 0) out_.precision = listed.op->precisions[listed.precision].name;
  }

  void add(const device& d, bool may_be_lost = false) {
    if (!may_be_lost && out_.measured && std::isnan(work_.measured_on(d))) return;
    if (!may_be_lost && core::loss_of(d) != nullptr) {
      if (lost_ == nullptr) lost_ = &d;
      return;
    }
    const estimate e = of(d);
    if (out_.estimate_count < static_cast<int>(out_.estimates.size()))
      out_.estimates[static_cast<std::size_t>(out_.estimate_count++)] = e;
    if (may_be_lost) return;
    const std::int64_t there = d.is_cpu() ? 0 : bytes_on(work_, d);
    if (there > most_there_ || (there == most_there_ && d.is_cpu() && !holder_.where.is_cpu())) {
      most_there_ = there;
      holder_ = e;
    }
    if (d.is_cpu()) cpu_ = e;
    if (d == preferred_) there_ = e, preferred_is_there_ = true;
    if (e.seconds < best_.seconds) best_ = e;
    if (e.seconds - e.waiting < best_alone_.seconds - best_alone_.waiting) best_alone_ = e;
    if (e.seconds < best_awake_.seconds && is_awake(d)) best_awake_ = e;
    if (out_.measured || (!d.is_cpu() && !std::isnan(e.seconds))) measured_ = true;
  }

  void prefer(const device& d) { preferred_ = d; }
  [[nodiscard]] bool none() const { return most_there_ < 0; }
  [[nodiscard]] const device* lost() const { return lost_; }

  decision decided(const device& where, why because) {
    out_.where = where;
    out_.because = because;
    return out_;
  }

  decision choose() {
    decision d = preferred_is_there_ && (!(there_.seconds > work_.deadline) || none_in_time())
                     ? decided(preferred_, why::preferred)
                     : soonest();
    if (preferred_is_there_ && d.because == why::soonest) d.because = why::deadline;
    if (lost_ != nullptr && d.because != why::preferred) {
      d.because = why::device_lost;
      d.lost = *lost_;
    }
    return d;
  }

 private:
  [[nodiscard]] estimate of(const device& d) const {
    estimate e;
    e.where = d;
    if (out_.measured) {
      if (const double alone = work_.measured_on(d); !std::isnan(alone)) {
        e.waiting = live_on(known_, d).queue.seconds(now_);
        e.seconds = alone + e.waiting;
      }
      return e;
    }
    const int i = known_.measured && work_.flops > 0 ? known_.index_of(d) : -1;
    if (i < 0 || !known_.profiles[static_cast<std::size_t>(i)].measured) return e;
    const auto& live = *known_.live[static_cast<std::size_t>(i)];
    const double alone = predict_on(known_.profiles[static_cast<std::size_t>(i)], work_, known_.profiles).seconds *
                         live.corrections[static_cast<std::size_t>(live_state::cell_of(work_, d))].factor();
    e.waiting = live.queue.seconds(now_);
    e.seconds = alone + e.waiting;
    return e;
  }

  // What ran there to be measured woke it.
  [[nodiscard]] bool is_awake(const device& d) const { return out_.measured || core::is_awake(d); }
  [[nodiscard]] bool none_in_time() const { return !(best_awake_.seconds <= work_.deadline); }

  // By the profiles where there are any; else by where the operands are.
  decision soonest() {
    if (!measured_ || std::isnan(cpu_.seconds) || (!out_.measured && most_there_ > 0 && std::isnan(holder_.seconds)))
      return where_operands_are();
    const estimate best = worth_it();
    if (is_awake(best.where)) return decided(best.where, why::soonest);
    const bool small = cpu_.seconds - cpu_.waiting < worth_waking;
    if (!small && work_.deadline == infinite) return decided(best.where, why::soonest);
    // Waking takes some tenths of a second: never for small work, and not before a deadline.
    return decided(best_awake_.seconds < infinite ? best_awake_.where : best.where, small ? why::too_small : why::deadline);
  }

  // The best, unless its gain is within the error of predictions.
  [[nodiscard]] estimate worth_it() const {
    const bool from_device = most_there_ > 0 && !out_.measured;
    const estimate& home = from_device ? holder_ : cpu_;
    const double gain = from_device ? gain_from_device : gain_from_cpu;
    const auto beaten = [](const estimate& by, const estimate& e, double share) {
      return by.where == e.where || by.seconds < share * e.seconds;
    };
    const estimate& best = beaten(best_, best_alone_, gain_from_queue) ? best_ : best_alone_;
    return beaten(best, home, gain) ? best : home;
  }

  decision where_operands_are() {
    const bool live_there = bytes_on(work_, holder_.where) > 0;
    return decided(holder_.where, live_there ? why::operands_there : why::default_device);
  }

  static constexpr double infinite = std::numeric_limits<double>::infinity();

  const work& work_;
  const profile_set& known_;
  const std::int64_t now_;
  decision out_;
  std::int64_t most_there_ = -1;
  estimate holder_;                      // the device other than the CPU with most bytes of the operands
  estimate cpu_{device::cpu, infinite};  // infinite where it is no candidate
  estimate best_{{}, infinite}, best_alone_{{}, infinite}, best_awake_{{}, infinite};
  bool measured_ = false;  // a device other than the CPU is, or the work itself
  device preferred_ = device::automatic;
  estimate there_;
  bool preferred_is_there_ = false;
  const device* lost_ = nullptr;
};

}  // namespace placement

SLUICE_FUNC decision place(const work& w, std::span<const device> candidates, const device_request& wanted) {
  const bool named = wanted.is_required();
  const bool by_environment = wanted.is_automatic() && !placement::environment_device().is_automatic() &&
                              (w.measured_count == 0 || !std::isnan(w.measured_on(placement::environment_device())));
  placement::survey s(w, placement::profiles_for(w));
  if (named || by_environment) {
    const device& d = named ? wanted.where : placement::environment_device();
    s.add(d, true);
    for (const auto& c : candidates)
      if (c != d) s.add(c, true);
    return s.decided(d, named ? why::requested : why::environment);
  }
  if (candidates.empty())
    throw error(error_code::invalid_argument, fmt::format("[place] {} has no device to choose from", w.operation));
  s.prefer(wanted.where);
  for (const auto& c : candidates) s.add(c);
  if (s.none() && s.lost() == nullptr)
    throw error(error_code::invalid_argument,
                fmt::format("[place] {} was measured on none of the devices to choose from", w.operation));
  if (s.none())
    throw error(error_code::device_lost, fmt::format("[place] {}: every device to choose from is lost: {} ({})", w.operation,
                                                     s.lost()->str(), core::loss_of(*s.lost())));
  return s.choose();
}

SLUICE_FUNC decision place(const work& w, const device_request& wanted) {
  std::array<device, 24> candidates{device::cpu};
  std::size_t n = 1;
  if (w.measured_count > 0) {
    for (n = 0; n < static_cast<std::size_t>(w.measured_count); ++n) candidates[n] = w.measured[n].where;
    return place(w, std::span<const device>(candidates.data(), n), wanted);
  }
  const auto add = [&](const device& d) {
    if (n < candidates.size() && std::find(candidates.begin(), candidates.begin() + n, d) == candidates.begin() + n)
      candidates[n++] = d;
  };
  for (int i = 0; i < w.operand_count; ++i) add(w.operands[static_cast<std::size_t>(i)].where);
  if (!wanted.is_automatic() && core::is_there(wanted.where)) add(wanted.where);
  const auto& known = placement::profiles_for(w);
  if (known.measured)
    for (const auto& p : known.profiles)
      if (core::is_there(p.where)) add(p.where);  // the file may name a device that has gone
  return place(w, std::span<const device>(candidates.data(), n), wanted);
}

SLUICE_FUNC prediction predict(const work& w, const device& where) {
  if (w.measured_count > 0) return placement::predict_measured(w, where);
  const auto& known = placement::profiles_for(w);
  const int i = known.index_of(where);
  return i < 0 ? prediction{} : placement::predict_on(known.profiles[static_cast<std::size_t>(i)], w, known.profiles);
}

}  // namespace SLUICE_ABI
}  // namespace sluice
