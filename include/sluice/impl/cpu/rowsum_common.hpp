// What the slot rowsum and its kernels share: the accumulators, how block sums join, and the kernels' signatures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sluice/config.hpp"
#include "sluice/impl/base/nan.hpp"
#include "sluice/impl/base/pairwise.hpp"
#include "sluice/impl/cpu/vec.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

using base::bf16;
using base::bits_as;
using base::block_size;
using base::f16;
using base::lane_count;

inline constexpr std::int64_t short_columns = 64;  // rows up to here have kernels of their own
inline constexpr std::int64_t batch_rows = 128;    // rows that one kernel call takes at most

// f64 for floats; integers wrap, so they are added without a sign.
template <class T>
using accumulator = std::conditional_t<std::is_floating_point_v<T> || std::is_same_v<T, f16> || std::is_same_v<T, bf16>,
                                       double, std::uint64_t>;

template <class T>
[[gnu::always_inline]] inline accumulator<T> widen(T x) noexcept {
  if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>)
    return static_cast<double>(to_float(x));
  else
    return static_cast<accumulator<T>>(x);
}

// The value of absent elements: -0.0 changes no sum, not even one of -0.0 alone.
// A member of a class, since GCC exports variable templates whatever the visibility of their namespace.
template <class A>
struct nothing {
  static constexpr A value = std::is_same_v<A, double> ? static_cast<A>(-0.0) : A{};
};

// Any NaN becomes the one NaN. By bits in clang (see strict_float_begin.hpp), but GCC vectorises the other form.
[[gnu::always_inline]] inline double canonical(double x) noexcept {
#if defined(__clang__)
  const auto bits = bits_as<std::uint64_t>(x);
  return bits_as<double>((bits << 1) > base::patterns<double>::infinity << 1 ? base::patterns<double>::nan : bits);
#else
  return x == x ? x : bits_as<double>(base::patterns<double>::nan);
#endif
}

// Joins sums that arrive in ascending order as adjacent pairs, level by level; an odd one is carried up.
template <class A>
class pairwise {
 public:
  [[gnu::always_inline]] void push(A sum) {
    for (std::int64_t level = count_++; (level & 1) != 0; level >>= 1) sum = sums_[--depth_] + sum;
    sums_[depth_++] = sum;
  }

  [[gnu::always_inline]] A total() {
    A sum = sums_[--depth_];
    while (depth_ > 0) sum = sums_[--depth_] + sum;
    return sum;
  }

 private:
  A sums_[64];
  int depth_ = 0;
  std::int64_t count_ = 0;
};

// The same for several rows at a time.
template <class A>
class pairwise_rows {
 public:
  void push(const A* sums, std::int64_t rows) {
    std::copy_n(sums, rows, sums_[depth_++]);
    for (std::int64_t level = count_++; (level & 1) != 0; level >>= 1) join(rows);
  }

  void total(A* sums, std::int64_t rows) {
    while (depth_ > 1) join(rows);
    std::copy_n(sums_[0], rows, sums);
  }

 private:
  void join(std::int64_t rows) {
    --depth_;
    for (std::int64_t r = 0; r < rows; ++r) sums_[depth_ - 1][r] += sums_[depth_][r];
  }

  A sums_[48][batch_rows];  // 2^57 columns
  int depth_ = 0;
  std::int64_t count_ = 0;
};

// The kernels of one dtype. `sums` holds accumulators, with room for the rows rounded up to a multiple of 4; rows are at
// most `batch_rows`, columns at least 1.
struct rowsum_kernels {
  // Rows of unit stride: longer than `short_columns`, and not. Elements past a row's end do not count, but `readable`
  // elements from `a` on are readable.
  void (*rows)(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride, std::int64_t readable,
               void* sums);
  void (*short_rows)(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride, std::int64_t readable,
                     void* sums);
  // Columns of unit stride: a transposed matrix.
  void (*columns)(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t column_stride, void* sums);
};

// The kernels of one instruction set.
struct rowsum_level {
  rowsum_kernels of[7];  // by sluice_dtype
  // Rounds sums to f32, with every NaN made canonical. `stream` keeps them out of the caches: `out` is then 16-byte aligned.
  void (*round_f32)(const double* sums, std::int64_t count, float* out, bool stream);
};

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
