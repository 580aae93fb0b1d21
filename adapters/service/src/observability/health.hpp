// The health of the devices and of the models, for load balancers.
#pragma once

#include <string>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

struct health {
  static health now(ready_when rule);
  // {"ready":true,"degraded":true,"devices":{"cpu":{"healthy":true},"cuda:0":{"healthy":false,"state":"..."}}}, with
  // "models":[{"name":"resnet","version":"1","state":"LOADING","reason":""}] where there are some
  [[nodiscard]] std::string json() const;

  std::vector<device_info> devices;
  bool computes = false;                          // the devices do, by the rule
  bool degraded = false;                          // a device is not healthy
  std::vector<model_repository::state> models{};  // that are wanted, and are not READY

  [[nodiscard]] bool ready() const noexcept { return computes && models.empty(); }
};

}  // namespace sluice::serving
