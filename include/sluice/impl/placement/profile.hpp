// What is known of a device's speed. Values only: calibration measures them, profile_file.hpp keeps them, predict.hpp reads
// them.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sluice/impl/placement/load.hpp"
#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

// Seconds by size: straight between its points on a doubly logarithmic scale, constant below the first, in proportion to the
// last up to a thousand times its size; not known beyond.
class curve {
 public:
  static constexpr int capacity = 8;
  struct point {
    double size, seconds;
  };

  // Sizes must grow, seconds be positive; returns whether the point was taken.
  bool add(double size, double seconds) noexcept {
    const bool good = count_ < capacity && std::isfinite(size) && std::isfinite(seconds) && seconds > 0 && size > 0 &&
                      (count_ == 0 || size > points_[static_cast<std::size_t>(count_ - 1)].size);
    if (!good) return false;
    points_[static_cast<std::size_t>(count_)] = {size, seconds};
    logs_[static_cast<std::size_t>(count_)] = {std::log2(size), std::log2(seconds)};
    ++count_;
    return true;
  }
  [[nodiscard]] double at(double size) const noexcept {  // NaN without points
    if (count_ == 0) return not_known;
    const auto last = static_cast<std::size_t>(count_ - 1);
    if (!(size > points_[0].size)) return points_[0].seconds;
    if (size > 1000 * points_[last].size) return not_known;  // a tiny call says nothing about a large one
    if (size >= points_[last].size) return points_[last].seconds * (size / points_[last].size);
    std::size_t i = 1;
    while (points_[i].size < size) ++i;
    const auto& [x0, y0] = logs_[i - 1];
    const auto& [x1, y1] = logs_[i];
    return std::exp2(y0 + (y1 - y0) * (std::log2(size) - x0) / (x1 - x0));
  }
  [[nodiscard]] int count() const noexcept { return count_; }
  [[nodiscard]] const point& operator[](int i) const noexcept { return points_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] double least() const noexcept { return count_ > 0 ? points_[0].seconds : not_known; }

 private:
  std::array<point, capacity> points_{};
  std::array<point, capacity> logs_{};  // base 2
  int count_ = 0;
};

enum class direction { host_to_device, device_to_host };
inline constexpr std::size_t dtype_count = 7;

// The curves of one op in one precision: by shape class and dtype.
using op_curves = std::array<std::array<curve, dtype_count>, 2>;

struct profile {
  device where;
  bool measured = false;
  std::string description{};  // of the device, as it was when measured
  double sync = 0;            // part of each time below: what a call takes that is waited for and does next to nothing
  std::array<std::array<curve, 2>, 2> copies{};  // by direction, and by whether the host's memory is pinned
  std::vector<op_curves> ops = std::vector<op_curves>(index_count());  // by index_of() and the precision

  [[nodiscard]] const curve& copy(direction d, bool pinned) const noexcept {
    return copies[static_cast<std::size_t>(d)][pinned ? 1 : 0];
  }
  [[nodiscard]] curve& copy(direction d, bool pinned) noexcept {
    return copies[static_cast<std::size_t>(d)][pinned ? 1 : 0];
  }
  [[nodiscard]] const curve& of(std::size_t index, shape_class s, dtype t) const noexcept {
    return ops[index][static_cast<std::size_t>(s)][static_cast<std::size_t>(t)];
  }
  [[nodiscard]] curve& of(std::size_t index, shape_class s, dtype t) noexcept {
    return ops[index][static_cast<std::size_t>(s)][static_cast<std::size_t>(t)];
  }
};

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice
