// NaN and infinities in a product. A BLAS may skip zeros, and so lose the NaN of 0 x infinity: BLIS does for small depths.
// Where an operand holds one, the elements that it reaches are computed again by a loop that skips nothing; all others keep
// their bits.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>

#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/widen.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// One operand of a product: element (batch, row, column).
template <class T>
struct matmul_operand {
  const T* data;
  std::int64_t batch_stride;
  std::int64_t row_stride;
  std::int64_t column_stride;
  bool in_place;  // the BLAS reads it where it is

  const T* at(std::int64_t batch, std::int64_t row, std::int64_t column) const {
    return data + batch * batch_stride + row * row_stride + column * column_stride;
  }
};

namespace nonfinite {

template <class T>
using bits_of =
    std::conditional_t<sizeof(T) == 8, std::uint64_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;

template <class T>
inline constexpr int mantissa_bits = sizeof(T) == 8           ? 52
                                     : sizeof(T) == 4         ? 23
                                     : std::is_same_v<T, f16> ? 10
                                                              : 7;

template <class T>
inline bits_of<T> magnitude_of(const T* x) {
  bits_of<T> bits;
  std::memcpy(&bits, x, sizeof bits);
  return static_cast<bits_of<T>>(bits & (std::numeric_limits<bits_of<T>>::max() >> 1));
}

template <class T>
inline bool is_nan(const T* x) {
  constexpr auto exponent = std::numeric_limits<bits_of<T>>::max() >> 1 >> mantissa_bits<T> << mantissa_bits<T>;
  return magnitude_of(x) > exponent;
}

// Whether one of `n` elements is NaN or infinite: an exponent of ones carries into the sign.
template <class T>
inline bool any(const T* p, std::int64_t stride, std::int64_t n) {
  using bits = bits_of<T>;
  bits carried = 0;
  const auto carry = [](const T* x) { return static_cast<bits>(magnitude_of(x) + (bits{1} << mantissa_bits<T>)); };
  if (stride == 1)
    for (std::int64_t i = 0; i < n; ++i) carried = static_cast<bits>(carried | carry(p + i));
  else
    for (std::int64_t i = 0; i < n; ++i) carried = static_cast<bits>(carried | carry(p + i * stride));
  return carried >> (8 * sizeof(bits) - 1) != 0;
}

// The same for a whole operand.
template <class T>
inline bool any(const matmul_operand<T>& o, std::int64_t batch, std::int64_t rows, std::int64_t columns) {
  if (o.batch_stride == 0) batch = 1;
  const bool by_rows = o.column_stride <= o.row_stride;
  std::int64_t lines = by_rows ? rows : columns;
  std::int64_t length = by_rows ? columns : rows;
  const std::int64_t step = by_rows ? o.column_stride : o.row_stride;
  const std::int64_t line_step = by_rows ? o.row_stride : o.column_stride;
  if (line_step == length * step) {  // no gaps between lines
    length *= lines;
    lines = 1;
  }
  constexpr std::int64_t chunk = serial_bytes / static_cast<std::int64_t>(sizeof(T));
  const std::int64_t chunks_of_line = (length + chunk - 1) / chunk;
  const auto look = [&](std::int64_t index) {
    const std::int64_t begin = index % chunks_of_line * chunk;
    index /= chunks_of_line;
    const T* line = o.data + index / lines * o.batch_stride + index % lines * line_step;
    return any(line + begin * step, step, std::min(chunk, length - begin));
  };
  const std::int64_t count = batch * lines * chunks_of_line;
  if (batch * lines * length <= chunk) {
    for (std::int64_t i = 0; i < count; ++i)
      if (look(i)) return true;
    return false;
  }
  const std::int64_t group = std::max<std::int64_t>(1, chunk / length);
  std::atomic<bool> found{false};
  parallel_for((count + group - 1) / group, [&](std::int64_t at) {
    for (std::int64_t i = at * group; i < std::min(count, (at + 1) * group); ++i)
      if (look(i)) return found.store(true, std::memory_order_relaxed);
  });
  return found.load();
}

// Computes again what a NaN or an infinity of a's row or b's column reaches, unless it is NaN already: sums over ascending
// k.
template <class T>
class mended_product {
 public:
  mended_product(const matmul_operand<T>& a, const matmul_operand<T>& b, T* out, std::int64_t m, std::int64_t n,
                 std::int64_t k)
      : a_(a), b_(b), out_(out), m_(m), n_(n), k_(k) {}

  // False: out of memory.
  bool run(std::int64_t batch) {
    const std::int64_t matrices = b_.batch_stride == 0 ? 1 : batch;
    columns_.reset(new (std::nothrow) bool[static_cast<std::size_t>(matrices * n_)]);
    if (!columns_) return false;
    parallel_for(matrices, [&](std::int64_t i) {
      for (std::int64_t j = 0; j < n_; ++j)
        columns_[static_cast<std::size_t>(i * n_ + j)] = any(b_.at(i, 0, j), b_.row_stride, k_);
    });
    parallel_for(batch * m_, [&](std::int64_t i) { mend_row(i / m_, i % m_); });
    return true;
  }

 private:
  static constexpr std::int64_t block = 64;

  void mend_row(std::int64_t batch, std::int64_t row) const {
    const bool whole = any(a_.at(batch, row, 0), a_.column_stride, k_);
    const bool* reached = columns_.get() + (b_.batch_stride == 0 ? 0 : batch * n_);
    for (std::int64_t j = 0; j < n_; j += block) {
      const std::int64_t columns = std::min(block, n_ - j);
      T* out = out_ + (batch * m_ + row) * n_ + j;
      bool wanted[block];
      bool some = false;
      for (std::int64_t c = 0; c < columns; ++c) some |= wanted[c] = (whole || reached[j + c]) && !is_nan(out + c);
      if (some) mend_block(batch, row, j, columns, wanted, out);
    }
  }

  void mend_block(std::int64_t batch, std::int64_t row, std::int64_t column, std::int64_t columns, const bool* wanted,
                  T* out) const {
    sum_of<T> sums[block] = {};
    sum_of<T> line[block];
    for (std::int64_t d = 0; d < k_; ++d) {
      const sum_of<T> x = to_sum(*a_.at(batch, row, d));
      widen(b_.at(batch, d, column), b_.column_stride, columns, line);
      for (std::int64_t c = 0; c < columns; ++c) sums[c] += x * line[c];
    }
    for (std::int64_t c = 0; c < columns; ++c)
      if (wanted[c]) round_to(sums[c], out[c]);
  }

  const matmul_operand<T>& a_;
  const matmul_operand<T>& b_;
  T* out_;
  std::int64_t m_;
  std::int64_t n_;
  std::int64_t k_;
  std::unique_ptr<bool[]> columns_;  // of b, which hold one
};

}  // namespace nonfinite

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
