// Products of packed operands: a chunk of a and of b is packed for one block of k by all threads, then all multiply; of few
// elements of 16 bits each task packs what it multiplies.
#pragma once

#include "sluice/impl/cpu/gemm/plan.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t chunk_extent = 4096;  // rows and columns packed at once: 16 MiB each for f32
inline constexpr std::int64_t task_rows = 112;      // of packed a, 448 KiB for f32: they stay in the second-level cache
inline constexpr std::int64_t task_columns = 256;
inline constexpr std::int64_t strip_columns = 64;  // of a task that packs b for itself
// Multiply-adds of halves, below which a loop over the pool that packs costs more than packing a few times: 512 x 512 x 512.
inline constexpr double packed_by_tasks = 134.3e6;

template <class T>
class packed_product {
 public:
  using S = sum_of<T>;
  static constexpr bool narrows = !std::is_same_v<T, S>;

  packed_product(const problem<T>& p, const packed_kernels<T>& kernels) : p_(p), kernels_(kernels) {}

  // The chunk of c of `batch` from (row, column). False: out of memory.
  bool run(std::int64_t batch, std::int64_t row, std::int64_t column, bool alone) {
    batch_ = batch;
    row_ = row;
    column_ = column;
    rows_ = std::min(chunk_extent, p_.m - row);
    columns_ = std::min(chunk_extent, p_.n - column);
    alone_ = alone;
    const std::int64_t even = divide_up(rows_, divide_up(rows_, kernels_.rows));
    panel_rows_ = round_up(even, kernels_.row_multiple);
    a_panel_ = round_up(panel_rows_ * steps_of(0), panel_slack) + panel_slack;
    b_panel_ = kernels_.columns * steps_of(0) + panel_slack;
    const std::int64_t a_panels = divide_up(rows_, panel_rows_);
    const std::int64_t b_panels = divide_up(columns_, kernels_.columns);
    own_a_ = narrows && !alone && p_.work() >= share_from && p_.work() <= packed_by_tasks && host().parallel_size() > 1;
    own_b_ = own_a_ || rows_ <= task_rows;
    const bool c_in_memory = narrows && p_.k > kernels_.block;
    const scratch<S> a(own_a_ ? 0 : a_panels * a_panel_);
    const scratch<S> b(own_b_ ? 0 : b_panels * b_panel_);
    const scratch<S> c(c_in_memory ? rows_ * columns_ : 0);
    if ((!own_a_ && a.data() == nullptr) || (!own_b_ && b.data() == nullptr) || (c_in_memory && c.data() == nullptr))
      return false;
    a_ = a.data();
    b_ = b.data();
    out_ = p_.out + (batch * p_.m + row) * p_.n + column;
    if constexpr (narrows) {
      c_ = c.data();
      c_row_ = columns_;
    } else {
      c_ = out_;
      c_row_ = p_.n;
    }
    for (std::int64_t d = 0; d < p_.k; d += kernels_.block) {
      if (!own_a_) pack(d, a_panels, own_b_ ? 0 : b_panels);
      if (!multiply(d)) return false;
    }
    return true;
  }

 private:
  template <class F>
  void spread(std::int64_t count, double work, F&& body) {
    share(count, alone_ ? 0 : work, std::forward<F>(body));
  }

  std::int64_t depth_of(std::int64_t d) const { return std::min(kernels_.block, p_.k - d); }
  std::int64_t steps_of(std::int64_t d) const {
    return round_up(divide_up(depth_of(d), kernels_.elements), kernels_.step_multiple);
  }

  void pack(std::int64_t d, std::int64_t a_panels, std::int64_t b_panels) {
    const std::int64_t depth = depth_of(d);
    const double elements = static_cast<double>((rows_ + (b_panels > 0 ? columns_ : 0)) * depth);
    spread(a_panels + b_panels, 8 * elements, [&](std::int64_t i) {
      if (i < a_panels) return pack_a(d, i * panel_rows_, panel_rows_, a_ + i * a_panel_);
      i -= a_panels;
      pack_b(d, i * kernels_.columns, kernels_.columns, b_ + i * b_panel_);
    });
  }

  void pack_a(std::int64_t d, std::int64_t row, std::int64_t rows, S* to) const {
    kernels_.pack_rows({p_.a.at(batch_, row_ + row, d), p_.a.row_stride, p_.a.column_stride, std::min(rows, rows_ - row),
                        panel_rows_, depth_of(d), to, a_panel_});
  }
  void pack_b(std::int64_t d, std::int64_t column, std::int64_t columns, S* to) const {
    kernels_.pack_columns({p_.b.at(batch_, d, column_ + column), p_.b.column_stride, p_.b.row_stride,
                           std::min(columns, columns_ - column), kernels_.columns, depth_of(d), to, b_panel_});
  }

