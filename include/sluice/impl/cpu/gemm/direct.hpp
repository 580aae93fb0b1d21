// Products of operands where they are: small ones, and those of few rows, which read b about once. b's columns are
// contiguous.
#pragma once

#include "sluice/impl/cpu/gemm/plan.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t few_rows = 112;  // which read b so seldom that packing it does not pay
inline constexpr std::int64_t task_split = 4;  // tasks a thread, at most

template <class T>
inline bool suits_direct(const problem<T>& p) {
  if constexpr (!std::is_same_v<T, sum_of<T>>) {
    return false;
  } else {
    const auto& kernels = products<T>();
    if (p.b.column_stride != 1 || (p.n < kernels.lanes && !kernels.any_columns)) return false;
    const std::int64_t row_bytes = p.b.row_stride * static_cast<std::int64_t>(sizeof(T));
    if (p.m <= kernels.rows || row_bytes * p.k <= far_bytes) return true;
    // Rows of b that are a power of two apart displace each other in the caches. Wide tiles come back to them seldom enough.
    return p.m <= few_rows && (kernels.any_columns || row_bytes % 1024 != 0);
  }
}

template <class T>
inline void multiply_direct(const problem<T>& p) {
  const auto& kernels = products<T>();
  if (p.batch == 1 && p.work() < share_from) {
    const ieee_arithmetic mode;
    kernels.direct({p.a.data, p.a.row_stride, p.a.column_stride, p.b.data, p.b.row_stride, p.out, p.n, p.m, p.n, p.k});
    return;
  }
  const double each = p.work() / static_cast<double>(p.batch);
  const double threads = p.work() < share_from ? 1 : host().parallel_size();
  const double wanted = std::min(threads * task_split / static_cast<double>(p.batch), each / least_task);
  grid g = cut(p.m, p.n, kernels.rows, kernels.columns, wanted);
  // The last task has a vector of columns at least: with less it would reach into the columns of another.
  if (g.column_tasks > 1 && p.n - (g.column_tasks - 1) * g.columns < kernels.lanes) --g.column_tasks;
  const std::int64_t blocks = divide_up(p.k, block_depth);
  // Few outputs, long sums: a task a block.
  const std::int64_t size = p.batch * p.m * p.n;
  const bool few = blocks > 1 && static_cast<double>(p.batch * g.tasks()) < threads && size <= 64 << 10;
  const scratch<T> sums(few ? blocks * size : 0);
  const bool by_blocks = sums.data() != nullptr;
  const std::int64_t slices = by_blocks ? blocks : 1;
  share(p.batch * g.tasks() * slices, p.work(), [&](std::int64_t i) {
    const std::int64_t slice = i % slices;
    i /= slices;
    const std::int64_t column_task = i % g.column_tasks;
    const std::int64_t column = column_task * g.columns;
    const std::int64_t columns = column_task + 1 == g.column_tasks ? p.n - column : g.columns;
    i /= g.column_tasks;
    const std::int64_t row = i % g.row_tasks * g.rows;
    const std::int64_t batch = i / g.row_tasks;
    T* c = by_blocks ? sums.data() + slice * size : p.out;
    kernels.direct({p.a.at(batch, row, slice * block_depth), p.a.row_stride, p.a.column_stride,
                    p.b.at(batch, slice * block_depth, column), p.b.row_stride, c + (batch * p.m + row) * p.n + column, p.n,
                    std::min(g.rows, p.m - row), columns,
                    by_blocks ? std::min(block_depth, p.k - slice * block_depth) : p.k});
  });
  if (by_blocks) join_blocks(sums.data(), blocks, size, p.out);
}

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
