/// @file
/// The product of two matrices, or of two batches of matrices.
///
///     auto c = sluice::matmul(a, b);               // where it is done soonest; the result is where the operands were
///     auto d = sluice::matmul(a.transpose(), b);   // no copy is made for the transpose
///     auto e = sluice::matmul(a, b, "cuda:0");     // there, or an error
#pragma once

#include "sluice/ops/call_account.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What a product may do to its operands.
enum class precision {
  strict = 0,      ///< IEEE arithmetic of the dtype; f16 and bf16 accumulate in f32 and round once
  tensor_core = 1  ///< f32 operands may be rounded to TF32 (10 bits of mantissa) on devices that gain from it
};

namespace detail {
SLUICE_API shape matmul_shape(const tensor& a, const tensor& b);
SLUICE_API call_account place_matmul(const tensor& a, const tensor& b, const device_request& where);
SLUICE_API void call_matmul(const tensor& a, const tensor& b, tensor& out, precision p);
}  // namespace detail

/// a (..., m, k) times b (..., k, n) gives (..., m, n), of the operands' dtype: f64, f32, f16 or bf16. Leading extents
/// broadcast as NumPy's do. An empty sum (k = 0) is 0. Operands elsewhere are copied to `where`, and the result is there; a
/// device that placement chose for operands on the CPU gives it back to the CPU. Throws invalid_argument when ranks, extents
/// or dtypes do not agree; unavailable when there is no device `where`; unsupported when it has no products; device_lost;
/// and out_of_memory. What fails later, on a device, is thrown where the result is first needed on the host.
inline tensor matmul(const tensor& a, const tensor& b, const device_request& where = {}, precision p = precision::strict) {
  const shape extents = detail::matmul_shape(a, b);
  call_account call = detail::place_matmul(a, b, where);
  tensor out(extents, a.dtype(), call.where());
  detail::call_matmul(a.to(call.where()), b.to(call.where()), out, p);
  return call.deliver(std::move(out));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
