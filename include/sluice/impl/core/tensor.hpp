#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "sluice/impl/core/launch.hpp"
#include "sluice/impl/core/tensor_access.hpp"
#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// Bytes from the first to the last element that strides reach.
inline std::size_t bytes_reached(const shape& extents, const strides& steps, dtype type) {
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

inline std::shared_ptr<storage> allocate(const device& where, std::size_t bytes, memory kind, std::byte*& data) {
  if (where.is_automatic())
    throw error(error_code::invalid_argument, "[tensor] a tensor lives on one device: name it instead of automatic");
  const auto d = find_awake(where);
  void* allocated = nullptr;
  sluice_message message{};
  check(d, d.table->allocate(d.index, static_cast<std::int32_t>(kind), bytes, &allocated, &message), message, "tensor");
  const device lives = kind == memory::pinned ? device::cpu : where;
  data = static_cast<std::byte*>(allocated);
  try {
    return std::make_shared<storage>(d, lives, kind, allocated, bytes, nullptr);
  } catch (...) {
    d.table->deallocate(d.index, static_cast<std::int32_t>(kind), allocated, bytes);
    throw;
  }
}

}  // namespace core

SLUICE_FUNC tensor::tensor(const sluice::shape& extents, sluice::dtype type, const sluice::device& where, memory kind)
    : shape_(extents), strides_(row_major(extents)), dtype_(type) {
  storage_ = core::allocate(where, byte_size(extents, type), kind, data_);
}

SLUICE_FUNC const sluice::device& tensor::device() const noexcept {
  return storage_ != nullptr ? storage_->where() : sluice::device::cpu;
}

SLUICE_FUNC const void* tensor::data() const {
  if (storage_ != nullptr) storage_->wait_for_host(false);
  return data_;
}

SLUICE_FUNC void* tensor::data() {
  if (storage_ != nullptr) storage_->wait_for_host(true);
  return data_;
}

SLUICE_FUNC std::size_t tensor::byte_size(const sluice::shape& extents, sluice::dtype type) {
  return static_cast<std::size_t>(checked_product(extents.count(), static_cast<std::int64_t>(size_of(type))));
}

SLUICE_FUNC void tensor::check_view(sluice::dtype type, int rank) const {
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

SLUICE_FUNC int tensor::dimension(int i, const char* operation) const {
  const int d = i < 0 ? i + rank() : i;
  if (d < 0 || d >= rank())
    throw error(error_code::invalid_argument,
                fmt::format("[{}] shape {} has rank {}: there is no dimension {}", operation, shape_.str(), rank(), i));
  return d;
}

SLUICE_FUNC tensor tensor::full(const sluice::shape& extents, double value, sluice::dtype type,
                                const sluice::device& where) {
  tensor t(extents, type, where);
  if (t.count() == 0) return t;
  core::launch l(where, "full", {}, {core::storage_of(t)});
  l.require(l.table().fill);
  const auto out = core::array_of(t);
  l.check(l.table().fill(l.index(), l.queue(), &out, value, l.message()));
  l.finish();
  return t;
}

SLUICE_FUNC tensor tensor::wrap(void* data, sluice::dtype type, const sluice::shape& extents, const sluice::strides& steps,
                                std::shared_ptr<void> keep_alive) {
  if (steps.rank() != extents.rank())
    throw error(error_code::invalid_argument,
                fmt::format("[wrap] shape {} and strides {} differ in rank", extents.str(), steps.str()));
  if (std::any_of(steps.begin(), steps.end(), [](auto s) { return s < 0; }))
    throw error(error_code::invalid_argument, fmt::format("[wrap] strides are {}: none may be negative", steps.str()));
  const std::size_t bytes = core::bytes_reached(extents, steps, type);
  if (data == nullptr && bytes > 0)
    throw error(error_code::invalid_argument, fmt::format("[wrap] shape {} needs memory, and it is null", extents.str()));
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(type) != 0)
    throw error(error_code::invalid_argument,
                fmt::format("[wrap] memory for {} must be aligned to {} bytes", name_of(type), size_of(type)));
  tensor t;
  t.storage_ = std::make_shared<core::storage>(core::backend_device{}, sluice::device::cpu, memory::device, data, bytes,
                                               std::move(keep_alive));
  t.data_ = static_cast<std::byte*>(data);
  t.shape_ = extents;
  t.strides_ = steps;
  t.dtype_ = type;
  return t;
}

