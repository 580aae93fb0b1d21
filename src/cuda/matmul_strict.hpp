// Products in the order of additions of sluice/ops/matmul.hpp: by kernels of our own, or by cuBLASLt's where those were seen
// to keep it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include <cublasLt.h>

#include "cuda.hpp"
#include "matmul_chain.hpp"

namespace sluice::cuda {

sluice_status strict_product(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& b,
                             const sluice_array& out, sluice_message* message);

// Kernels on results (matmul_bits.cu). Of `count` elements every NaN becomes the canonical one, and every zero +0.
cudaError_t make_canonical(std::int32_t dtype, void* data, std::int64_t count, cudaStream_t stream);
// An operand in memory: runs of `inner` elements, along k or across it, `leading` apart.
struct stored_operand {
  void* data;
  std::int64_t count, inner, leading;
  bool along_k;
};
// Full mantissas, magnitudes apart, so that sums show the order of their additions; a few rows of a and columns of b show
// what else can differ (matmul_bits.cu), and what lies between runs is infinite.
cudaError_t write_random(std::int32_t dtype, const stored_operand& to, unsigned seed, cudaStream_t stream);
// Writes `same` or `different` to *verdict, host memory; `work` is two words of zeros on the device.
enum class bits : unsigned { unknown = 0, same = 1, different = 2 };
cudaError_t compare_bits(const void* x, const void* y, std::size_t bytes, unsigned* work, unsigned* verdict,
                         cudaStream_t stream);

// A product as cuBLASLt sees it: column-major, a m x k, b k x n, out m x n without gaps, before their operations.
struct blas_shape {
  std::int32_t dtype;
  cublasOperation_t a_operation, b_operation;
  std::int64_t m, n, k, a_leading, b_leading;

  bool operator==(const blas_shape&) const = default;
};

// The products of one device that cuBLASLt may make. An algorithm is used for a shape only after its bits were the same as
// those of our kernel for random operands of that shape; the check runs in the caller's queue, behind its work, once a shape
// has come back, and until its verdict is there our kernel makes the product.
class checked_products {
 public:
  checked_products() = default;
  ~checked_products();
  checked_products(const checked_products&) = delete;
  checked_products& operator=(const checked_products&) = delete;

  // Whether it enqueued the product; all pointers are on 16 bytes. NaN and zeros are as cuBLAS leaves them: make_canonical() is still to come.
  bool run(const blas_shape& shape, const void* a, const void* b, void* out, cudaStream_t stream, cublasStatus_t* status);
  // Enqueues a check if one is due. Failures mean that the algorithm is not used.
  void check(device& d, sluice_queue& q, const blas_shape& shape);

 private:
  struct entry;
  static constexpr std::size_t most = 256;
  static constexpr std::size_t slots = 2 * most;

  [[nodiscard]] entry* find(const blas_shape& shape, std::uint64_t hash) const;
  entry* add(const blas_shape& shape, std::uint64_t hash, int multiprocessors);
  bool came_back(std::uint64_t hash);
  bool prepare();
  void enqueue_check(device& d, sluice_queue& q, entry& e);

  std::atomic<entry*> entries_[slots] = {};
  std::atomic<std::uint64_t> seen_[64] = {};
  std::mutex mutex_;  // of what follows
  std::size_t count_ = 0;
  cublasLtHandle_t handle_ = nullptr;
  unsigned* verdicts_ = nullptr;  // pinned
};

}  // namespace sluice::cuda
