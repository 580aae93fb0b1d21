// What the kernels of products share with their callers: constants of the order of additions, and the kernels' signatures.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "sluice/config.hpp"
#include "sluice/impl/base/nan.hpp"
#include "sluice/impl/base/pairwise.hpp"
#include "sluice/impl/cpu/widen.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t block_depth = base::block_size;  // of k: a chain of fused multiply-adds
inline constexpr std::int64_t far_bytes = 1 << 20;             // of b in memory: more than the second-level cache keeps
inline constexpr std::int64_t panel_slack = 16;                // elements after a panel that packing may overwrite

// a * b + c, rounded once, for processors without an instruction for it: of two f32 each, widened. Their product is exact in
// f64; its sum with c is rounded to odd, which then rounds to f32 as the exact sum would.
using two_doubles [[gnu::vector_size(16)]] = double;
using two_words [[gnu::vector_size(16)]] = std::int64_t;
[[gnu::always_inline]] inline two_doubles fused_to_odd(two_doubles a, two_doubles b, two_doubles c) {
  const two_doubles product = a * b;
  const two_doubles sum = product + c;
  const two_doubles back = sum - product;
  const two_doubles error = (product - (sum - back)) + (c - back);
  const two_words above = error > 0;  // a NaN, where the sum is infinite, is neither
  const two_words below = error < 0;
  const two_words towards_zero = above ^ (sum > 0);
  const two_words even = ~(two_words)sum & 1 & (above | below);
  return (two_doubles)((two_words)sum + ((even ^ towards_zero) - towards_zero));
}

// A product of operands where they are: c[i][j] of i * c_row + j. b's columns are contiguous.
template <class S>
struct direct_product {
  const S* a;
  std::int64_t a_row;
  std::int64_t a_step;
  const S* b;
  std::int64_t b_step;
  S* c;
  std::int64_t c_row;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
};

// Lines of an operand, rows of a or columns of b, to be packed: panel[d][line].
template <class T>
struct packing {
  const T* from;
  std::int64_t line_stride;
  std::int64_t step_stride;
  std::int64_t lines;
  std::int64_t width;  // lines of a panel; the last is narrower
  std::int64_t depth;
  sum_of<T>* to;
  std::int64_t panel_stride;  // at least width * depth + panel_slack
};

// A product of packed operands along one block of k at most.
template <class S>
struct panel_product {
  const S* a;
  std::int64_t a_panel;  // stride
  const S* b;
  std::int64_t b_panel;
  S* c;
  std::int64_t c_row;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t panel_rows;  // of a
  std::int64_t depth;       // in steps
  bool add;                 // a later block: c += its sums
  S* partial;               // rows * panel columns, for chains that are cut to fit the first-level cache
};

// y[l] = sum over d of lines[l * line_stride + d * step_stride] * x[d], for at most one block of k.
template <class T>
struct vector_product {
  const T* lines;
  std::int64_t line_stride;
  std::int64_t step_stride;
  const sum_of<T>* x;
  std::int64_t count;
  std::int64_t depth;
  sum_of<T>* y;
};

// The kernels of one instruction set.
template <class S>
struct product_kernels {
  std::int64_t rows;     // of a tile
  std::int64_t columns;  // of a tile
  std::int64_t lanes;    // of a vector
  bool any_columns;      // direct() takes less than a vector of columns
  void (*direct)(const direct_product<S>&);
};

// Kernels of packed operands.
template <class T>
struct packed_kernels {
  std::int64_t rows;          // of a panel of a, at most
  std::int64_t row_multiple;  // panels have a multiple of it
  std::int64_t columns;       // of a panel of b
  std::int64_t block;         // elements along k that are summed before sums are added up
  std::int64_t elements;      // along k in a step: 1, or pairs
  std::int64_t step_multiple;
  void (*pack_rows)(const packing<T>&);     // of a
  void (*pack_columns)(const packing<T>&);  // of b
  void (*panels)(const panel_product<sum_of<T>>&);
};

template <class T>
using vector_kernel = void (*)(const vector_product<T>&);

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
