// What is known of a device's speed, and what a piece of work will take there by it. Values only: calibrate.cpp measures
// them, profile_file.cpp keeps them, placement.cpp compares what they say.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "sluice/placement.hpp"

namespace sluice::core {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

// Seconds by size: straight between its points on a doubly logarithmic scale, as much as the first below it, in proportion
// to the last up to a thousand times its size; not known beyond.
class curve {
 public:
  static constexpr int capacity = 8;
  struct point {
    double size, seconds;
  };

  // Sizes must grow, seconds be positive; returns whether the point was taken.
  bool add(double size, double seconds) noexcept;
  [[nodiscard]] double at(double size) const noexcept;  // NaN without points
  [[nodiscard]] int count() const noexcept { return count_; }
  [[nodiscard]] const point& operator[](int i) const noexcept { return points_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] double least() const noexcept { return count_ > 0 ? points_[0].seconds : not_known; }

 private:
  std::array<point, capacity> points_{};
  std::array<point, capacity> logs_{};  // base 2
  int count_ = 0;
};

// A direction of copies, seen from the host.
enum class way { up, down };

// The curves of a device. Those of operations come in two forms: `even` is a product of square matrices by its arithmetic,
// or sums of rows of 1,024 by their bytes; `thin` is a product with 8 rows by its bytes, or sums of rows of 8.
enum class form { even, thin };
enum class kind { matmul, rowsum };
constexpr int dtype_count = 7;
constexpr double wide_row = 1024;
constexpr double thin_row = 8;

struct profile {
  device where;
  bool measured = false;
  std::string description{};  // of the device, as it was when measured
  double sync = 0;            // of each time above: what a call takes that is waited for and does next to nothing
  std::array<std::array<curve, 2>, 2> copies{};  // by way, and by whether the host's memory is pinned
  std::array<std::array<std::array<curve, dtype_count>, 2>, 2> operations{};  // by kind, form and dtype

  [[nodiscard]] const curve& copy(way w, bool pinned) const noexcept {
    return copies[static_cast<std::size_t>(w)][pinned ? 1 : 0];
  }
  [[nodiscard]] curve& copy(way w, bool pinned) noexcept { return copies[static_cast<std::size_t>(w)][pinned ? 1 : 0]; }
  [[nodiscard]] const curve& operation(kind k, form f, dtype t) const noexcept {
    return operations[static_cast<std::size_t>(k)][static_cast<std::size_t>(f)][static_cast<std::size_t>(t)];
  }
  [[nodiscard]] curve& operation(kind k, form f, dtype t) noexcept {
    return operations[static_cast<std::size_t>(k)][static_cast<std::size_t>(f)][static_cast<std::size_t>(t)];
  }
};

// Of one call on one device: from the call to its result being where it is wanted, and how much of that the device is not to
// be had by others.
struct prediction {
  double seconds = not_known;
  double busy = not_known;
};

// What the operation itself takes, with its wait; NaN where the profile does not say.
double operation_seconds(const profile& p, const work& w) noexcept;

// `others` are looked through for what a copy from another device takes.
prediction predict(const profile& p, const work& w, const std::vector<profile>& others) noexcept;

// The CPU before it was measured: 20 GFLOP/s in f32 and 5 GB/s a core, both lower than any that is likely.
profile default_cpu(int cores);

}  // namespace sluice::core
