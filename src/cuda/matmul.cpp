// Products, and which way serves which. fast and tensor_core are cuBLAS's, small ones cuBLASLt's with its choice kept
// (matmul_plans). strict is made in the promised order of additions by one of two (matmul_strict):
//
// - tiles of our own (matmul_chain): all small, narrow and unaligned products, and blocks of k side by side. They cost the
//   host one launch; an H200 takes 1.6 us for 8 x 8, 5.1 us for 256 x 256, where cuBLAS takes 2.0 and 6.3.
// - cuBLASLt's algorithms that do not split k: f32 from some 600 x 600 on, f64 from 300 x 300. They chain fused
//   multiply-adds in ascending k, f64 on tensor cores too, but nothing promises that they do, so that each is used for a
//   shape only after its bits have been compared with our tiles' on the device (matmul_check). f32 at n = 1024: 53 us, our
//   tiles 78; f64: 40 and 136. A pass over the result (2 us at n = 1024, 4 at 2048) gives NaN its one form.
//
// f16 and bf16 are widened to f32 in the tiles; above 400 x 400 x 400 before them, by a pass over each operand.
//
// cuBLAS counts columns first where tensors count rows first, so it is asked for the transposed product: out' = b' x a',
// which needs no copy of anything.
#include <limits>
#include <new>

#include "matmul_plans.hpp"
#include "matmul_strict.hpp"
#include "queue.hpp"

