// Copies between host memory and contiguous device memory. Memory that is not pinned goes through pinned memory in pieces,
// filled or emptied by several threads while other chunks are being copied; memory with gaps is packed or spread on that
// occasion.
#pragma once

#include <array>
#include <atomic>

#include "cuda.hpp"

namespace sluice::cuda {

class host_copy {
 public:
  // `on_device` holds on_host's elements, of the same dtype, in row-major order.
  host_copy(device& d, sluice_queue& q, const sluice_array& on_host, void* on_device);

  sluice_status upload(sluice_message* message);
  // Pageable host memory holds the values when this returns: only this thread can copy them there.
  sluice_status download(sluice_message* message);

 private:
  class ring;

  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(count_ * size_); }
  [[nodiscard]] bool needs_no_staging() const;
  sluice_status by_kernel(sluice_message* message);
  sluice_status straight(void* target, const void* source, cudaMemcpyKind kind, sluice_message* message);
  template <bool pack>
  void stage(char* buffer, std::int64_t first, std::int64_t count) const;

  device& device_;
  sluice_queue& queue_;
  char* host_;
  const paired layout_;  // of the host's array; its strides are in `target`
  char* on_device_;
  const std::int64_t size_;  // bytes of an element
  const std::int64_t count_;
  const std::int64_t piece_;  // elements
  const bool soon_;           // the queue has little to do before this copy, by estimate
  const bool behind_;         // it has something to do before it
};

}  // namespace sluice::cuda
