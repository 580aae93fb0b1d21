// Products of operands where they are: small ones, and those of few rows, which read b about once. b's columns are contiguous.
#pragma once

#include "sluice/impl/cpu/gemm/plan.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t direct_bytes = 1 << 20;  // spanned by b: about what the second-level cache keeps
inline constexpr std::int64_t task_split = 2;          // tasks a thread

template <class T>
inline bool suits_direct(const problem<T>& p) {
  if constexpr (!std::is_same_v<T, sum_of<T>>) {
    return false;
  } else {
    const auto& kernels = products<T>();
    if (p.b.column_stride != 1 || (p.n < kernels.lanes && !kernels.any_columns)) return false;
    return p.m <= 2 * kernels.rows || p.b.row_stride <= direct_bytes / static_cast<std::int64_t>(sizeof(T)) / p.k;
  }
}

// True: done. False: out of memory.
template <class T>
inline bool multiply_direct(const problem<T>& p) {
  const auto& kernels = products<T>();
  const double each = p.work() / static_cast<double>(p.batch);
  const double threads = p.work() < share_from ? 1 : host().parallel_size();
  const double wanted = std::min(threads * task_split / static_cast<double>(p.batch), each / least_task);
  const grid g = cut(p.m, p.n, kernels.rows, kernels.columns, wanted);
  const std::int64_t blocks = divide_up(p.k, block_depth);
  // Few outputs, long sums: a task a block.
  const bool by_blocks = blocks > 1 && static_cast<double>(p.batch * g.tasks()) < threads && p.m * p.n * p.batch <= 64 << 10;
  const std::int64_t size = p.batch * p.m * p.n;
  const scratch<T> sums(by_blocks ? blocks * size : 0);
  if (by_blocks && sums.data() == nullptr) return false;
  const std::int64_t slices = by_blocks ? blocks : 1;
  share(p.batch * g.tasks() * slices, p.work(), [&](std::int64_t i) {
    const std::int64_t slice = i % slices;
    i /= slices;
    const std::int64_t column = i % g.column_tasks * g.columns;
    i /= g.column_tasks;
    const std::int64_t row = i % g.row_tasks * g.rows;
    const std::int64_t batch = i / g.row_tasks;
    T* c = by_blocks ? sums.data() + slice * size : p.out;
    kernels.direct({p.a.at(batch, row, slice * block_depth), p.a.row_stride, p.a.column_stride,
                    p.b.at(batch, slice * block_depth, column), p.b.row_stride, c + (batch * p.m + row) * p.n + column, p.n,
                    std::min(g.rows, p.m - row), std::min(g.columns, p.n - column),
                    by_blocks ? std::min(block_depth, p.k - slice * block_depth) : p.k});
  });
  if (by_blocks) join_blocks(sums.data(), blocks, size, p.out);
  return true;
}

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
