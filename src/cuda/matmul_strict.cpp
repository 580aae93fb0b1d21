// Strict products: which way each is made.
#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "matmul_strict.hpp"

namespace sluice::cuda {
namespace {

constexpr std::size_t most_workspace = std::size_t{16} << 20;
// cuBLASLt's algorithms, and the pass over the result behind them, are ahead of our tiles from some 600 x 600 x 600 on
// (transposed operands: 300), where the result has enough elements for all multiprocessors; f64, which tensor cores multiply
// in this order too, on the device from 150, but two launches cost the host more than a tile of 256 takes.
constexpr double least_work[] = {30e6, 200e6};            // m * n * k; f64, f32
constexpr double least_work_transposed[] = {15e6, 30e6};  // f64, f32
constexpr double least_results[] = {64, 1500};            // m * n a multiprocessor; f64, f32
// Halves above are multiplied as f32: one pass that widens an operand is cheaper than doing so in every tile.
constexpr double most_work_of_halves = 64e6;
constexpr std::int64_t most_k_of_halves = 64 * chain_block;

chain_matrix matrix_of(const sluice_array& a) {
  return {a.data, a.extents[0] == 1 ? 0 : a.strides[0], a.strides[1], a.strides[2]};
}

// Neighbours along k of a, and along columns of b, are what kernels read several at a time.
int contiguous(const chain_matrix& a, std::int64_t k, const chain_matrix& b, std::int64_t n) {
  return (k == 1 || a.column == 1 ? 1 : 0) + (n == 1 || b.column == 1 ? 1 : 0);
}
chain_matrix transposed(const chain_matrix& m) { return {m.data, m.batch, m.column, m.row}; }

chain_product product_of(const sluice_array& a, const sluice_array& b, const sluice_array& out) {
  chain_product p{
      a.dtype,      out.extents[0], out.extents[1], out.extents[2],
      a.extents[2], matrix_of(a),   matrix_of(b),   {out.data, out.extents[1] * out.extents[2], out.extents[2], 1}};
  // Many matrices times one, and their rows evenly spaced, are one tall matrix.
  if (p.batch > 1 && p.b.batch == 0 && (p.m == 1 || p.a.batch == p.m * p.a.row)) {
    if (p.m == 1) p.a.row = p.a.batch;
    p.m *= p.batch;
    p.batch = 1;
  }
  if (p.batch == 1) p.a.batch = p.b.batch = p.out.batch = 0;
  return p;
}

// The transposed product, where tiles read its operands more at a time.
chain_product turned(chain_product p) {
  if (contiguous(transposed(p.b), p.k, transposed(p.a), p.m) > contiguous(p.a, p.k, p.b, p.n)) {
    p.a = transposed(std::exchange(p.b, transposed(p.a)));
    p.out = transposed(p.out);
    std::swap(p.m, p.n);
  }
  return p;
}

chain_cut cut_of(const device& d, const chain_product& p) { return choose_cut(p, d.multiprocessors, most_workspace); }

double work_of(const chain_product& p) {
  return static_cast<double>(p.batch) * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
}

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

// False when cuBLAS cannot read it without a copy, or not by 16 bytes.
bool describe(const chain_matrix& m, std::int64_t rows, std::int64_t columns, std::int64_t lanes,
              cublasOperation_t* operation, std::int64_t* leading) {
  const bool by_rows = m.column == 1 && m.row >= columns;
  const bool by_columns = m.row == 1 && m.column >= rows;
  *operation = by_rows ? CUBLAS_OP_N : CUBLAS_OP_T;
  *leading = by_rows ? m.row : m.column;
  return (by_rows || by_columns) && *leading % lanes == 0 && m.batch % lanes == 0 && aligned(m.data);
}

class strict_call {
 public:
  strict_call(device& d, sluice_queue& q, const chain_product& p, sluice_message* message)
      : device_(d), queue_(q), p_(p), message_(message) {}

  sluice_status run() {
    blas_shape shape{};
    if (!suits_blas(shape)) return by_tiles();
    if (by_blas(shape)) return status_;
    if (const auto s = by_tiles(); s != SLUICE_OK) return s;
    device_.products->check(device_, queue_, shape);
    return SLUICE_OK;
  }

 private:
  // cuBLAS counts columns first: out' = b' x a'.
  bool suits_blas(blas_shape& shape) const {
    if (element_size(p_.dtype) < 4 || std::min(p_.m, p_.n) < 64) return false;
    const std::int64_t lanes = p_.dtype == SLUICE_F64 ? 2 : 4;
    const int row = p_.dtype == SLUICE_F64 ? 0 : 1;
    const double results = static_cast<double>(p_.m) * static_cast<double>(p_.n);
    if (results < least_results[row] * device_.multiprocessors || p_.n % lanes != 0 || !aligned(p_.out.data)) return false;
    shape = {p_.dtype, CUBLAS_OP_N, CUBLAS_OP_N, p_.n, p_.m, p_.k, 0, 0};
    if (!describe(p_.b, p_.k, p_.n, lanes, &shape.a_operation, &shape.a_leading) ||
        !describe(p_.a, p_.m, p_.k, lanes, &shape.b_operation, &shape.b_leading))
      return false;
    const bool straight = shape.a_operation == CUBLAS_OP_N && shape.b_operation == CUBLAS_OP_N;
    return results * static_cast<double>(p_.k) >= (straight ? least_work : least_work_transposed)[row];
  }

