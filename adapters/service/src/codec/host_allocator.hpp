// Memory for request data: pinned where the work may go to a device, which then copies it without staging.
#pragma once

#include "sluice/placement.hpp"

namespace sluice::serving {

class host_allocator {
 public:
  // For calls that run with `wanted`. A device that is not initialised yet stays so, and pins nothing.
  explicit host_allocator(const device_request& wanted) noexcept;

  [[nodiscard]] tensor make(const shape& extents, dtype type) const;

 private:
  device small_;  // the CPU: plain memory
  device large_;
};

}  // namespace sluice::serving
