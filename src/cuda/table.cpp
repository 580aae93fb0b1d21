// The CUDA backend's table of functions, and the module's one symbol.
#include "cuda.hpp"
#include "named_ops.hpp"

namespace sluice::cuda {
namespace {

const sluice_host* lent_host = nullptr;

sluice_status device_info(std::int32_t index, sluice_device_info* info, sluice_message*) {
  device_at(index).info(info);
  return SLUICE_OK;
}

sluice_status device_wake(std::int32_t index, sluice_message* message) { return device_at(index).wake(message); }

constexpr sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = "cuda";
  t.device_count = count_devices;
  t.device_info = device_info;
  t.device_wake = device_wake;
  t.allocate = cuda_allocate;
  t.deallocate = cuda_deallocate;
  t.memory_stats = cuda_memory_stats;
  t.memory_trim = cuda_memory_trim;
  t.queue_acquire = cuda_queue_acquire;
  t.queue_release = cuda_queue_release;
  t.event_create = cuda_event_create;
  t.event_destroy = cuda_event_destroy;
  t.event_record = cuda_event_record;
  t.queue_wait_event = cuda_queue_wait_event;
  t.event_wait = cuda_event_wait;
  t.copy = cuda_copy;
  t.fill = cuda_fill;
  t.matmul = cuda_matmul;
  t.rowsum = cuda_rowsum;
  t.deallocate_after = cuda_deallocate_after;
  t.find_op = named_op::find;
  return t;
}

}  // namespace

const sluice_host& host() { return *lent_host; }

}  // namespace sluice::cuda

extern "C" __attribute__((visibility("default"))) const sluice_backend* sluice_backend_entry(const sluice_host* host) {
  static constexpr sluice_backend table = sluice::cuda::make_table();
  if (host->api_version == SLUICE_BACKEND_API_VERSION) sluice::cuda::lent_host = host;
  return &table;
}
