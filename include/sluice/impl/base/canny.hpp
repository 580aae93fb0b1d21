// What all devices compute canny from: the constant of its sectors, and integer thresholds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// tan 22.5 degrees in 15 bits. With x = |dx|, y = |dy| and t = x * canny_tan >> 15, a gradient is horizontal where y <= t,
// vertical where y > 2 * x + t, else diagonal. The shift loses nothing: x * canny_tan / 2^15 is an integer for x = 0 alone,
// and there the sector matters only where y > 0.
inline constexpr int canny_tan = 13573;

// The most that |dx| and |dy| are, and the most of their sum, for pixels of 8 bits.
inline constexpr int canny_most_derivative = 1020;
inline constexpr int canny_most_l1 = 1530;

// Magnitudes are compared by `>`: |dx| + |dy| or, where `squared`, dx^2 + dy^2. A magnitude of 0 is never a maximum, so that
// a negative threshold is as good as 0.
struct canny_thresholds {
  std::int32_t low;   // 0 to 32767, or to its square
  std::int32_t high;  // not below `low`
  bool squared;
};

// `norm` 1: |dx| + |dy|; 2: sqrt(dx^2 + dy^2). The thresholds are finite, in either order.
inline canny_thresholds canny_thresholds_of(double low, double high, std::int32_t norm) noexcept {
  const auto threshold = [&](double x) {
    x = std::clamp(x, 0.0, 32767.0);  // above every magnitude
    return static_cast<std::int32_t>(norm == 2 ? x * x : x);
  };
  return {threshold(std::min(low, high)), threshold(std::max(low, high)), norm == 2};
}

// The defaults. Options is sluice_canny_options.
template <class Options>
constexpr Options usual_canny_options() noexcept {
  return {100, 200, 1};
}

// The thresholds that a backend's function is called for; no bytes are the defaults.
template <class Options>
canny_thresholds canny_thresholds_of(const void* options, std::size_t size) noexcept {
  Options o = usual_canny_options<Options>();
  if (options != nullptr) std::memcpy(&o, options, std::min(size, sizeof o));
  return canny_thresholds_of(o.low, o.high, o.norm);
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
