#include "metrics.hpp"

#include <cstdint>

#include <fmt/format.h>

namespace sluice::http {
namespace {

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void device_text(std::string& out, const health& now) {
  head(out, "sluice_ready", "gauge", "1 while /health/ready answers 200.");
  out += fmt::format("sluice_ready {}\n", now.ready ? 1 : 0);
  head(out, "sluice_degraded", "gauge", "1 while a device is not healthy.");
  out += fmt::format("sluice_degraded {}\n", now.degraded ? 1 : 0);
  head(out, "sluice_device_healthy", "gauge",
       "1 while the device works, 0 after a sticky error or when it refused to wake.");
  for (const auto& d : now.devices)
    out += fmt::format("sluice_device_healthy{{device=\"{}\"}} {}\n", d.where.str(), d.healthy ? 1 : 0);
  head(out, "sluice_device_memory_bytes", "gauge", "Memory of the device's pool.");
  for (const auto& d : now.devices) {
    if (!d.awake) continue;
    const auto m = memory_statistics(d.where);
    const auto line = [&](std::string_view state, std::uint64_t bytes) {
      out += fmt::format("sluice_device_memory_bytes{{device=\"{}\",state=\"{}\"}} {}\n", d.where.str(), state, bytes);
    };
    line("in_use", m.in_use);
    line("pooled", m.pooled);
    line("peak", m.peak);
  }
}

}  // namespace

void metrics::record(std::string_view route, int status, double seconds, std::size_t answer_bytes) {
  const std::lock_guard lock(mutex_);
  auto it = routes_.find(route);
  if (it == routes_.end()) it = routes_.emplace(route, series{}).first;
  auto& s = it->second;
  ++s.by_status[status];
  ++s.count;
  for (std::size_t i = 0; i < bounds.size(); ++i) s.below[i] += seconds <= bounds[i] ? 1 : 0;
  s.seconds += seconds;
  s.answer_bytes += answer_bytes;
}

std::string metrics::text(const slots& compute, int slot_count, const health& devices) const {
  std::string out;
  {
    const std::lock_guard lock(mutex_);
    head(out, "sluice_requests_total", "counter", "Requests answered, by route and HTTP status.");
    for (const auto& [route, s] : routes_)
      for (const auto& [status, n] : s.by_status)
        out += fmt::format("sluice_requests_total{{route=\"{}\",code=\"{}\"}} {}\n", route, status, n);
    head(out, "sluice_request_seconds", "histogram", "From the request's headers to its answer being ready to send.");
    for (const auto& [route, s] : routes_) {
      for (std::size_t i = 0; i < bounds.size(); ++i)
        out += fmt::format("sluice_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", route, bounds[i], s.below[i]);
      out += fmt::format(
          "sluice_request_seconds_bucket{{route=\"{0}\",le=\"+Inf\"}} {1}\nsluice_request_seconds_sum{{route=\"{0}\"}} {2}\n"
          "sluice_request_seconds_count{{route=\"{0}\"}} {1}\n",
          route, s.count, s.seconds);
    }
    head(out, "sluice_response_bytes_total", "counter", "Bytes of the bodies of answers.");
    for (const auto& [route, s] : routes_)
      out += fmt::format("sluice_response_bytes_total{{route=\"{}\"}} {}\n", route, s.answer_bytes);
  }
  const auto now = compute.now();
  head(out, "sluice_compute_slots", "gauge", "Requests that may be at work at once.");
  out += fmt::format("sluice_compute_slots {}\n", slot_count);
  head(out, "sluice_compute_slots_in_use", "gauge", "Requests at work.");
  out += fmt::format("sluice_compute_slots_in_use {}\n", slot_count - now.free);
  head(out, "sluice_compute_queue_length", "gauge", "Requests that wait for a slot.");
  out += fmt::format("sluice_compute_queue_length {}\n", now.waiting);
  device_text(out, devices);
  return out;
}

}  // namespace sluice::http
