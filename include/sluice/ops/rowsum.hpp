/// @file
/// The sum of every row, bit for bit the same on every device, with any number of threads and however rows are cut into
/// chunks.
///
///     auto s = sluice::rowsum(a);                                     // a (rows, columns) -> s (rows)
///     auto d = sluice::rowsum(a, {}, {.dtype = sluice::dtype::f64});  // the same sums as f64
///
/// The order of additions is a function of the row's length alone: element i of a block of 1,024 is added, in order, to lane
/// i mod 32; the lanes fold by halves (j += j + 16, 8, 4, 2, 1); block sums join as adjacent pairs, level by level, an odd
/// one carried up. Floats add in f64, integers in i64, and each sum is rounded once, to the dtype of the result. Absent
/// elements count as -0.0, so a sum of -0.0s is -0.0; an empty row is +0; a sum that is NaN is the canonical quiet NaN.
/// Integers wrap.
#pragma once

#include <optional>

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The dtype of sums: f32 for f32, f16 and bf16; f64 for f64; i64 for integers.
constexpr dtype rowsum_dtype(dtype t) noexcept {
  return is_floating(t) ? (t == dtype::f64 ? dtype::f64 : dtype::f32) : dtype::i64;
}

/// The dtype of sums before they are rounded: f64 for floats, i64 for integers.
constexpr dtype unrounded_rowsum_dtype(dtype t) noexcept { return is_floating(t) ? dtype::f64 : dtype::i64; }

/// What sums are returned as. The type of rowsum's options.
struct rowsum_options {
  /// Of the result: f64, f32, f16 or bf16, and i64 for integers too. Nothing: rowsum_dtype() of the operand's dtype. As in
  /// NumPy's sum(dtype=), except that additions are always those above: a narrow dtype rounds, once, and what is too large
  /// for it is an infinity.
  std::optional<sluice::dtype> dtype{};
};

/// Its descriptor.
SLUICE_API const op_descriptor& rowsum_op() noexcept;

/// a (..., columns) gives (...): the last dimension is summed. Strides as they are, no copy. An operand elsewhere is copied
/// to `where`, as matmul does. Throws invalid_argument for rank 0 and for a dtype of the result that the operand's sums
/// cannot have; unavailable when there is no device `where`; unsupported when it has no row sums; device_lost;
/// out_of_memory. Later failures as in matmul().
inline tensor rowsum(const tensor& a, const device_request& where = {}, const rowsum_options& options = {}) {
  return apply(rowsum_op(), {a}, where, options);
}

/// The same sums in unrounded_rowsum_dtype(). Throws as rowsum() does. Parts of a row that begin at
/// multiples of 1,024 * 2^k elements and are that long (the last may be shorter) join into the row's sum by join_rowsums.
inline tensor rowsum_unrounded(const tensor& a, const device_request& where = {}) {
  return rowsum(a, where, {.dtype = unrounded_rowsum_dtype(a.dtype())});
}

/// Joins the unrounded sums of a row's parts, in order, as adjacent pairs, level by level, an odd one carried up. T is
/// double or std::int64_t. Overwrites `parts`. No parts give 0.
template <class T>
T join_rowsums(std::span<T> parts) {
  if (parts.empty()) return T{0};
  for (std::size_t n = parts.size(); n > 1; n = (n + 1) / 2) {
    for (std::size_t i = 0; i < n / 2; ++i) {
      if constexpr (std::is_integral_v<T>)
        parts[i] = static_cast<T>(static_cast<std::uint64_t>(parts[2 * i]) + static_cast<std::uint64_t>(parts[2 * i + 1]));
      else
        parts[i] = parts[2 * i] + parts[2 * i + 1];
    }
    if (n % 2 == 1) parts[n / 2] = parts[n - 1];
  }
  return parts[0];
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/rowsum.hpp"
#include "sluice/ops/all.hpp"
#endif
