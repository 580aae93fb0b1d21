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
#include "sluice/impl/base/half.hpp"
#include "sluice/impl/base/pairwise.hpp"
#include "sluice/impl/cpu/widen.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace gemm {

inline constexpr std::int64_t block_depth = base::block_size;  // of k: a chain of fused multiply-adds
inline constexpr std::int64_t panel_slack = 16;                // elements after a panel that packing may overwrite

template <class S>
constexpr auto infinity_bits() {
  if constexpr (sizeof(S) == 4)
    return std::uint32_t{0x7f800000u};
  else
    return std::uint64_t{0x7ff0000000000000u};
}
template <class S>
constexpr auto canonical_nan() {  // the one NaN that every device gives
  if constexpr (sizeof(S) == 4)
    return std::uint32_t{0x7fc00000u};
  else
    return std::uint64_t{0x7ff8000000000000u};
}

// a * b + c, rounded once, for processors without an instruction for it. The f64 product of two f32 is exact; the sum with c
// is rounded to odd, which rounds as the exact sum would when it is rounded to f32.
[[gnu::always_inline]] inline float fused(float a, float b, float c) {
#if defined(__FP_FAST_FMAF)
  return std::fma(a, b, c);
#else
  const double product = static_cast<double>(a) * b;
  const double wide = c;
  const double sum = product + wide;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (wide - back);
  auto bits = base::bits_as<std::uint64_t>(sum);
  const auto error_bits = base::bits_as<std::uint64_t>(error);
  const bool inexact = (error_bits << 1) != 0 && (error_bits << 1) <= 0xffe0000000000000u;  // not where sum is infinite
  const bool even = (bits & 1) == 0;
  const std::uint64_t towards = ((bits ^ error_bits) >> 63) != 0 ? ~std::uint64_t{0} : 1;
  bits += inexact && even ? towards : 0;
  return static_cast<float>(base::bits_as<double>(bits));
#endif
}
[[gnu::always_inline]] inline double fused(double a, double b, double c) { return std::fma(a, b, c); }

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

// Lines of an operand, rows of a or columns of b, to be packed: panel[d][line], `width` lines a panel.
template <class T>
struct packing {
  const T* from;
  std::int64_t line_stride;
  std::int64_t step_stride;
  std::int64_t lines;
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
  std::int64_t depth;
  bool add;     // a later block: c += its sums
  S* partial;  // rows * panel columns, for chains that are cut to fit the first-level cache
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
  std::int64_t rows;      // of a tile
  std::int64_t columns;   // of a tile: a panel of b
  std::int64_t lanes;     // of a vector
  bool any_columns;       // direct() takes less than a vector of columns
  void (*direct)(const direct_product<S>&);
  void (*panels)(const panel_product<S>&);
};

template <class T>
struct operand_kernels {
  void (*pack_rows)(const packing<T>&);     // a: panels of product_kernels::rows lines
  void (*pack_columns)(const packing<T>&);  // b: of product_kernels::columns
  void (*vector)(const vector_product<T>&);
};

}  // namespace gemm
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
