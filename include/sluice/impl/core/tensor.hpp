#include "sluice/tensor.hpp"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "storage.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

// Bytes from the first to the last element that strides reach.
std::size_t reach(const shape& extents, const strides& steps, dtype type) {
  if (extents.count() == 0) return 0;
  std::int64_t last = 0;
  for (int i = 0; i < extents.rank(); ++i) {
    std::int64_t end = 0;
    if (__builtin_mul_overflow(extents[i] - 1, steps[i], &end) || __builtin_add_overflow(last, end, &last))
      throw error(error_code::invalid_argument,
                  fmt::format("[tensor] shape {} with strides {} reaches past 63 bits", extents.str(), steps.str()));
  }
  return static_cast<std::size_t>(checked_product(last, static_cast<std::int64_t>(size_of(type)))) + size_of(type);
}

}  // namespace

std::size_t tensor::byte_size(const sluice::shape& extents, sluice::dtype type) {
  return static_cast<std::size_t>(checked_product(extents.count(), static_cast<std::int64_t>(size_of(type))));
}

void tensor::check_view(sluice::dtype type, int rank) const {
  if (type != dtype_)
    throw error(error_code::invalid_argument,
                fmt::format("[view] the tensor is {}, the view {}: they must be the same", name_of(dtype_), name_of(type)));
  if (rank != shape_.rank())
    throw error(error_code::invalid_argument, fmt::format("[view] the tensor's shape is {}, of rank {}, the view's rank {}",
                                                          shape_.str(), shape_.rank(), rank));
  if (!device().is_cpu())
    throw error(error_code::invalid_argument,
                fmt::format("[view] the tensor is on {}: copy it with to(\"cpu\") first", device().str()));
}

int tensor::dimension(int i, const char* operation) const {
  const int d = i < 0 ? i + rank() : i;
  if (d < 0 || d >= rank())
    throw error(error_code::invalid_argument,
                fmt::format("[{}] shape {} has rank {}: there is no dimension {}", operation, shape_.str(), rank(), i));
  return d;
}

::sluice_array tensor::array() const {
  ::sluice_array a{};
  a.data = block_.data;
  a.dtype = static_cast<std::int32_t>(dtype_);
  a.rank = rank();
  std::copy(shape_.begin(), shape_.end(), a.extents);
  std::copy(strides_.begin(), strides_.end(), a.strides);
  return a;
}

tensor tensor::full(const sluice::shape& extents, double value, sluice::dtype type, const sluice::device& where) {
  tensor t(extents, type, where);
  if (t.count() == 0) return t;
  detail::launch l(where, "full", {}, {t.block_.owner.get()});
  l.require(l.table().fill);
  const auto out = t.array();
  l.check(l.table().fill(l.index(), l.queue(), &out, value, l.message()));
  l.finish();
  return t;
}

tensor tensor::wrap(void* data, sluice::dtype type, const sluice::shape& extents, const sluice::strides& steps,
                    std::shared_ptr<void> keep_alive) {
  if (steps.rank() != extents.rank())
    throw error(error_code::invalid_argument,
                fmt::format("[wrap] shape {} and strides {} differ in rank", extents.str(), steps.str()));
  if (std::any_of(steps.begin(), steps.end(), [](auto s) { return s < 0; }))
    throw error(error_code::invalid_argument, fmt::format("[wrap] strides are {}: none may be negative", steps.str()));
  const std::size_t bytes = reach(extents, steps, type);
  if (data == nullptr && bytes > 0)
    throw error(error_code::invalid_argument, fmt::format("[wrap] shape {} needs memory, and it is null", extents.str()));
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(type) != 0)
    throw error(error_code::invalid_argument,
                fmt::format("[wrap] memory for {} must be aligned to {} bytes", name_of(type), size_of(type)));
  return {detail::adopt(data, bytes, std::move(keep_alive)), extents, steps, type};
}

tensor tensor::transpose(int a, int b) const {
  tensor t = *this;
  const int i = dimension(a, "transpose");
  const int j = dimension(b, "transpose");
  std::swap(t.shape_[i], t.shape_[j]);
  std::swap(t.strides_[i], t.strides_[j]);
  return t;
}