SLUICE_FUNC tensor tensor::transpose(int a, int b) const {
  tensor t = *this;
  const int i = dimension(a, "transpose");
  const int j = dimension(b, "transpose");
  std::swap(t.shape_[i], t.shape_[j]);
  std::swap(t.strides_[i], t.strides_[j]);
  return t;
}

SLUICE_FUNC tensor tensor::slice(int d, std::int64_t begin, std::int64_t end, std::int64_t step) const {
  const int i = dimension(d, "slice");
  if (begin < 0 || end < begin || end > shape_[i] || step < 1)
    throw error(error_code::invalid_argument,
                fmt::format("[slice] [{}:{}:{}] of extent {}: 0 <= begin <= end <= extent and step >= 1 must hold", begin,
                            end, step, shape_[i]));
  tensor t = *this;
  t.shape_[i] = (end - begin) / step + ((end - begin) % step != 0 ? 1 : 0);
  if (t.count() == 0) return t;  // no step is ever taken
  t.data_ += begin * strides_[i] * static_cast<std::int64_t>(size_of(dtype_));
  if (t.shape_[i] > 1) t.strides_[i] = strides_[i] * step;  // with one index left the step is unused, and could overflow
  return t;
}

SLUICE_FUNC tensor tensor::operator[](std::int64_t i) const {
  static_cast<void>(dimension(0, "operator[]"));
  if (i < 0 || i >= shape_[0])
    throw error(error_code::invalid_argument, fmt::format("[operator[]] index {} of extent {}", i, shape_[0]));
  tensor t = slice(0, i, i + 1);
  t.shape_ = shape_.without_first(1);
  t.strides_ = strides_.without_first(1);
  return t;
}

SLUICE_FUNC tensor tensor::reshape(const sluice::shape& extents) const {
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

SLUICE_FUNC tensor tensor::broadcast_to(const sluice::shape& extents) const {
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

SLUICE_FUNC void tensor::assign(const tensor& source) {
  if (source.shape_ != shape_)
    throw error(error_code::invalid_argument, fmt::format("[assign] the source is {}, the target {}: they must be equal",
                                                          source.shape_.str(), shape_.str()));
  if (count() == 0) return;
  const sluice::device from = source.device();
  const sluice::device target = device();
  // Two devices exchange data through the host, in the source's dtype.
  if (!from.is_cpu() && !target.is_cpu() && from != target) return assign(source.to(sluice::device::cpu));
  // A dtype is converted on the device that is not the CPU, whose copy takes either side from the host.
  const sluice::device& worker = from.is_cpu() ? target : from;
  core::launch l(worker, "copy", {core::storage_of(source)}, {core::storage_of(*this)});
  const auto in = core::array_of(source);
  const auto out = core::array_of(*this);
  l.check(l.table().copy(l.index(), l.queue(), &out, &in, l.message()));
  l.finish();
}

SLUICE_FUNC tensor tensor::to(const sluice::device& where) const {
  if (where == device() || where.is_automatic()) return *this;
  tensor t(shape_, dtype_, where);
  t.assign(*this);
  return t;
}

SLUICE_FUNC tensor tensor::as(sluice::dtype type) const {
  if (type == dtype_) return *this;
  tensor t(shape_, type, device());
  t.assign(*this);
  return t;
}

SLUICE_FUNC tensor tensor::clone() const {
  tensor t(shape_, dtype_, device());
  t.assign(*this);
  return t;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
