/// @file
/// Which device suits an operation, over a range of sizes: asked of placement, without running anything.
///
///     auto a = sluice::advise({.operation = "matmul", .sizes = {64, 256, 1024, 4096}, .rate = 50,
///                              .prices = {{"cpu", 0.40}, {"cuda:0", 3.90}}});
///     a.sentence;        // "On cuda:0 from n = 406 on; ..."
///     a.rows[3].seconds; // of each of a.devices
#pragma once

#include <utility>

#include "sluice/calibration.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What is to be advised on.
struct advice_question {
  std::string operation = "matmul";                 ///< n x n by n x n; or "rowsum" of n x n
  std::vector<std::int64_t> sizes{};                ///< n, growing; none: powers of two from 16 to 4096
  sluice::dtype dtype = dtype::f32;                 ///< of the operands
  bool pinned = false;                              ///< the operands' memory on the host
  double rate = 0;                                  ///< calls a second that are to be served; 0: not known
  std::vector<std::pair<device, double>> prices{};  ///< of a machine with that device, an hour
};

/// One size. Of each of advice::devices, NaN where it is not known.
struct advice_row {
  std::int64_t size = 0;             ///< n
  decision chosen{};                 ///< where a call with operands on the CPU goes
  std::vector<double> seconds{};     ///< of a call from host to host
  std::vector<double> throughput{};  ///< calls a second of many callers
  /// Of a million calls in the prices' currency, of as many machines as the rate needs, or of one that is always at work.
  std::vector<double> cost{};
};

/// What placement would do, by predictions alone.
struct advice {
  std::vector<device> devices{};   ///< the CPU first
  std::vector<advice_row> rows{};  ///< one a size, growing
  std::int64_t crossover = 0;  ///< the least n from the first to the last size that is not done on the CPU; 0: there is none
  std::string sentence{};      ///< all of it in words
};

/// Asks placement for every size; runs nothing. Throws invalid_argument for an operation that is not known, sizes that do
/// not grow, are below 1 or have no shape, and a rate or price below 0.
SLUICE_API advice advise(const advice_question& q);

}  // namespace SLUICE_ABI
}  // namespace sluice