namespace sluice::cuda {
namespace {

// One operand as cuBLAS reads it: column-major, transposed or not.
struct operand {
  const void* data = nullptr;
  cublasOperation_t operation = CUBLAS_OP_N;
  std::int64_t leading = 1;
  std::int64_t batch_stride = 0;
};

// False when neither stride is 1 or rows overlap: cuBLAS then needs a copy.
bool describe(const sluice_array& a, operand& o) {
  const std::int64_t rows = a.extents[1];
  const std::int64_t columns = a.extents[2];
  const bool by_rows = (columns == 1 || a.strides[2] == 1) && (rows == 1 || a.strides[1] >= columns);
  const bool by_columns = (rows == 1 || a.strides[1] == 1) && (columns == 1 || a.strides[2] >= rows);
  o.data = a.data;
  o.batch_stride = a.extents[0] == 1 ? 0 : a.strides[0];
  if (by_rows) {
    o.operation = CUBLAS_OP_N;
    o.leading = rows == 1 ? columns : a.strides[1];
    return true;
  }
  o.operation = CUBLAS_OP_T;
  o.leading = columns == 1 ? rows : a.strides[2];
  return by_columns;
}

sluice_status prepare(device& d, sluice_queue& q, const sluice_array& a, operand& o, scratch& copy,
                      sluice_message* message) {
  if (describe(a, o)) return SLUICE_OK;
  sluice_array used = a;
  if (a.strides[0] == 0) used.extents[0] = 1;  // one matrix for all: copied once
  const auto bytes = static_cast<std::size_t>(count_of(used)) * element_size(a.dtype);
  if (const auto s = copy.allocate(bytes, message); s != SLUICE_OK) return s;
  sluice_array whole = packed(used, a.dtype, copy.data());
  if (const auto s = d.check(transform(q, whole, used), "gathering an operand", message); s != SLUICE_OK) return s;
  whole.extents[0] = a.extents[0];
  if (a.strides[0] == 0) whole.strides[0] = 0;
  describe(whole, o);
  return SLUICE_OK;
}

std::size_t workspace_bytes(const device& d) { return std::size_t{d.compute_capability >= 90 ? 32u : 8u} << 20; }

// The handle has a workspace of its own, so that products on several queues neither wait for each other nor change bits.
sluice_status prepare_handle(device& d, sluice_queue& q, sluice_message* message) {
  if (q.blas != nullptr) return SLUICE_OK;
  const std::size_t bytes = workspace_bytes(d);
  if (q.workspace == nullptr)  // beside the pool, which counts what tensors hold
    if (const auto s = d.check(cudaMalloc(&q.workspace, bytes), "allocating cuBLAS's workspace", message); s != SLUICE_OK)
      return s;
  cublasHandle_t handle = nullptr;
  if (const auto s = d.check(cublasCreate(&handle), "starting cuBLAS", message); s != SLUICE_OK) return s;
  cublasStatus_t status = cublasSetStream(handle, q.stream);
  if (status == CUBLAS_STATUS_SUCCESS) status = cublasSetWorkspace(handle, q.workspace, bytes);
  if (const auto s = d.check(status, "preparing cuBLAS", message); s != SLUICE_OK) {
    cublasDestroy(handle);
    return s;
  }
  q.blas = handle;
  q.plans = new (std::nothrow) matmul_plans;
  return SLUICE_OK;
}

struct arithmetic {
  cudaDataType type;
  cublasComputeType_t compute;
  double rate;  // flop per second, for estimates
};

arithmetic arithmetic_of(std::int32_t dtype, std::int32_t precision) {
  switch (dtype) {
    case SLUICE_F64: return {CUDA_R_64F, CUBLAS_COMPUTE_64F, 30e12};
    case SLUICE_F16: return {CUDA_R_16F, CUBLAS_COMPUTE_32F, 600e12};
    case SLUICE_BF16: return {CUDA_R_16BF, CUBLAS_COMPUTE_32F, 600e12};
    default: break;
  }
  if (precision == SLUICE_PRECISION_TENSOR_CORE) return {CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, 150e12};
  return {CUDA_R_32F, CUBLAS_COMPUTE_32F, 30e12};
}

}  // namespace

sluice_status cuda_matmul(std::int32_t index, sluice_queue* queue, const sluice_array* a, const sluice_array* b,
                          const sluice_array* out, std::int32_t precision, sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  if (a->dtype > SLUICE_BF16) return fail(SLUICE_UNSUPPORTED, message, "cuda knows no product of dtype %d", a->dtype);
  std::int64_t batch = out->extents[0];
  std::int64_t m = out->extents[1];
  const std::int64_t n = out->extents[2];
  const std::int64_t k = a->extents[2];
  if (batch * m * n == 0) return SLUICE_OK;
  if (k == 0) return d.check(fill(*queue, *out, 0), "writing zeros", message);
  if (precision == SLUICE_PRECISION_STRICT) return strict_product(d, *queue, *a, *b, *out, message);

  scratch a_copy(d, *d.memory, queue);
  scratch b_copy(d, *d.memory, queue);
  operand x;
  operand y;
  if (const auto s = prepare_handle(d, *queue, message); s != SLUICE_OK) return s;
  if (const auto s = prepare(d, *queue, *a, x, a_copy, message); s != SLUICE_OK) return s;
  if (const auto s = prepare(d, *queue, *b, y, b_copy, message); s != SLUICE_OK) return s;
  // Many matrices times one, and their rows evenly spaced, are one tall matrix.
  if (batch > 1 && y.batch_stride == 0 && x.operation == CUBLAS_OP_N && x.batch_stride == m * x.leading) {
    m *= batch;
    batch = 1;
  }

  const arithmetic how = arithmetic_of(a->dtype, precision);
  // Rather less than it takes: a queue that seems busy and is not would be left for another, which costs a fifth of the
  // rate.
  queue->add_work(2e-6 + 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) *
                             static_cast<double>(batch) / how.rate);
  const product whole{how.type, how.compute, y.operation, x.operation, n,
                      m,        k,           y.leading,   x.leading,   precision != SLUICE_PRECISION_TENSOR_CORE};
  if (batch == 1 && queue->plans != nullptr && matmul_plans::suit(whole, y.data, x.data, out->data)) {
    const cublasStatus_t status = queue->plans->run(*queue, whole, y.data, x.data, out->data, workspace_bytes(d));
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) return d.check(status, "the product", message);
  }
  const float one_f32 = 1;
  const float zero_f32 = 0;
  const double one_f64 = 1;
  const double zero_f64 = 0;
  const bool wide = how.compute == CUBLAS_COMPUTE_64F;
  const void* one = wide ? static_cast<const void*>(&one_f64) : &one_f32;
  const void* zero = wide ? static_cast<const void*>(&zero_f64) : &zero_f32;
  // Sums stay in f32 until the end, those of split products too.
  const auto mode = precision == SLUICE_PRECISION_TENSOR_CORE
                        ? CUBLAS_DEFAULT_MATH
                        : static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (queue->math_mode != static_cast<int>(mode)) status = cublasSetMathMode(queue->blas, mode);
  if (status == CUBLAS_STATUS_SUCCESS) queue->math_mode = static_cast<int>(mode);
  if (status == CUBLAS_STATUS_SUCCESS && batch == 1)
    status = cublasGemmEx_64(queue->blas, y.operation, x.operation, n, m, k, one, y.data, how.type, y.leading, x.data,
                             how.type, x.leading, zero, out->data, how.type, n, how.compute, CUBLAS_GEMM_DEFAULT);
  else if (status == CUBLAS_STATUS_SUCCESS)
    status = cublasGemmStridedBatchedEx_64(queue->blas, y.operation, x.operation, n, m, k, one, y.data, how.type, y.leading,
                                           y.batch_stride, x.data, how.type, x.leading, x.batch_stride, zero, out->data,
                                           how.type, n, m * n, batch, how.compute, CUBLAS_GEMM_DEFAULT);
  return d.check(status, "the product", message);
}

}  // namespace sluice::cuda