  bool by_blas(const blas_shape& shape) {
    const auto element = static_cast<std::int64_t>(element_size(p_.dtype));
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    for (std::int64_t i = 0; i < p_.batch && status == CUBLAS_STATUS_SUCCESS; ++i)
      if (!device_.products->run(shape, at(p_.b, i * element), at(p_.a, i * element), at(p_.out, i * element), queue_.stream,
                                 &status))
        return false;  // at the first: a shape that is good stays so
    queue_.add_work(2e-6 + 2 * work_of(p_) / 40e12);
    status_ = device_.check(status, "the product", message_);
    if (status_ == SLUICE_OK)
      status_ =
          device_.check(make_canonical(p_.dtype, const_cast<void*>(p_.out.data), p_.batch * p_.m * p_.n, queue_.stream),
                        "making NaN and zeros canonical", message_);
    return true;
  }
  static void* at(const chain_matrix& m, std::int64_t bytes) {
    return static_cast<char*>(const_cast<void*>(m.data)) + m.batch * bytes;
  }

  sluice_status by_tiles() {
    const chain_product p = turned(p_);
    const chain_cut cut = cut_of(device_, p);
    if (cut.tile < 0)
      return fail(
          SLUICE_UNSUPPORTED, message_,
          "cuda: a batch of %lld products (%lld,%lld) x (%lld,%lld) is too large: a launch takes at most %d tiles, and "
          "each product is at least one",
          static_cast<long long>(p_.batch), static_cast<long long>(p_.m), static_cast<long long>(p_.k),
          static_cast<long long>(p_.k), static_cast<long long>(p_.n), std::numeric_limits<int>::max());
    unsigned* counters = nullptr;
    scratch parts(device_, *device_.memory, &queue_);
    if (cut.parallel) {
      if (const auto s = prepare_counters(); s != SLUICE_OK) return s;
      if (const auto s = parts.allocate(chain_workspace(p, cut), message_); s != SLUICE_OK) return s;
      counters = queue_.counters;
    }
    queue_.add_work(2e-6 + 2 * work_of(p_) / (p_.dtype == SLUICE_F64 ? 15e12 : 30e12));
    return device_.check(run_chain(p, cut, parts.data(), counters, queue_.stream), "the product", message_);
  }

  sluice_status prepare_counters() {
    if (queue_.counters != nullptr) return SLUICE_OK;
    void* fresh = nullptr;
    constexpr std::size_t bytes = most_counters * sizeof(unsigned);
    if (const auto s = device_.check(cudaMalloc(&fresh, bytes), "allocating counters", message_); s != SLUICE_OK) return s;
    if (const auto s = device_.check(cudaMemsetAsync(fresh, 0, bytes, queue_.stream), "clearing counters", message_);
        s != SLUICE_OK) {
      cudaFree(fresh);
      return s;
    }
    queue_.counters = static_cast<unsigned*>(fresh);
    return SLUICE_OK;
  }

  device& device_;
  sluice_queue& queue_;
  const chain_product p_;
  sluice_message* message_;
  sluice_status status_ = SLUICE_OK;
};

sluice_status product(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& b, const sluice_array& out,
                      sluice_message* message) {
  return strict_call(d, q, product_of(a, b, out), message).run();
}

// `a` in f32, each matrix once.
sluice_status widen(device& d, sluice_queue& q, const sluice_array& a, scratch& memory, sluice_array& wide,
                    sluice_message* message) {
  sluice_array once = a;
  if (a.strides[0] == 0) once.extents[0] = 1;
  if (const auto s = memory.allocate(static_cast<std::size_t>(count_of(once)) * sizeof(float), message); s != SLUICE_OK)
    return s;
  wide = packed(once, SLUICE_F32, memory.data());
  if (const auto s = d.check(transform(q, wide, once), "widening an operand", message); s != SLUICE_OK) return s;
  wide.extents[0] = a.extents[0];
  if (a.strides[0] == 0) wide.strides[0] = 0;
  return SLUICE_OK;
}

// f16 and bf16 by way of f32: the same chains, rounded once.
sluice_status widened_product(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& b,
                              const sluice_array& out, sluice_message* message) {
  scratch a_memory(d, *d.memory, &q);
  scratch b_memory(d, *d.memory, &q);
  scratch out_memory(d, *d.memory, &q);
  sluice_array x;
  sluice_array y;
  if (const auto s = widen(d, q, a, a_memory, x, message); s != SLUICE_OK) return s;
  if (const auto s = widen(d, q, b, b_memory, y, message); s != SLUICE_OK) return s;
  if (const auto s = out_memory.allocate(static_cast<std::size_t>(count_of(out)) * sizeof(float), message); s != SLUICE_OK)
    return s;
  const sluice_array wide = packed(out, SLUICE_F32, out_memory.data());
  if (const auto s = product(d, q, x, y, wide, message); s != SLUICE_OK) return s;
  return d.check(transform(q, out, wide), "rounding the product", message);
}

// Past one block of k halves need a workspace and counters, which many small products have not.
bool by_tiles_of_halves(const device& d, const sluice_array& a, const sluice_array& b, const sluice_array& out) {
  const std::int64_t k = a.extents[2];
  if (k > most_k_of_halves || static_cast<double>(count_of(out)) * static_cast<double>(k) > most_work_of_halves)
    return false;
  return k <= chain_block || cut_of(d, turned(product_of(a, b, out))).tile >= 0;
}

}  // namespace

sluice_status strict_product(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& b,
                             const sluice_array& out, sluice_message* message) {
  if (element_size(a.dtype) == 2 && !by_tiles_of_halves(d, a, b, out)) return widened_product(d, q, a, b, out, message);
  return product(d, q, a, b, out, message);
}

}  // namespace sluice::cuda
