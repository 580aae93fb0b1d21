#include "sluice/dlpack.hpp"

#include <memory>

#include <fmt/format.h>

// The structure that DLPack 0.8 fixes (https://dmlc.github.io/dlpack/latest/c_api.html), laid out here so that neither this
// library nor its users need its header.
struct DLDevice {
  std::int32_t device_type;
  std::int32_t device_id;
};
struct DLDataType {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  std::int32_t ndim;
  DLDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor* self);
};

namespace sluice {
inline namespace SLUICE_ABI {
namespace {

constexpr std::int32_t dl_cpu = 1;
constexpr std::int32_t dl_cuda = 2;
constexpr std::int32_t dl_cuda_host = 3;
enum dl_code : std::uint8_t { dl_int = 0, dl_uint = 1, dl_float = 2, dl_bfloat = 4 };

DLDataType dl_type(dtype t) {
  const auto bits = static_cast<std::uint8_t>(8 * size_of(t));
  if (t == dtype::bf16) return {dl_bfloat, bits, 1};
  if (is_floating(t)) return {dl_float, bits, 1};
  return {t == dtype::u8 ? dl_uint : dl_int, bits, 1};
}

dtype dtype_from(const DLDataType& d) {
  for (const dtype t : {dtype::f64, dtype::f32, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8}) {
    const DLDataType own = dl_type(t);
    if (own.code == d.code && own.bits == d.bits && d.lanes == 1) return t;
  }
  throw error(
      error_code::unsupported,
      fmt::format("[from_dlpack] type code {} of {} bits and {} lanes is no dtype of sluice's", d.code, d.bits, d.lanes));
}

std::int32_t dl_device(const device& d) {
  if (d.is_cpu()) return dl_cpu;
  if (d.backend() == "cuda") return dl_cuda;
  throw error(error_code::unsupported, fmt::format("[to_dlpack] DLPack has no number for {}", d.str()));
}

struct exported {
  DLManagedTensor managed;
  tensor source;
  shape extents;
  strides steps;
};

}  // namespace

DLManagedTensor* to_dlpack(const tensor& t) {
  const std::int32_t type = dl_device(t.device());
  auto e = std::make_unique<exported>(exported{{}, t, t.shape(), t.strides()});
  e->managed.dl_tensor = {e->source.data(),     {type, t.device().index()}, t.rank(), dl_type(t.dtype()),
                          &*e->extents.begin(), &*e->steps.begin(),         0};
  e->managed.manager_ctx = e.get();
  e->managed.deleter = [](DLManagedTensor* self) { delete static_cast<exported*>(self->manager_ctx); };
  return &e.release()->managed;
}

tensor from_dlpack(DLManagedTensor* managed) {
  if (managed == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the pointer is null");
  const DLTensor& d = managed->dl_tensor;
  if (d.device.device_type != dl_cpu && d.device.device_type != dl_cuda_host)
    throw error(error_code::unsupported,
                fmt::format("[from_dlpack] device type {} is not host memory: copy it there first", d.device.device_type));
  if (d.ndim < 0 || d.ndim > max_rank)
    throw error(error_code::invalid_argument,
                fmt::format("[from_dlpack] {} dimensions: 0 to {} can be taken", d.ndim, max_rank));
  const auto rank = static_cast<std::size_t>(d.ndim);
  if (rank > 0 && d.shape == nullptr) throw error(error_code::invalid_argument, "[from_dlpack] the shape is null");
  const dtype type = dtype_from(d.dtype);
  const shape extents(std::span<const std::int64_t>(d.shape, rank));
  const strides steps = d.strides != nullptr ? strides(std::span<const std::int64_t>(d.strides, rank)) : row_major(extents);
  void* data = d.data != nullptr ? static_cast<std::byte*>(d.data) + d.byte_offset : nullptr;
  // First over memory that nobody frees, so that a refusal leaves `managed` with the caller.
  static_cast<void>(tensor::wrap(data, type, extents, steps, nullptr));
  return tensor::wrap(data, type, extents, steps, std::shared_ptr<void>(managed, [](void* p) {
                        auto* m = static_cast<DLManagedTensor*>(p);
                        if (m->deleter != nullptr) m->deleter(m);
                      }));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
