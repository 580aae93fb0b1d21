/// @file
/// The product of two matrices, or of two batches of matrices, bit for bit the same on every device.
///
///     auto c = sluice::matmul(a, b);               // where it finishes soonest; the result is where the operands are
///     auto d = sluice::matmul(a.transpose(), b);   // no copy is made for the transpose
///     auto e = sluice::matmul(a, b, "cuda:0");     // on that device, or an error
///     sluice::matmul_into(out, a, b);              // into memory that is there
///
/// The order of additions (precision::strict) is a function of k alone. Element (i, j) is the sum of a(i, p) * b(p, j): each
/// block of 1,024 of p is a chain of fused multiply-adds over ascending p, which begins at +0; block sums are added in
/// ascending order, each addition rounded; +0 is added to the sum, so that a sum of zero is +0. f64 is computed in f64, f32 in
/// f32; f16 and bf16 are widened to f32, follow the same chain, and the sum is rounded once to the dtype, to nearest even.
/// NaN, infinities and denormals are as IEEE 754 has them; a result that is NaN is the canonical quiet NaN. The bits depend on
/// no device, instruction set, number of threads, batch, layout or stride, and a row's not on the rows beside it.
///
/// On a GPU this order costs little for f32 and f64 and 4 to 15 times for f16 and bf16 from 1,024 x 1,024 on, whose tensor
/// cores add in another one: precision::fast lets them. On a CPU precision::fast is precision::strict.
#pragma once

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What a product promises. The type of matmul's options.
enum class precision {
  strict = 0,       ///< the order of additions above: the same bits everywhere
  tensor_core = 1,  ///< as fast; moreover f32 may be rounded to TF32 (10 bits of mantissa), and bf16 may lose denormals
  fast = 2          ///< sums in any order, in f32 (f64 for f64), rounded once: bits depend on device, shape and version
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

/// Writes the same product into `out`, of the dtype and the shape of the result, on the device of `out`: a call of 8 x 8
/// matrices takes 0.1 us instead of 0.3. An `out` that is not contiguous or shares memory with an operand costs a copy.
/// Throws what matmul() throws, and invalid_argument when `out` has another dtype or shape.
inline void matmul_into(tensor& out, const tensor& a, const tensor& b, precision p = precision::strict) {
  apply_into(matmul_op(), out, {a, b}, p);
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/matmul.hpp"
#include "sluice/ops/all.hpp"
#endif
