// Whether another device than the CPU suits an op, over a range of sizes, and what it costs there: by placement's
// predictions alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sluice/sluice.hpp"

struct advice_question {
  const sluice::op_descriptor* op = &sluice::matmul_op();
  std::vector<std::int64_t> sizes{16, 32, 64, 128, 256, 512, 1024, 2048, 4096};  // n, growing, of n x n operands
  const sluice::op_precision* precision = nullptr;                               // of the op's; null: the default
  sluice::dtype dtype = sluice::dtype::f32;
  bool pinned = false;                                      // the operands' memory on the host
  double rate = 0;                                          // calls a second to be served; 0: not known
  std::vector<std::pair<sluice::device, double>> prices{};  // hourly, of a machine with that device

  [[nodiscard]] sluice::op_options options() const {
    return precision != nullptr ? precision->options : sluice::op_options{};
  }
  // What a call on n x n operands needs.
  [[nodiscard]] sluice::work work_for(std::int64_t n) const;
};

// One size. Of each of advice::devices, NaN where it is not known.
struct advice_row {
  std::int64_t size = 0;
  sluice::decision chosen{};  // where a call with operands on the CPU goes
  std::vector<sluice::prediction> predictions{};
  std::vector<double> cost{};  // of a million calls: on as many machines as the rate needs, or on one that is always busy

  [[nodiscard]] double seconds(std::size_t device) const { return predictions[device].seconds; }
  [[nodiscard]] double throughput(std::size_t device) const { return 1 / predictions[device].busy; }  // of many callers
};

struct advice {
  std::vector<sluice::device> devices{};  // the CPU first
  std::vector<advice_row> rows{};
  std::int64_t crossover =
      0;  // the least n, from the first to the last size, that another device does sooner; 0: there is none
  std::string sentence{};
};

advice advise(const advice_question& q);

// "31.2 us"; "-" when it is not known.
std::string duration_text(double seconds);