tensor tensor::slice(int d, std::int64_t begin, std::int64_t end, std::int64_t step) const {
  const int i = dimension(d, "slice");
  if (begin < 0 || end < begin || end > shape_[i] || step < 1)
    throw error(error_code::invalid_argument,
                fmt::format("[slice] [{}:{}:{}] of extent {}: 0 <= begin <= end <= extent and step >= 1 must hold", begin,
                            end, step, shape_[i]));
  tensor t = *this;
  t.shape_[i] = (end - begin) / step + ((end - begin) % step != 0 ? 1 : 0);
  if (t.count() == 0) return t;  // steps that are never taken may be of any size
  t.block_.data += begin * strides_[i] * static_cast<std::int64_t>(size_of(dtype_));
  if (t.shape_[i] > 1) t.strides_[i] = strides_[i] * step;  // with one index left the step may be anything, and overflow
  return t;
}

tensor tensor::operator[](std::int64_t i) const {
  static_cast<void>(dimension(0, "operator[]"));
  if (i < 0 || i >= shape_[0])
    throw error(error_code::invalid_argument, fmt::format("[operator[]] index {} of extent {}", i, shape_[0]));
  tensor t = slice(0, i, i + 1);
  t.shape_ = shape_.without_first(1);
  t.strides_ = strides_.without_first(1);
  return t;
}

tensor tensor::reshape(const sluice::shape& extents) const {
  if (extents.count() != count())
    throw error(error_code::invalid_argument, fmt::format("[reshape] {} has {} element{}, {} has {}", shape_.str(), count(),
                                                          count() == 1 ? "" : "s", extents.str(), extents.count()));
  if (!is_contiguous())
    throw error(
        error_code::invalid_argument,
        fmt::format("[reshape] shape {} with strides {} has gaps: take contiguous() first", shape_.str(), strides_.str()));
  tensor t = *this;
  t.shape_ = extents;
  t.strides_ = row_major(extents);
  return t;
}

tensor tensor::broadcast_to(const sluice::shape& extents) const {
  const auto refuse = [&] {
    return error(error_code::invalid_argument,
                 fmt::format("[broadcast_to] {} does not broadcast to {}", shape_.str(), extents.str()));
  };
  if (extents.rank() < rank()) throw refuse();
  static_cast<void>(extents.count());  // refuses negative and oversized extents
  tensor t = *this;
  t.shape_ = extents;
  t.strides_ = extents;
  const int lead = extents.rank() - rank();
  for (int i = 0; i < extents.rank(); ++i) {
    const std::int64_t own = i < lead ? 1 : shape_[i - lead];
    if (own != extents[i] && own != 1) throw refuse();
    t.strides_[i] = i < lead || (own == 1 && extents[i] != 1) ? 0 : strides_[i - lead];
  }
  return t;
}

void tensor::assign(const tensor& source) {
  if (source.shape_ != shape_)
    throw error(error_code::invalid_argument, fmt::format("[assign] the source is {}, the target {}: they must be equal",
                                                          source.shape_.str(), shape_.str()));
  if (count() == 0) return;
  const sluice::device from = source.device();
  const sluice::device target = device();
  // Two devices exchange by way of the host, in the source's dtype.
  if (!from.is_cpu() && !target.is_cpu() && from != target) return assign(source.to(sluice::device::cpu));
  // A dtype is converted on the device that is not the CPU, whose copy takes either side from the host.
  const sluice::device& worker = from.is_cpu() ? target : from;
  detail::launch l(worker, "copy", {source.block_.owner.get()}, {block_.owner.get()});
  const auto in = source.array();
  const auto out = array();
  l.check(l.table().copy(l.index(), l.queue(), &out, &in, l.message()));
  l.finish();
}

tensor tensor::to(const sluice::device& where) const {
  if (where == device() || where.is_automatic()) return *this;
  tensor t(shape_, dtype_, where);
  t.assign(*this);
  return t;
}

tensor tensor::as(sluice::dtype type) const {
  if (type == dtype_) return *this;
  tensor t(shape_, type, device());
  t.assign(*this);
  return t;
}

tensor tensor::clone() const {
  tensor t(shape_, dtype_, device());
  t.assign(*this);
  return t;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
