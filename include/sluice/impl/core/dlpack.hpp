#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <fmt/format.h>

#include "sluice/dlpack.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// The structures that DLPack 0.8 fixes (https://dmlc.github.io/dlpack/latest/c_api.html), under names of our own: a program
// may include DLPack's header as well. Its code accesses the same memory by other types, hence may_alias.
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
struct exported_tensor {
  dl_managed_tensor managed;
  tensor source;
  shape extents;
  strides steps;
};

}  // namespace core

SLUICE_FUNC DLManagedTensor* to_dlpack(const tensor& t) {
  const std::int32_t type = core::to_dl_device_type(t.device());
  auto e = std::make_unique<core::exported_tensor>(core::exported_tensor{{}, t, t.shape(), t.strides()});
  e->managed.tensor = {e->source.data(),     {type, t.device().index()}, t.rank(), core::to_dl_dtype(t.dtype()),
                       &*e->extents.begin(), &*e->steps.begin(),         0};
  e->managed.manager_ctx = e.get();
  e->managed.deleter = [](DLManagedTensor* self) {
    delete static_cast<core::exported_tensor*>(reinterpret_cast<core::dl_managed_tensor*>(self)->manager_ctx);
  };
  return reinterpret_cast<DLManagedTensor*>(&e.release()->managed);
}

SLUICE_FUNC tensor from_dlpack(DLManagedTensor* managed) {
  if (managed == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the pointer is null");
  const core::dl_tensor& d = reinterpret_cast<core::dl_managed_tensor*>(managed)->tensor;
  if (d.device.type != core::dl_cpu && d.device.type != core::dl_cuda_host)
    throw error(error_code::unsupported,
                fmt::format("[from_dlpack] device type {} is not host memory: copy it there first", d.device.type));
  if (d.ndim < 0 || d.ndim > max_rank)
    throw error(error_code::invalid_argument,
                fmt::format("[from_dlpack] {} dimensions: 0 to {} can be taken", d.ndim, max_rank));
  const auto rank = static_cast<std::size_t>(d.ndim);
  if (rank > 0 && d.shape == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the shape is null");
  const dtype type = core::from_dl_dtype(d.dtype);
  const shape extents(std::span<const std::int64_t>(d.shape, rank));
  const strides steps = d.strides != nullptr ? strides(std::span<const std::int64_t>(d.strides, rank)) : row_major(extents);
  void* data = d.data != nullptr ? static_cast<std::byte*>(d.data) + d.byte_offset : nullptr;
  // First over memory without an owner: where it throws, `managed` stays the caller's.
  static_cast<void>(tensor::wrap(data, type, extents, steps, nullptr));
  return tensor::wrap(data, type, extents, steps, std::shared_ptr<void>(managed, [](void* p) {
                        auto* m = static_cast<core::dl_managed_tensor*>(p);
                        if (m->deleter != nullptr) m->deleter(static_cast<DLManagedTensor*>(p));
                      }));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