  bool multiply(std::int64_t d) {
    const double work = static_cast<double>(rows_) * static_cast<double>(columns_) * static_cast<double>(depth_of(d));
    const double tasks = (own_a_ ? 1.0 : 4.0) * host().parallel_size();
    const double wanted = alone_ || work < share_from ? 1 : std::min(tasks, work / (4 * least_task));
    const bool strips = own_b_ && !own_a_;
    grid g = strips ? grid{rows_, columns_, 1, 1} : cut(rows_, columns_, panel_rows_, kernels_.columns, wanted);
    const std::int64_t most_columns = strips ? strip_columns : task_columns;
    g.rows = std::min(round_up(g.rows, panel_rows_), round_up(task_rows, panel_rows_));
    g.columns = std::min(round_up(g.columns, kernels_.columns), round_up(most_columns, kernels_.columns));
    g.row_tasks = divide_up(rows_, g.rows);
    g.column_tasks = divide_up(columns_, g.columns);
    std::atomic<bool> out_of_memory{false};
    spread(g.tasks(), work, [&](std::int64_t i) {
      if (!run_task(d, g, i % g.row_tasks * g.rows, i / g.row_tasks * g.columns)) out_of_memory.store(true);
    });
    return !out_of_memory.load();
  }

  // False: out of memory.
  bool run_task(std::int64_t d, const grid& g, std::int64_t row, std::int64_t column) const {
    const std::int64_t rows = std::min(g.rows, rows_ - row);
    const std::int64_t columns = std::min(g.columns, columns_ - column);
    const bool last = d + kernels_.block >= p_.k;
    const bool own_c = narrows && c_ == nullptr;
    const std::int64_t chains = round_up(g.rows, kernels_.row_multiple) * kernels_.columns;
    const std::int64_t of_a = own_a_ ? divide_up(g.rows, panel_rows_) * a_panel_ : 0;
    const std::int64_t of_b = own_b_ ? divide_up(g.columns, kernels_.columns) * b_panel_ : 0;
    const scratch<S> memory(chains + of_a + of_b + (own_c ? rows * columns : 0));
    if (memory.data() == nullptr) return false;
    S* const a = own_a_ ? memory.data() + chains : a_ + row / panel_rows_ * a_panel_;
    S* const b = own_b_ ? memory.data() + chains + of_a : b_ + column / kernels_.columns * b_panel_;
    if (own_a_) pack_a(d, row, g.rows, a);
    if (own_b_) pack_b(d, column, g.columns, b);
    S* const c = own_c ? memory.data() + chains + of_a + of_b : c_ + row * c_row_ + column;
    const std::int64_t c_row = own_c ? columns : c_row_;
    kernels_.panels({a, a_panel_, b, b_panel_, c, c_row, rows, columns, panel_rows_, steps_of(d), d > 0, memory.data()});
    if constexpr (narrows)
      for (std::int64_t i = 0; last && i < rows; ++i) narrow(c + i * c_row, columns, out_ + (row + i) * p_.n + column);
    return true;
  }

  const problem<T>& p_;
  const packed_kernels<T>& kernels_;
  std::int64_t batch_ = 0, row_ = 0, column_ = 0;
  std::int64_t rows_ = 0, columns_ = 0;  // of the chunk
  bool alone_ = false;
  bool own_a_ = false;  // tasks pack the rows of a that they multiply
  bool own_b_ = false;  // tasks pack the columns of b that they multiply by
  std::int64_t panel_rows_ = 0;
  std::int64_t a_panel_ = 0, b_panel_ = 0;  // strides
  S* a_ = nullptr;
  S* b_ = nullptr;
  S* c_ = nullptr;  // null: of a task alone
  std::int64_t c_row_ = 0;
  T* out_ = nullptr;
};

// True: done. False: out of memory.
template <class T>
inline bool multiply_packed(const problem<T>& p, const packed_kernels<T>& kernels) {
  const std::int64_t row_chunks = divide_up(p.m, chunk_extent);
  const std::int64_t column_chunks = divide_up(p.n, chunk_extent);
  const std::int64_t chunks = p.batch * row_chunks * column_chunks;
  std::atomic<bool> out_of_memory{false};
  const auto chunk = [&](std::int64_t i, bool alone) {
    const std::int64_t column = i % column_chunks * chunk_extent;
    i /= column_chunks;
    if (!packed_product<T>(p, kernels).run(i / row_chunks, i % row_chunks * chunk_extent, column, alone))
      out_of_memory.store(true);
  };
  // Many small products: a task each. Of a large one the threads share each chunk, and leave it within a task's time.
  const bool small = p.work() / static_cast<double>(chunks) < 64 * least_task;
  if ((chunks >= 2 * host().parallel_size() && small) || p.work() < share_from)
    share(chunks, p.work(), [&](std::int64_t i) { chunk(i, true); });
  else
    for (std::int64_t i = 0; i < chunks; ++i) chunk(i, false);
  return !out_of_memory.load();
}

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
