// The product of two matrices, or of two batches of matrices.
//
//     auto c = sluice::matmul(a, b);               // wherever the operands are
//     auto d = sluice::matmul(a.transpose(), b);   // no copy is made for the transpose
//     auto e = sluice::matmul(a, b, "cuda:0");     // there, or an error
#pragma once

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace v0 {

enum class precision {
  strict = 0,      // IEEE arithmetic of the dtype; f16 and bf16 accumulate in f32 and round once
  tensor_core = 1  // f32 operands may be rounded to TF32 (10 bits of mantissa) on devices that gain from it
};

namespace detail {
SLUICE_API shape matmul_shape(const tensor& a, const tensor& b);
SLUICE_API device place_matmul(const tensor& a, const tensor& b, const device& where);
SLUICE_API void call_matmul(const tensor& a, const tensor& b, tensor& out, precision p);
}  // namespace detail

// a (..., m, k) times b (..., k, n) gives (..., m, n), of the operands' dtype: f64, f32, f16 or bf16. Leading extents
// broadcast as NumPy's do. An empty sum (k = 0) is 0. Operands elsewhere are copied to `where`. Throws invalid_argument when
// ranks, extents or dtypes do not agree; unavailable when there is no device `where`; and out_of_memory.
inline tensor matmul(const tensor& a, const tensor& b, const device& where = device::automatic,
                     precision p = precision::strict) {
  const shape extents = detail::matmul_shape(a, b);
  const device chosen = detail::place_matmul(a, b, where);
  tensor out(extents, a.dtype(), chosen);
  detail::call_matmul(a.to(chosen), b.to(chosen), out, p);
  return out;
}

}  // namespace v0
}  // namespace sluice
