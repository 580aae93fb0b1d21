#include "observability/health.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/text.hpp"

namespace sluice::serving {

health health::now(ready_when rule) {
  health h;
  h.devices = sluice::devices();
  const auto healthy = [](const device_info& d) { return d.healthy; };
  const bool all = std::all_of(h.devices.begin(), h.devices.end(), healthy);
  h.ready = rule == ready_when::all_devices ? all : std::any_of(h.devices.begin(), h.devices.end(), healthy);
  h.degraded = !all;
  return h;
}

std::string health::json() const {
  std::string out = fmt::format(R"({{"ready":{},"degraded":{},"devices":{{)", ready, degraded);
  for (const auto& d : devices) {
    out += fmt::format(R"({}{}:{{"healthy":{})", out.back() == '{' ? "" : ",", json_string(d.where.str()), d.healthy);
    if (!d.healthy) out += fmt::format(R"(,"state":{})", json_string(d.state));
    out += '}';
  }
  return out + "}}";
}

}  // namespace sluice::serving
