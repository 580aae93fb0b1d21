#include "observability/health.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "codec/json_writer.hpp"

namespace sluice::serving {

health health::now(ready_when rule) {
  health h;
  h.devices = sluice::devices();
  const auto healthy = [](const device_info& d) { return d.healthy; };
  const bool all = std::all_of(h.devices.begin(), h.devices.end(), healthy);
  h.computes = rule == ready_when::all_devices ? all : std::any_of(h.devices.begin(), h.devices.end(), healthy);
  h.degraded = !all;
  return h;
}

std::string health::json() const {
  json_writer w;
  w.begin_object().member("ready", ready()).member("degraded", degraded).key("devices").begin_object();
  for (const auto& d : devices) {
    w.key(d.where.str()).begin_object().member("healthy", d.healthy);
    if (!d.healthy) w.member("state", d.state);
    w.end_object();
  }
  w.end_object();
  if (!models.empty()) {
    w.key("models").begin_array();
    for (const auto& m : models)
      w.begin_object()
          .member("name", m.name)
          .member("version", m.version)
          .member("state", m.state)
          .member("reason", m.reason)
          .end_object();
    w.end_array();
  }
  return w.end_object().take();
}

}  // namespace sluice::serving
