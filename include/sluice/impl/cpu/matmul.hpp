// The slot matmul, in the order of additions that sluice/ops/matmul.hpp fixes. The kernels are in gemm/.
#pragma once

#include <cstring>

#include "sluice/impl/cpu/gemm/direct.hpp"
#include "sluice/impl/cpu/gemm/packed.hpp"
#include "sluice/impl/cpu/gemm/vector.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Where the batch of a is one tall matrix in memory and b is the same for all, it is one product.
template <class T>
inline void fold_batch(gemm::problem<T>& p) {
  if (p.batch <= 1 || p.b.batch_stride != 0) return;
  if (p.m != 1 && p.a.batch_stride != p.m * p.a.row_stride) return;
  if (p.m == 1) p.a.row_stride = p.a.batch_stride;
  p.m *= p.batch;
  p.batch = 1;
}

template <class T>
inline const gemm::packed_kernels<T>& kernels_for([[maybe_unused]] std::int32_t precision) {
  if constexpr (std::is_same_v<T, bf16>) {
    const auto* own = precision == SLUICE_PRECISION_TENSOR_CORE ? gemm::bf16_kernels() : nullptr;
    if (own != nullptr) return *own;
  }
  return gemm::packed<T>();
}

template <class T>
inline sluice_status matmul_as(const sluice_array& a, const sluice_array& b, const sluice_array& out, std::int32_t precision,
                               sluice_message* message) {
  gemm::problem<T> p{gemm::operand<T>(a), gemm::operand<T>(b), static_cast<T*>(out.data), out.extents[0], out.extents[1],
                     out.extents[2],      a.extents[2]};
  if (p.batch * p.m * p.n == 0) return SLUICE_OK;
  if (p.k == 0) {
    std::memset(out.data, 0, static_cast<std::size_t>(p.batch * p.m * p.n) * sizeof(T));
    return SLUICE_OK;
  }
  fold_batch(p);
  if (p.m == 1 || p.n == 1) {
    gemm::matrix_vector<T>(p).run();
    return SLUICE_OK;
  }
  if constexpr (std::is_same_v<T, sum_of<T>>) {
    if (gemm::suits_direct(p)) {
      gemm::multiply_direct(p);
      return SLUICE_OK;
    }
  }
  if (gemm::multiply_packed(p, kernels_for<T>(precision))) return SLUICE_OK;
  return fail(SLUICE_OUT_OF_MEMORY, message,
              "[matmul] no memory on cpu for the panels of a (%lld,%lld) x (%lld,%lld) product",
              static_cast<long long>(a.extents[1]), static_cast<long long>(a.extents[2]),
              static_cast<long long>(b.extents[1]), static_cast<long long>(b.extents[2]));
}

inline sluice_status cpu_matmul(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* b,
                                const sluice_array* out, std::int32_t precision, sluice_message* message) {
  switch (out->dtype) {
    case SLUICE_F64: return matmul_as<double>(*a, *b, *out, precision, message);
    case SLUICE_F32: return matmul_as<float>(*a, *b, *out, precision, message);
    case SLUICE_F16: return matmul_as<f16>(*a, *b, *out, precision, message);
    case SLUICE_BF16: return matmul_as<bf16>(*a, *b, *out, precision, message);
    default: return fail(SLUICE_UNSUPPORTED, message, "[matmul] dtype %d has no product on cpu", out->dtype);
  }
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
