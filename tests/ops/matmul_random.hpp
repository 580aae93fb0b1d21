// Random products of every layout, the same for the same number on every machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "sluice/ops/matmul.hpp"
#include "testing.hpp"

namespace testing {

// How a matrix lies in memory of its own.
struct matrix_layout {
  std::int64_t batch = 1;  // 0: a matrix without a batch
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  bool transposed = false;
  std::int64_t row_step = 1;
  std::int64_t column_step = 1;

  tensor base(dtype type, std::uint64_t seed) const {
    const std::int64_t r = rows * row_step + 1;
    const std::int64_t c = columns * column_step + 1;
    const shape matrix = transposed ? shape{c, r} : shape{r, c};
    return rough(batch == 0 ? matrix : shape{batch, matrix[0], matrix[1]}, type, seed);
  }
  tensor view(const tensor& base) const {
    const tensor t = transposed ? base.transpose() : base;
    const int row = t.rank() - 2;
    return t.slice(row, 1, 1 + rows * row_step, row_step).slice(row + 1, 0, columns * column_step, column_step);
  }
};

struct random_product {
  dtype type;
  matrix_layout a;
  matrix_layout b;
  std::uint64_t seed;

  std::string str() const {
    const auto one = [](const matrix_layout& m) {
      return std::to_string(m.batch) + ":" + std::to_string(m.rows) + "x" + std::to_string(m.columns) +
             (m.transposed ? "t" : "") + "/" + std::to_string(m.row_step) + "," + std::to_string(m.column_step);
    };
    return text(type) + " " + one(a) + " " + one(b);
  }

  tensor on(const sluice::device& where) const {
    return sluice::matmul(a.view(a.base(type, seed).to(where)), b.view(b.base(type, seed + 1).to(where))).to("cpu");
  }
};

// Extents of 1 to `most`, small ones as often as large ones, and at most `work` multiply-adds.
inline random_product draw_product(std::uint64_t seed, double most, double work) {
  numbers n(seed);
  const auto extent = [&] {
    return std::max<std::int64_t>(1, std::llround(std::exp2(std::log2(most) * static_cast<double>(n.below(10001)) / 1e4)));
  };
  random_product p{floats[static_cast<std::size_t>(n.below(4))], {}, {}, 2 * seed};
  const auto multiply_adds = [](std::int64_t m, std::int64_t k, std::int64_t c) {
    return static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(c);
  };
  std::int64_t m = extent();
  std::int64_t k = extent();
  std::int64_t c = extent();
  while (multiply_adds(m, k, c) > work) std::max({m, k, c}) == k ? k /= 2 : m > c ? m /= 2 : c /= 2;
  if (n.below(4) == 0) (n.below(2) == 0 ? m : c) = 1 + n.below(3);
  std::int64_t batch = n.below(3) == 0 ? 1 + n.below(4) : 0;
  const auto layout = [&](std::int64_t rows, std::int64_t columns) {
    matrix_layout l{batch, rows, columns, n.below(2) == 0, 1, 1};
    if (n.below(4) == 0) l.row_step = 1 + n.below(3);
    if (n.below(4) == 0) l.column_step = 1 + n.below(3);
    if (n.below(3) == 0) l.batch = 0;
    return l;
  };
  p.a = layout(m, k);
  p.b = layout(k, c);
  return p;
}

// Element (row, column) of one matrix of the batch by the slow chain, as the bits of its dtype.
inline std::uint64_t chained_element(const tensor& a, const tensor& b, std::int64_t batch, std::int64_t row,
                                     std::int64_t column) {
  const tensor x = a.rank() == 3 ? a[a.extent(0) == 1 ? 0 : batch] : a;
  const tensor y = b.rank() == 3 ? b[b.extent(0) == 1 ? 0 : batch] : b;
  const tensor r = x.slice(0, row, row + 1);
  const tensor c = y.slice(1, column, column + 1);
  tensor out({1, 1, 1}, a.dtype());
  reference::chained_matmul(sluice::core::array_of(r.clone().reshape({1, 1, r.extent(1)})),
                            sluice::core::array_of(c.clone().reshape({1, c.extent(0), 1})), sluice::core::array_of(out));
  std::uint64_t bits = 0;
  std::memcpy(&bits, out.data(), sluice::size_of(a.dtype()));
  return bits;
}

}  // namespace testing
