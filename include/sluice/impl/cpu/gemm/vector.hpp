// Products with one row or one column: a matrix's lines times a vector.
#pragma once

#include "sluice/impl/cpu/gemm/plan.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t most_lines = 512;  // of a task

template <class T>
class matrix_vector {
 public:
  using S = sum_of<T>;

  explicit matrix_vector(const problem<T>& p)
      : p_(p),
        lines_(p.n == 1 ? p.a : p.b),
        x_(p.n == 1 ? p.b : p.a),
        line_stride_(p.n == 1 ? p.a.row_stride : p.b.column_stride),
        step_stride_(p.n == 1 ? p.a.column_stride : p.b.row_stride),
        x_stride_(p.n == 1 ? p.b.row_stride : p.a.column_stride),
        count_(p.n == 1 ? p.m : p.n) {}

  void run() {
    const std::int64_t blocks = divide_up(p_.k, block_depth);
    const double threads = host().parallel_size();
    // Tasks of 64 KiB at least, and of whole cache lines of the result.
    const double bytes = p_.work() * sizeof(T);
    const double wanted = std::min(4 * threads, bytes / (64 << 10)) / static_cast<double>(p_.batch);
    tile_ = std::clamp(round_up(static_cast<std::int64_t>(static_cast<double>(count_) / std::max(wanted, 1.0)), 64),
                       std::int64_t{64}, most_lines);
    const std::int64_t tiles = divide_up(count_, tile_);
    const std::int64_t size = p_.batch * count_;
    const bool few = blocks > 1 && static_cast<double>(p_.batch * tiles) < threads && size <= 64 << 10;
    const scratch<S> sums(few ? blocks * size : 0);
    const bool by_blocks = sums.data() != nullptr;
    const std::int64_t slices = by_blocks ? blocks : 1;
    // A multiply-add takes as long as reading its element: many times as long as one of a matrix product.
    share(p_.batch * tiles * slices, 6 * p_.work(), [&](std::int64_t i) {
      const std::int64_t slice = i % slices;
      i /= slices;
      const std::int64_t line = i % tiles * tile_;
      const std::int64_t batch = i / tiles;
      const std::int64_t lines = std::min(tile_, count_ - line);
      if (by_blocks)
        multiply_block(batch, line, lines, slice * block_depth, sums.data() + slice * size + batch * count_ + line);
      else
        multiply(batch, line, lines);
    });
    if (by_blocks) join_blocks(sums.data(), blocks, size, p_.out);
  }

 private:
  void multiply(std::int64_t batch, std::int64_t line, std::int64_t lines) const {
    S total[most_lines];
    S y[most_lines];
    for (std::int64_t d = 0; d < p_.k; d += block_depth) {
      multiply_block(batch, line, lines, d, y);
      add_block(d == 0, y, lines, total);
    }
    finish(total, lines, p_.out + batch * count_ + line);
  }

  void multiply_block(std::int64_t batch, std::int64_t line, std::int64_t lines, std::int64_t d, S* y) const {
    S buffer[block_depth];
    const std::int64_t depth = std::min(block_depth, p_.k - d);
    const T* of_x = x_.data + batch * x_.batch_stride + d * x_stride_;
    const S* x = buffer;
    if constexpr (std::is_same_v<T, S>) {
      if (x_stride_ == 1) x = of_x;
    }
    if (x == buffer) widen(of_x, x_stride_, depth, buffer);
    const T* from = lines_.data + batch * lines_.batch_stride + line * line_stride_ + d * step_stride_;
    vector_of<T>()({from, line_stride_, step_stride_, x, lines, depth, y});
  }

  const problem<T>& p_;
  const operand<T>& lines_;
  const operand<T>& x_;
  std::int64_t line_stride_;
  std::int64_t step_stride_;
  std::int64_t x_stride_;
  std::int64_t count_;
  std::int64_t tile_ = 0;
};

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
