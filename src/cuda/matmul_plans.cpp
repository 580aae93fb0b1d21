#include "matmul_plans.hpp"

#include <algorithm>

namespace sluice::cuda {
namespace {

constexpr std::int64_t most_work = std::int64_t{1} << 30;  // m * n * k
constexpr std::uint32_t alignment = 16;

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

cublasStatus_t layout(cublasLtMatrixLayoutOpaque_t& l, cudaDataType type, cublasOperation_t operation, std::int64_t rows,
                      std::int64_t columns, std::int64_t leading) {
  if (operation != CUBLAS_OP_N) std::swap(rows, columns);
  return cublasLtMatrixLayoutInit(&l, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), leading);
}

}  // namespace

bool matmul_plans::suit(const product& p, const void* a, const void* b, const void* out) {
  return p.m <= most_work && p.n <= most_work / p.m && p.k <= most_work / (p.m * p.n) && aligned(a) && aligned(b) &&
         aligned(out);
}

cublasStatus_t matmul_plans::run(sluice_queue& q, const product& p, const void* a, const void* b, void* out,
                                 std::size_t workspace_bytes) {
  plan& how = find(q, p, workspace_bytes);
  if (how.status != CUBLAS_STATUS_SUCCESS) return how.status;
  const float one_f32 = 1;
  const float zero_f32 = 0;
  const double one_f64 = 1;
  const double zero_f64 = 0;
  const bool wide = p.compute == CUBLAS_COMPUTE_64F;
  return cublasLtMatmul(reinterpret_cast<cublasLtHandle_t>(q.blas), &how.operation,
                        wide ? static_cast<const void*>(&one_f64) : &one_f32, a, &how.a, b, &how.b,
                        wide ? static_cast<const void*>(&zero_f64) : &zero_f32, out, &how.out, out, &how.out, &how.algorithm,
                        q.workspace, how.workspace, q.stream);
}

matmul_plans::plan& matmul_plans::find(sluice_queue& q, const product& p, std::size_t workspace_bytes) {
  for (std::size_t i = 0; i < count_; ++i)
    if (plans_[i].of == p) return plans_[i];
  plan& fresh = plans_[count_ < most ? count_++ : next_++ % most];
  fresh.of = p;
  fresh.status = choose(q, fresh, workspace_bytes);
  return fresh;
}

// cuBLASLt's first choice, of the kernels that keep the promise.
cublasStatus_t matmul_plans::choose(sluice_queue& q, plan& to, std::size_t workspace_bytes) {
  const product& p = to.of;
  const bool wide = p.compute == CUBLAS_COMPUTE_64F;
  cublasLtMatmulPreferenceOpaque_t wish;
  cublasStatus_t status = cublasLtMatmulDescInit(&to.operation, p.compute, wide ? CUDA_R_64F : CUDA_R_32F);
  const auto then = [&](auto&& f) {
    if (status == CUBLAS_STATUS_SUCCESS) status = f();
  };
  const auto describe = [&](cublasLtMatmulDescAttributes_t what, const cublasOperation_t& value) {
    then([&] { return cublasLtMatmulDescSetAttribute(&to.operation, what, &value, sizeof value); });
  };
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
    then([&] { return cublasLtMatmulPreferenceSetAttribute(&wish, what, &value, sizeof value); });
  };
  describe(CUBLASLT_MATMUL_DESC_TRANSA, p.a_operation);
  describe(CUBLASLT_MATMUL_DESC_TRANSB, p.b_operation);
  then([&] { return layout(to.a, p.type, p.a_operation, p.m, p.k, p.a_leading); });
  then([&] { return layout(to.b, p.type, p.b_operation, p.k, p.n, p.b_leading); });
  then([&] { return layout(to.out, p.type, CUBLAS_OP_N, p.m, p.n, p.m); });
  then([&] { return cublasLtMatmulPreferenceInit(&wish); });
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  if (p.compute != CUBLAS_COMPUTE_32F_FAST_TF32)  // partial sums stay in the type of the computation
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (const auto what : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(what, alignment);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  then([&] {
    return cublasLtMatmulAlgoGetHeuristic(reinterpret_cast<cublasLtHandle_t>(q.blas), &to.operation, &to.a, &to.b, &to.out,
                                          &to.out, &wish, 1, &found, &count);
  });
  to.algorithm = found.algo;
  to.workspace = found.workspaceSize;
  if (status != CUBLAS_STATUS_SUCCESS || count == 0 || found.state != CUBLAS_STATUS_SUCCESS)
    return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace sluice::cuda
