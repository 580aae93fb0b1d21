// Decisions in words.
#pragma once

#include <fmt/format.h>

#include "sluice/impl/core/registry.hpp"
#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline std::string duration_text(double seconds) {
  if (!(seconds < 1e9)) return "no end";
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

inline std::string estimate_text(const estimate& e) {
  return e.waiting > 0.05 * e.seconds
             ? fmt::format("{}, {} of it waiting,", duration_text(e.seconds), duration_text(e.waiting))
             : duration_text(e.seconds);
}

// "0.31 ms there, 21 ms on cpu"; empty when no time is known.
inline std::string times_text(const decision& d) {
  std::string here;
  std::string others;
  for (int i = 0; i < d.estimate_count; ++i) {
    const auto& e = d.estimates[static_cast<std::size_t>(i)];
    if (std::isnan(e.seconds)) continue;
    if (e.where == d.where)
      here = estimate_text(e) + " there";
    else
      others += fmt::format(", {} on {}", estimate_text(e), e.where.str());
  }
  return here.empty() ? "" : here + others + (d.measured ? ", as measured" : "");
}

inline std::string with_times(std::string sentence, const decision& d) {
  const std::string all = times_text(d);
  return all.empty() ? sentence : sentence + "; " + all;
}

// "cuda:0 has not been measured", of the first such device that work on the CPU might have gone to.
inline std::string unmeasured_text(const decision& d, std::string_view before) {
  if (!d.where.is_cpu()) return "";
  for (int i = 0; i < d.estimate_count; ++i) {
    const auto& e = d.estimates[static_cast<std::size_t>(i)];
    if (!e.where.is_cpu() && std::isnan(e.seconds)) return fmt::format("{}{} has not been measured", before, e.where.str());
  }
  return "";
}

// Without the precision.
inline std::string sentence_of(const decision& d) {
  const std::string at = d.where.str();
  switch (d.because) {
    case why::requested: return fmt::format("{}: the caller named it", at);
    case why::environment: return fmt::format("{}: SLUICE_DEVICE names it", at);
    case why::operands_there: return fmt::format("{}: the operands are there{}", at, unmeasured_text(d, ", and "));
    case why::device_lost: {
      const char* loss = core::loss_of(d.lost);
      return fmt::format("{}: {} is lost ({})", at, d.lost.str(), loss != nullptr ? loss : "no reason is known");
    }
    case why::soonest: return fmt::format("{}: {}", at, times_text(d));
    case why::preferred: return with_times(at + ": the caller prefers it", d);
    case why::deadline: return with_times(at + ": another device would be too late", d);
    case why::too_small: return with_times(at + ": the work is too small to wake another device for", d);
    case why::default_device: break;
  }
  const std::string because_of = unmeasured_text(d, "");
  return at + ": " + (because_of.empty() ? "nothing speaks for another device" : because_of);
}

}  // namespace placement

SLUICE_FUNC std::string_view name_of(why because) noexcept {
  switch (because) {
    case why::requested: return "requested";
    case why::environment: return "environment";
    case why::operands_there: return "operands_there";
    case why::default_device: return "default_device";
    case why::device_lost: return "device_lost";
    case why::soonest: return "soonest";
    case why::preferred: return "preferred";
    case why::deadline: return "deadline";
    case why::too_small: return "too_small";
  }
  return "default_device";
}

SLUICE_FUNC double decision::predicted() const noexcept {
  for (int i = 0; i < estimate_count; ++i)
    if (estimates[static_cast<std::size_t>(i)].where == where) return estimates[static_cast<std::size_t>(i)].seconds;
  return std::numeric_limits<double>::quiet_NaN();
}

SLUICE_FUNC std::string decision::reason() const {
  std::string text = placement::sentence_of(*this);
  if (!precision.empty()) text += fmt::format("; precision {}", precision);
  return text;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
