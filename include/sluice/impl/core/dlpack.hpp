#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <fmt/format.h>

#include "sluice/dlpack.hpp"
#include "sluice/impl/core/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// The structures that DLPack 0.8 and 1.x fix (https://dmlc.github.io/dlpack/latest/c_api.html), under names of our own: a
// program may include DLPack's header as well. Its code accesses the same memory by other types, hence may_alias.
struct __attribute__((may_alias)) dl_device {
  std::int32_t type;
  std::int32_t id;
};
struct __attribute__((may_alias)) dl_dtype {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct __attribute__((may_alias)) dl_tensor {
  void* data;
  dl_device device;
  std::int32_t ndim;
  dl_dtype dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct __attribute__((may_alias)) dl_managed_tensor {
  dl_tensor tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);
};

struct __attribute__((may_alias)) dl_version {
  std::uint32_t major;
  std::uint32_t minor;
};
struct __attribute__((may_alias)) dl_managed_tensor_versioned {
  dl_version version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned* self);
  std::uint64_t flags;
  dl_tensor tensor;
};

inline constexpr dl_version dl_current{1, 0};
enum dl_flags : std::uint64_t { dl_read_only = 1, dl_copied = 2 };

enum dl_device_type : std::int32_t { dl_cpu = 1, dl_cuda = 2, dl_cuda_host = 3 };
enum dl_type_code : std::uint8_t { dl_int = 0, dl_uint = 1, dl_float = 2, dl_bfloat = 4 };

inline dl_dtype to_dl_dtype(dtype t) {
  const auto bits = static_cast<std::uint8_t>(8 * size_of(t));
  if (t == dtype::bf16) return {dl_bfloat, bits, 1};
  if (is_floating(t)) return {dl_float, bits, 1};
  return {t == dtype::u8 ? dl_uint : dl_int, bits, 1};
}

inline dtype from_dl_dtype(const dl_dtype& d) {
  for (const dtype t : {dtype::f64, dtype::f32, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8}) {
    const dl_dtype own = to_dl_dtype(t);
    if (own.code == d.code && own.bits == d.bits && d.lanes == 1) return t;
  }
  throw error(
      error_code::unsupported,
      fmt::format("[from_dlpack] type code {} of {} bits and {} lanes is no dtype of sluice's", d.code, d.bits, d.lanes));
}

inline std::int32_t to_dl_device_type(const device& d) {
  if (d.is_cpu()) return dl_cpu;
  if (d.backend() == "cuda") return dl_cuda;
  throw error(error_code::unsupported, fmt::format("[to_dlpack] DLPack has no number for {}", d.str()));
}

// A tensor under export: lives until the receiver calls the deleter.
template <class Managed>
struct exported_tensor {
  Managed managed;
  tensor source;
  shape extents;
  strides steps;
};

template <class Managed, class Public>
inline Public* export_tensor(const tensor& t, Managed empty) {
  const std::int32_t type = to_dl_device_type(t.device());
  auto e = std::make_unique<exported_tensor<Managed>>(exported_tensor<Managed>{empty, t, t.shape(), t.strides()});
  e->managed.tensor = {e->source.data(),     {type, t.device().index()}, t.rank(), to_dl_dtype(t.dtype()),
                       &*e->extents.begin(), &*e->steps.begin(),         0};
  e->managed.manager_ctx = e.get();
  e->managed.deleter = [](Public* self) {
    delete static_cast<exported_tensor<Managed>*>(reinterpret_cast<Managed*>(self)->manager_ctx);
  };
  return reinterpret_cast<Public*>(&e.release()->managed);
}

// Strides that are never taken, of an extent of 1 or in an empty tensor, may be anything: those of a row-major tensor
// instead.
inline strides steps_of(const dl_tensor& d, const shape& extents) {
  strides steps = row_major(extents);
  if (d.strides == nullptr || extents.count() == 0) return steps;
  for (int i = 0; i < extents.rank(); ++i)
    if (extents[i] != 1) steps[i] = d.strides[i];
  return steps;
}

