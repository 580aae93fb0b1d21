// Memory for request data: pinned where the work may go to a device, which then copies it without staging.
#pragma once

#include "sluice/placement.hpp"

namespace sluice::serving {

class host_allocator {
 public:
  // For calls that run with `wanted`. A device that is not initialised yet stays so, and pins nothing.
  explicit host_allocator(const device_request& wanted) noexcept;

  [[nodiscard]] tensor make(const shape& extents, dtype type) const;
  // Where so many bytes go, for what allocates them itself.
  struct place_for_bytes {
    device where;
    memory kind;
  };
  [[nodiscard]] place_for_bytes choose(std::int64_t bytes) const;

 private:
  device small_;  // the CPU: plain memory
  device large_;
};

}  // namespace sluice::serving
