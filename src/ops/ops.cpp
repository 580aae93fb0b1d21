// The compiled halves of the op fronts: checks that end in a sentence, and the call of the table.

#include <fmt/format.h>

#include "sluice/impl/core/launch.hpp"
#include "sluice/impl/core/tensor_access.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {
namespace {

// The leading `n` dimensions as one: true, with its stride, when they step evenly (a stride of 0 through all counts).
// Dimensions of extent 1 take no step, whatever their stride.
bool merges(const tensor& t, int n, std::int64_t& stride) {
  std::int64_t count = 1;
  stride = 0;
  for (int i = n - 1; i >= 0; --i) {
    if (t.extent(i) == 1) continue;
    std::int64_t even = t.stride(i);
    if (count == 1)
      stride = even;
    else if (__builtin_mul_overflow(stride, count, &even) || t.stride(i) != even)
      return false;
    count *= t.extent(i);
  }
  return true;
}

// `t` with its leading n dimensions as one of `extent` and `stride`, and the `tail` last dimensions as they are.
sluice_array merged(const tensor& t, int n, std::int64_t extent, std::int64_t stride) {
  sluice_array a = core::array_of(t);
  const int tail = t.rank() - n;
  a.rank = 1 + tail;
  a.extents[0] = extent;
  a.strides[0] = stride;
  for (int i = 0; i < tail; ++i) {
    a.extents[1 + i] = t.extent(n + i);
    a.strides[1 + i] = t.stride(n + i);
  }
  return a;
}

shape broadcast(const tensor& a, const tensor& b) {
  const int ra = a.rank() - 2;
  const int rb = b.rank() - 2;
  const int rank = std::max(ra, rb);
  shape batch;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t ea = i < rank - ra ? 1 : a.extent(i - (rank - ra));
    const std::int64_t eb = i < rank - rb ? 1 : b.extent(i - (rank - rb));
    if (ea != eb && ea != 1 && eb != 1)
      throw error(error_code::invalid_argument,
                  fmt::format("[matmul] a is {}, b is {}: leading extents {} and {} do not broadcast", a.shape().str(),
                              b.shape().str(), ea, eb));
    batch = batch.with(ea == 1 ? eb : ea);
  }
  return batch;
}

void matmul_batches(core::launch& l, const tensor& a, const tensor& b, const tensor& out, precision p) {
  const int n = out.rank() - 2;
  std::int64_t sa = 0;
  std::int64_t sb = 0;
  if (!merges(a, n, sa) || !merges(b, n, sb)) {
    for (std::int64_t i = 0; i < out.extent(0); ++i) matmul_batches(l, a[i], b[i], out[i], p);
    return;
  }
  const std::int64_t batch = out.shape().first(n).count();
  const auto x = merged(a, n, batch, sa);
  const auto y = merged(b, n, batch, sb);
  const auto z = merged(out, n, batch, checked_product(out.extent(n), out.extent(n + 1)));
  l.check(l.table().matmul(l.index(), l.queue(), &x, &y, &z, static_cast<std::int32_t>(p), l.message()));
}

void rowsum_batches(core::launch& l, const tensor& a, const tensor& out) {
  const int n = a.rank() - 1;
  std::int64_t sa = 0;
  std::int64_t so = 1;
  if (!merges(a, n, sa) || !merges(out, n, so)) {
    for (std::int64_t i = 0; i < out.extent(0); ++i) rowsum_batches(l, a[i], out[i]);
    return;
  }
  const std::int64_t rows = out.count();
  const auto x = merged(a, n, rows, sa);
  const auto y = merged(out, n, rows, so);
  l.check(l.table().rowsum(l.index(), l.queue(), &x, &y, l.message()));
}

}  // namespace

shape matmul_shape(const tensor& a, const tensor& b) {
  const auto refuse = [&](const std::string& rule) {
    return error(error_code::invalid_argument, fmt::format("[matmul] a is {} {}, b is {} {}: {}", name_of(a.dtype()),
                                                           a.shape().str(), name_of(b.dtype()), b.shape().str(), rule));
  };
  if (a.rank() < 2 || b.rank() < 2) throw refuse("both must have two dimensions at least");
  if (a.dtype() != b.dtype()) throw refuse("the dtypes must be the same");
  if (!is_floating(a.dtype())) throw refuse("the dtype must be f64, f32, f16 or bf16");
  if (a.shape().back() != b.shape().back(1))
    throw refuse(fmt::format("a.extent({}) must equal b.extent({})", a.rank() - 1, b.rank() - 2));
  return broadcast(a, b).with(a.shape().back(1)).with(b.shape().back());
}

void call_matmul(const tensor& a, const tensor& b, tensor& out, precision p) {
  if (out.count() == 0) return;
  core::launch l(out.device(), "matmul", {core::storage_of(a), core::storage_of(b)}, {core::storage_of(out)});
  l.require(l.table().matmul);
  const int lead = out.rank() - 2;
  const shape batch = out.shape().first(lead);
  matmul_batches(l, a.broadcast_to(batch.with(a.shape().back(1)).with(a.shape().back())),
                 b.broadcast_to(batch.with(b.shape().back(1)).with(b.shape().back())), out, p);
  l.finish();
}

shape rowsum_shape(const tensor& a) {
  if (a.rank() < 1) throw error(error_code::invalid_argument, "[rowsum] a is (): it must have one dimension at least");
  return a.shape().first(a.rank() - 1);
}

void call_rowsum(const tensor& a, tensor& out) {
  if (out.count() == 0) return;
  core::launch l(out.device(), "rowsum", {core::storage_of(a)}, {core::storage_of(out)});
  l.require(l.table().rowsum);
  rowsum_batches(l, a, out);
  l.finish();
}

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