// The first element: the whole reach from it is below the end of addresses.
inline void* first_of(const dl_tensor& d, std::size_t reach) {
  if (d.data == nullptr || reach == 0) return nullptr;
  std::uintptr_t first = 0;
  std::uintptr_t end = 0;
  if (__builtin_add_overflow(reinterpret_cast<std::uintptr_t>(d.data), d.byte_offset, &first) ||
      __builtin_add_overflow(first, reach, &end) || d.byte_offset > std::uint64_t{PTRDIFF_MAX} - reach)
    throw error(
        error_code::invalid_argument,
        fmt::format("[from_dlpack] a byte offset of {} from {} reaches past the end of memory", d.byte_offset, d.data));
  return static_cast<std::byte*>(d.data) + d.byte_offset;
}

// A view of the memory; `owner` is empty, or keeps it.
inline tensor import_tensor(const dl_tensor& d, const std::shared_ptr<void>& owner) {
  if (d.device.type != dl_cpu && d.device.type != dl_cuda_host)
    throw error(error_code::unsupported,
                fmt::format("[from_dlpack] device type {} is not host memory: copy it there first", d.device.type));
  if (d.ndim < 0 || d.ndim > max_rank)
    throw error(error_code::invalid_argument,
                fmt::format("[from_dlpack] {} dimensions: 0 to {} can be taken", d.ndim, max_rank));
  const auto rank = static_cast<std::size_t>(d.ndim);
  if (rank > 0 && d.shape == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the shape is null");
  const dtype type = from_dl_dtype(d.dtype);
  const shape extents(std::span<const std::int64_t>(d.shape, rank));
  const strides steps = steps_of(d, extents);
  for (const std::int64_t step : steps)
    if (step < 0)
      throw error(error_code::invalid_argument,
                  fmt::format("[from_dlpack] strides are {}: none may be negative", steps.str()));
  return tensor::wrap(first_of(d, bytes_reached(extents, steps, type)), type, extents, steps, owner);
}

// Takes `managed` over, with all of its checks before: where one throws, it stays the caller's.
template <class Managed, class Public>
inline tensor take_over(Public* managed) {
  const dl_tensor& d = reinterpret_cast<Managed*>(managed)->tensor;
  static_cast<void>(import_tensor(d, nullptr));
  return import_tensor(d, std::shared_ptr<void>(managed, [](void* p) {
                         auto* m = static_cast<Managed*>(p);
                         if (m->deleter != nullptr) m->deleter(static_cast<Public*>(p));
                       }));
}

}  // namespace core

SLUICE_FUNC DLManagedTensor* to_dlpack(const tensor& t) {
  return core::export_tensor<core::dl_managed_tensor, DLManagedTensor>(t, {});
}

SLUICE_FUNC DLManagedTensorVersioned* to_dlpack_versioned(const tensor& t) {
  return core::export_tensor<core::dl_managed_tensor_versioned, DLManagedTensorVersioned>(
      t, {.version = core::dl_current, .manager_ctx = nullptr, .deleter = nullptr, .flags = 0, .tensor = {}});
}

SLUICE_FUNC tensor from_dlpack(DLManagedTensor* managed) {
  if (managed == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the pointer is null");
  return core::take_over<core::dl_managed_tensor>(managed);
}

SLUICE_FUNC tensor from_dlpack(DLManagedTensorVersioned* managed) {
  if (managed == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the pointer is null");
  using versioned = core::dl_managed_tensor_versioned;
  const auto* m = reinterpret_cast<versioned*>(managed);
  if (m->version.major != core::dl_current.major)  // the layout may be another one
    throw error(error_code::unsupported,
                fmt::format("[from_dlpack] DLPack {}.{}: version 1 can be taken", m->version.major, m->version.minor));
  if ((m->flags & core::dl_read_only) == 0) return core::take_over<versioned>(managed);
  // A tensor of ours may be written to, so it has a copy; its owner's memory is given back at once.
  tensor copy = core::import_tensor(m->tensor, nullptr).clone();
  if (m->deleter != nullptr) m->deleter(managed);
  return copy;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
