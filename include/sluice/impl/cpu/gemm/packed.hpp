// Products of packed operands: a chunk of a and of b is packed for one block of k by all threads, then all multiply.
#pragma once

#include "sluice/impl/cpu/gemm/plan.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t chunk_extent = 4096;  // rows and columns packed at once: 16 MiB each for f32
inline constexpr std::int64_t task_tiles = 8;       // rows of packed a, 448 KiB for f32: they stay in the second-level cache
inline constexpr std::int64_t task_columns = 256;

template <class T>
class packed_product {
 public:
  using S = sum_of<T>;

  explicit packed_product(const problem<T>& p) : p_(p) {}

  // The chunk of c of `batch` from (row, column). False: out of memory.
  bool run(std::int64_t batch, std::int64_t row, std::int64_t column, bool alone) {
    batch_ = batch;
    row_ = row;
    column_ = column;
    rows_ = std::min(chunk_extent, p_.m - row);
    columns_ = std::min(chunk_extent, p_.n - column);
    alone_ = alone;
    const std::int64_t depth = std::min(block_depth, p_.k);
    a_panel_ = round_up(kernels_.rows * depth, panel_slack) + panel_slack;
    b_panel_ = kernels_.columns * depth + panel_slack;
    const std::int64_t a_panels = divide_up(rows_, kernels_.rows);
    const std::int64_t b_panels = divide_up(columns_, kernels_.columns);
    const scratch<S> a(a_panels * a_panel_);
    const scratch<S> b(b_panels * b_panel_);
    const scratch<S> c(std::is_same_v<T, S> ? 0 : rows_ * columns_);
    if (a.data() == nullptr || b.data() == nullptr || (!std::is_same_v<T, S> && c.data() == nullptr)) return false;
    a_ = a.data();
    b_ = b.data();
    T* out = p_.out + (batch * p_.m + row) * p_.n + column;
    if constexpr (std::is_same_v<T, S>) {
      c_ = out;
      c_row_ = p_.n;
    } else {
      c_ = c.data();
      c_row_ = columns_;
    }
    for (std::int64_t d = 0; d < p_.k; d += block_depth) {
      pack(d, a_panels, b_panels);
      if (!multiply(d)) return false;
    }
    if constexpr (!std::is_same_v<T, S>) {
      spread(rows_, static_cast<double>(rows_ * columns_), [&](std::int64_t i) {
        narrow(c_ + i * columns_, columns_, out + i * p_.n);
      });
    }
    return true;
  }

 private:
  template <class F>
  void spread(std::int64_t count, double work, F&& body) {
    share(count, alone_ ? 0 : work, std::forward<F>(body));
  }

  std::int64_t depth_of(std::int64_t d) const { return std::min(block_depth, p_.k - d); }

  void pack(std::int64_t d, std::int64_t a_panels, std::int64_t b_panels) {
    const auto& packers = operands<T>();
    const std::int64_t depth = depth_of(d);
    const double elements = static_cast<double>((rows_ + columns_) * depth);
    spread(a_panels + b_panels, 8 * elements, [&](std::int64_t i) {
      if (i < a_panels) {
        const std::int64_t line = i * kernels_.rows;
        packers.pack_rows({p_.a.at(batch_, row_ + line, d), p_.a.row_stride, p_.a.column_stride,
                           std::min(kernels_.rows, rows_ - line), depth, a_ + i * a_panel_, a_panel_});
        return;
      }
      i -= a_panels;
      const std::int64_t line = i * kernels_.columns;
      packers.pack_columns({p_.b.at(batch_, d, column_ + line), p_.b.column_stride, p_.b.row_stride,
                            std::min(kernels_.columns, columns_ - line), depth, b_ + i * b_panel_, b_panel_});
    });
  }

  bool multiply(std::int64_t d) {
    const std::int64_t depth = depth_of(d);
    const double work = static_cast<double>(rows_) * static_cast<double>(columns_) * static_cast<double>(depth);
    const std::int64_t task_rows = task_tiles * kernels_.rows;
    const double wanted = alone_ || work < share_from ? 1 : std::min(4.0 * host().parallel_size(), work / (4 * least_task));
    grid g = cut(rows_, columns_, kernels_.rows, kernels_.columns, wanted);
    g.rows = std::min(round_up(g.rows, kernels_.rows), task_rows);
    g.columns = std::min(round_up(g.columns, kernels_.columns), round_up(task_columns, kernels_.columns));
    g.row_tasks = divide_up(rows_, g.rows);
    g.column_tasks = divide_up(columns_, g.columns);
    std::atomic<bool> out_of_memory{false};
    spread(g.tasks(), work, [&](std::int64_t i) {
      const std::int64_t row = i % g.row_tasks * g.rows;
      const std::int64_t column = i / g.row_tasks * g.columns;
      const scratch<S> partial((g.rows + 1) * kernels_.columns);
      if (partial.data() == nullptr) return out_of_memory.store(true);
      kernels_.panels({a_ + row / kernels_.rows * a_panel_, a_panel_, b_ + column / kernels_.columns * b_panel_, b_panel_,
                       c_ + row * c_row_ + column, c_row_, std::min(g.rows, rows_ - row), std::min(g.columns, columns_ - column),
                       depth, d > 0, partial.data()});
    });
    return !out_of_memory.load();
  }

  const problem<T>& p_;
  const product_kernels<S>& kernels_ = products<S>();
  std::int64_t batch_ = 0, row_ = 0, column_ = 0;
  std::int64_t rows_ = 0, columns_ = 0;  // of the chunk
  bool alone_ = false;
  std::int64_t a_panel_ = 0, b_panel_ = 0;
  S* a_ = nullptr;
  S* b_ = nullptr;
  S* c_ = nullptr;
  std::int64_t c_row_ = 0;
};

// True: done. False: out of memory.
template <class T>
inline bool multiply_packed(const problem<T>& p) {
  const std::int64_t row_chunks = divide_up(p.m, chunk_extent);
  const std::int64_t column_chunks = divide_up(p.n, chunk_extent);
  const std::int64_t chunks = p.batch * row_chunks * column_chunks;
  std::atomic<bool> out_of_memory{false};
  const auto chunk = [&](std::int64_t i, bool alone) {
    const std::int64_t column = i % column_chunks * chunk_extent;
    i /= column_chunks;
    if (!packed_product<T>(p).run(i / row_chunks, i % row_chunks * chunk_extent, column, alone)) out_of_memory.store(true);
  };
  if (chunks >= 2 * host().parallel_size() || p.work() < share_from)
    share(chunks, p.work(), [&](std::int64_t i) { chunk(i, true); });
  else
    for (std::int64_t i = 0; i < chunks; ++i) chunk(i, false);
  return !out_of_memory.load();
}

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
