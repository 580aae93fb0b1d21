// A product, how it is cut into tasks, and how these are spread over the pool. No cut changes a bit of the result, so all of
// it may depend on the number of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "sluice/impl/cpu/gemm/levels.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/ieee_arithmetic.hpp"
#include "sluice/impl/cpu/memory.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t a, std::int64_t to) { return divide_up(a, to) * to; }

// Element (batch, row, column) of a matrix, or of a batch of them.
template <class T>
struct operand {
  const T* data;
  std::int64_t batch_stride;
  std::int64_t row_stride;
  std::int64_t column_stride;

  explicit operand(const sluice_array& x)
      : data(static_cast<const T*>(x.data)),
        batch_stride(x.strides[0]),
        row_stride(x.strides[1]),
        column_stride(x.extents[2] == 1 ? 1 : x.strides[2]) {
    if (x.extents[1] == 1 && x.extents[2] > 1) row_stride = x.strides[2] * x.extents[2];
  }
  const T* at(std::int64_t batch, std::int64_t row, std::int64_t column) const {
    return data + batch * batch_stride + row * row_stride + column * column_stride;
  }
};

// out [batch, m, n], contiguous, = a [batch, m, k] x b [batch, k, n]. No extent is 0.
template <class T>
struct problem {
  operand<T> a;
  operand<T> b;
  T* out;
  std::int64_t batch;
  std::int64_t m;
  std::int64_t n;
  std::int64_t k;

  double work() const {  // multiply-adds
    return static_cast<double>(batch) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

// Multiply-adds. A smaller product takes less time than others need to join: 5 us. A task of the least size takes 4 us.
inline constexpr double share_from = 500e3;
inline constexpr double least_task = 400e3;

// body(i) for every i of [0, count), `work` in all: by the calling thread where others would come too late.
template <class F>
inline void share(std::int64_t count, double work, F&& body) {
  if (count == 1 || work < share_from) {
    const ieee_arithmetic mode;
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  const auto group = std::max<std::int64_t>(1, static_cast<std::int64_t>(least_task * static_cast<double>(count) / work));
  parallel_for(divide_up(count, group), [&](std::int64_t at) {
    const ieee_arithmetic mode;
    for (std::int64_t i = at * group; i < std::min(count, (at + 1) * group); ++i) body(i);
  });
}

struct grid {
  std::int64_t rows;  // of a task; the last may have fewer
  std::int64_t columns;
  std::int64_t row_tasks;
  std::int64_t column_tasks;

  std::int64_t tasks() const { return row_tasks * column_tasks; }
};

// Halves tasks until there are `wanted`, or each is a tile.
inline grid cut(std::int64_t m, std::int64_t n, std::int64_t tile_rows, std::int64_t tile_columns, double wanted) {
  grid g{m, n, 1, 1};
  while (static_cast<double>(g.tasks()) < wanted) {
    const bool by_rows = g.rows > tile_rows;
    const bool by_columns = g.columns > tile_columns;
    if (!by_rows && !by_columns) break;
    if (by_rows && (g.rows > g.columns || !by_columns))
      g.rows = divide_up(g.rows, 2);
    else
      g.columns = round_up(divide_up(g.columns, 2), tile_columns);
    g.row_tasks = divide_up(m, g.rows);
    g.column_tasks = divide_up(n, g.columns);
  }
  return g;
}

// total[i] += sums[i], or total[i] = sums[i] for the first block of k.
template <class S>
inline void add_block(bool first, const S* sums, std::int64_t count, S* total) {
  if (first)
    std::copy_n(sums, count, total);
  else
    for (std::int64_t i = 0; i < count; ++i) total[i] += sums[i];
}

// Rounds sums to their dtype, with NaN the one NaN and zeros +0: by bits, since under -ffast-math x == x may count as true.
template <class T>
inline void finish(sum_of<T>* sums, std::int64_t count, T* out) {
  using S = sum_of<T>;
  using bits = typename base::patterns<S>::bits;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto is = base::bits_as<bits>(sums[i]);
    const auto magnitude = static_cast<bits>(is << 1);
    const bool nan = magnitude > static_cast<bits>(base::patterns<S>::infinity << 1);
    sums[i] = base::bits_as<S>(nan ? base::patterns<S>::nan : magnitude == 0 ? bits{0} : is);
  }
  narrow(sums, count, out);
}

// Sums of blocks of k by different tasks, sums[block][count], added up in ascending order.
template <class T>
inline void join_blocks(const sum_of<T>* sums, std::int64_t blocks, std::int64_t count, T* out) {
  const ieee_arithmetic mode;
  constexpr std::int64_t step = 256;
  sum_of<T> total[step];
  for (std::int64_t i = 0; i < count; i += step) {
    const std::int64_t some = std::min(step, count - i);
    for (std::int64_t b = 0; b < blocks; ++b) add_block(b == 0, sums + b * count + i, some, total);
    finish(total, some, out + i);
  }
}

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
