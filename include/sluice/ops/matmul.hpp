/// @file
/// The product of two matrices, or of two batches of matrices.
///
///     auto c = sluice::matmul(a, b);               // on the device that finishes soonest; the result is where the operands
///     are auto d = sluice::matmul(a.transpose(), b);   // no copy is made for the transpose auto e = sluice::matmul(a, b,
///     "cuda:0");     // on that device, or an error
#pragma once

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What a product may do to its operands. The type of matmul's options.
enum class precision {
  strict = 0,      ///< IEEE arithmetic of the dtype; f16 and bf16 accumulate in f32 and round once
  tensor_core = 1  ///< f32 operands may be rounded to TF32 (10 bits of mantissa) on devices that gain from it
};

/// Its descriptor.
SLUICE_API const op_descriptor& matmul_op() noexcept;

/// a (..., m, k) times b (..., k, n) gives (..., m, n), of the operands' dtype: f64, f32, f16 or bf16. Leading extents
/// broadcast as NumPy's do. An empty sum (k = 0) is 0. Operands elsewhere are copied to `where`, and the result is there; of
/// operands on the CPU, a device that placement chose returns the result to the CPU. Throws invalid_argument when ranks,
/// extents or dtypes do not agree; unavailable when there is no device `where`; unsupported when it has no products;
/// device_lost; and out_of_memory. A failure on the device after this returns is thrown where the result is first needed on
/// the host.
inline tensor matmul(const tensor& a, const tensor& b, const device_request& where = {}, precision p = precision::strict) {
  return apply(matmul_op(), {a, b}, where, p);
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/matmul.hpp"
#include "sluice/ops/all.hpp"
#endif
