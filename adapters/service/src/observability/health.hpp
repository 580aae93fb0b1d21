// The devices' health, for load balancers.
#pragma once

#include <string>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

struct health {
  static health now(ready_when rule);
  // {"ready":true,"degraded":true,"devices":{"cpu":{"healthy":true},"cuda:0":{"healthy":false,"state":"..."}}}
  [[nodiscard]] std::string json() const;

  std::vector<device_info> devices;
  bool ready = false;     // by the rule
  bool degraded = false;  // a device is not healthy
};

}  // namespace sluice::serving
