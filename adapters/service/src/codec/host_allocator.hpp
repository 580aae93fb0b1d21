// Memory for what a request carries: pinned where its work may go to a device, which then copies it without staging.
#pragma once

#include "sluice/placement.hpp"

namespace sluice::serving {

class host_allocator {
 public:
  // For calls that are given `wanted`. A device that sleeps is not woken for this, and one of no use pins nothing.
  explicit host_allocator(const device_request& wanted) noexcept;

  [[nodiscard]] tensor make(const shape& extents, dtype type) const;

 private:
  device small_;  // the CPU: plain memory
  device large_;
};

}  // namespace sluice::serving
