// Runs an op on the device that its operands are on: through a slot of the backend's table, or through the function that the
// backend finds by the op's name.
#pragma once

#include "sluice/impl/core/launch.hpp"
#include "sluice/impl/core/tensor_access.hpp"
#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

// The leading `n` dimensions as one: true, with its stride, when they step evenly (a stride of 0 through all counts).
// Dimensions of extent 1 take no step, whatever their stride.
inline bool merge_leading(const tensor& t, int n, std::int64_t& stride) {
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

// `t` with its leading n dimensions as one of `extent` and `stride`, and the other dimensions as they are.
inline sluice_array merged_array(const tensor& t, int n, std::int64_t extent, std::int64_t stride) {
  sluice_array a;
  a.data = core::tensor_access::data_of(t);
  a.dtype = static_cast<std::int32_t>(t.dtype());
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

inline void run_by_name(const op_descriptor& op, const operands& in, tensor& out, const op_options& options) {
  std::array<tensor, max_operands> contiguous;
  std::array<sluice_array, max_operands> arrays;
  std::array<core::storage*, max_operands> reads{};
  for (int i = 0; i < in.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    contiguous[at] = in[i].contiguous();
    arrays[at] = core::array_of(contiguous[at]);
    reads[at] = core::storage_of(contiguous[at]);
  }
  core::launch l(out.device(), op.name.data(), reads, {core::storage_of(out)});
  const sluice_op call = l.table().find_op != nullptr ? l.table().find_op(op.name.data()) : nullptr;
  l.require(call);
  const sluice_array result = core::array_of(out);
  l.check(call(l.index(), l.queue(), arrays.data(), in.size(), &result, 1, options.data, options.size, l.message()));
  l.finish();
}

// Operands and `out` are on one device.
inline void run(const op_descriptor& op, const operands& in, tensor& out, const op_options& options) {
  if (out.count() == 0) return;
  op.run != nullptr ? op.run(in, out, options) : run_by_name(op, in, out, options);
}

}  // namespace ops
}  // namespace SLUICE_ABI
}  // namespace sluice
