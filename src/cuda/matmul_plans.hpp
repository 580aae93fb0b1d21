// Small products by cuBLASLt. cuBLAS chooses a kernel at each call, which costs the host 1.5 us; here the choice is
// kept, and products of up to some 1024 x 1024 x 1024 are limited by the host.
#pragma once

#include <cublasLt.h>

#include "cuda.hpp"

namespace sluice::cuda {

// out = a x b, column-major: a m x k, b k x n, out m x n without gaps, before their operations.
struct product {
  cudaDataType type;
  cublasComputeType_t compute;
  cublasOperation_t a_operation, b_operation;
  std::int64_t m, n, k;
  std::int64_t a_leading, b_leading;

  bool operator==(const product&) const = default;
};

// What one queue's products were, and how each is done.
class matmul_plans {
 public:
  // Whether it is for products of this kind: small, and on 16 bytes.
  static bool suit(const product& p, const void* a, const void* b, const void* out);
  // CUBLAS_STATUS_NOT_SUPPORTED when cuBLASLt knows no kernel.
  cublasStatus_t run(sluice_queue& q, const product& p, const void* a, const void* b, void* out,
                     std::size_t workspace_bytes);

 private:
  struct plan {
    product of;
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, out;
    cublasLtMatmulAlgo_t algorithm;
    std::size_t workspace;
    cublasStatus_t status;
  };
  static constexpr std::size_t most = 32;

  plan& find(sluice_queue& q, const product& p, std::size_t workspace_bytes);
  static cublasStatus_t choose(sluice_queue& q, plan& to, std::size_t workspace_bytes);

  plan plans_[most];
  std::size_t count_ = 0;
  std::size_t next_ = 0;  // to be replaced when all are taken
};

}  // namespace sluice::cuda
