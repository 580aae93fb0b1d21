// Whether another device than the CPU suits an op, over a range of sizes, and what it costs there: answered by predictions
// alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sluice/calibration.hpp"
#include "sluice/placement.hpp"

namespace sluice::serving {

struct advice_question {
  const op_descriptor* op = all_ops()[0];
  std::vector<std::int64_t> sizes{};        // n, growing, of n x n operands; none: powers of two from 16 to 4096
  const op_precision* precision = nullptr;  // of the op's; null: the default
  sluice::dtype dtype = dtype::f32;
  bool pinned = false;                              // the operands' memory on the host
  double rate = 0;                                  // calls a second to be served; 0: not known
  std::vector<std::pair<device, double>> prices{};  // hourly, of a machine with that device
};

// One size. Of each of advice::devices, NaN where it is not known.
struct advice_row {
  std::int64_t size = 0;
  decision chosen{};
  std::vector<prediction> predictions{};
  // Of a million calls: on as many machines as the rate needs, or on one that is always busy.
  std::vector<double> cost{};
};

struct advice {
  std::vector<device> devices{};  // the CPU first
  std::vector<advice_row> rows{};
  std::int64_t crossover =
      0;  // the least n, from the first to the last size, that another device does sooner; 0: there is none
  std::string sentence{};
};

// Throws invalid_argument for sizes that do not grow, are below 1 or have no shape, and for a rate or price below 0.
advice advise(advice_question q);

}  // namespace sluice::serving
