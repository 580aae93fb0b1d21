#include "observability/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace sluice::serving {
namespace {

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void device_text(std::string& out, const health& now) {
  head(out, "sluice_ready", "gauge", "1 while /health/ready answers 200.");
  out += fmt::format("sluice_ready {}\n", now.ready() ? 1 : 0);
  head(out, "sluice_degraded", "gauge", "1 while a device is not healthy.");
  out += fmt::format("sluice_degraded {}\n", now.degraded ? 1 : 0);
  head(out, "sluice_device_healthy", "gauge",
       "1 while the device works, 0 after a sticky error or when it failed to initialise.");
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

std::uint64_t& at(std::map<std::string, std::uint64_t, std::less<>>& counters, std::string_view label) {
  const auto it = counters.find(label);
  return it != counters.end() ? it->second : counters.emplace(label, 0).first->second;
}

}  // namespace

template <const auto& bounds>
void histogram<bounds>::add(double value) {
  ++counts_[static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin())];
  sum_ += value;
}

template <const auto& bounds>
void histogram<bounds>::print(std::string& out, std::string_view name, std::string_view labels) const {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i)
    out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, bounds[i], below += counts_[i]);
  out += fmt::format("{0}_bucket{{{1},le=\"+Inf\"}} {2}\n{0}_sum{{{1}}} {3}\n{0}_count{{{1}}} {2}\n", name, labels,
                     below + counts_.back(), sum_);
}

std::string series_of::labels() const {
  return endpoint.empty() ? fmt::format("route=\"{}\"", route) : fmt::format("route=\"{}\",version=\"{}\"", route, version);
}

void metrics::record(const request_context& call, int status, std::size_t answer_bytes) {
  const std::lock_guard lock(mutex_);
  auto& s = routes_[series_of(call)];
  ++s.by_status[status];
  s.whole.add(seconds_of(call.taken()));
  s.request_bytes += static_cast<std::uint64_t>(call.body_bytes);
  s.answer_bytes += answer_bytes;
  if (!call.rejection.empty()) ++at(rejections_, call.rejection);
  if (status != 200 || (call.model.empty() && !call.streamed)) return;
  s.computes = true;
  for (const auto which : {stage::read, stage::queue, stage::input, stage::infer, stage::output})
    s.stages[static_cast<std::size_t>(which)].add(seconds_of(call.stages[static_cast<std::size_t>(which)]));
}

void metrics::sent(const series_of& call, double seconds) {
  const std::lock_guard lock(mutex_);
  if (const auto it = routes_.find(call); it != routes_.end())
    it->second.stages[static_cast<std::size_t>(stage::write)].add(seconds);
}

void metrics::placed(const endpoint& row, const placed_call& where, double seconds) {
  const auto at_device = fmt::format("op=\"{}\",version=\"{}\",device=\"{}\"", row.name, row.version, where.device);
  const double predicted = where.predicted();
  const std::lock_guard lock(mutex_);
  auto& all = placements_[{row.name, row.version}];
  ++at(all.decisions, fmt::format("{},why=\"{}\"", at_device, where.why()));
  if (where.gathered > 1) ++at(all.gathered, at_device);
  if (!std::isfinite(predicted)) return;
  auto& f = all.predictions[at_device];
  ++f.count;
  f.predicted += predicted;
  f.observed += seconds;
}

void metrics::keep(const endpoint_registry& served) {
  const std::lock_guard lock(mutex_);
  std::erase_if(routes_,
                [&](const auto& s) { return !s.first.endpoint.empty() && !served.find(s.first.endpoint, s.first.version); });
  std::erase_if(placements_, [&](const auto& p) { return !served.find(p.first.first, p.first.second); });
}

void metrics::batch(const endpoint& row, const device& where, std::int64_t rows) {
  const auto labels = fmt::format("op=\"{}\",version=\"{}\",device=\"{}\"", row.name, row.version, where.str());
  const std::lock_guard lock(mutex_);
  placements_[{row.name, row.version}].batches[labels].add(static_cast<double>(rows));
}

void metrics::request_text(std::string& out) const {
  const std::lock_guard lock(mutex_);
  head(out, "sluice_requests_total", "counter", "Requests answered, by route and HTTP status.");
  for (const auto& [route, s] : routes_)
    for (const auto& [status, n] : s.by_status)
      out += fmt::format("sluice_requests_total{{{},code=\"{}\"}} {}\n", route.labels(), status, n);
  head(out, "sluice_request_seconds", "histogram", "From the request's headers to its answer being ready to send.");
  for (const auto& [route, s] : routes_) s.whole.print(out, "sluice_request_seconds", route.labels());
  head(out, "sluice_stage_seconds", "histogram",
       "Of calls answered with 200: reading the body, waiting for a worker, decoding, computing, encoding, sending.");
  for (const auto& [route, s] : routes_) {
    if (!s.computes) continue;
    for (std::size_t i = 0; i < stage_count; ++i)
      s.stages[i].print(out, "sluice_stage_seconds", fmt::format("{},stage=\"{}\"", route.labels(), stage_names[i]));
  }
  head(out, "sluice_request_bytes_total", "counter", "Bytes of the bodies of requests to endpoints, decompressed.");
  for (const auto& [route, s] : routes_)
    out += fmt::format("sluice_request_bytes_total{{{}}} {}\n", route.labels(), s.request_bytes);
  head(out, "sluice_response_bytes_total", "counter", "Bytes of the bodies of answers.");
  for (const auto& [route, s] : routes_)
    out += fmt::format("sluice_response_bytes_total{{{}}} {}\n", route.labels(), s.answer_bytes);
  head(out, "sluice_rejections_total", "counter", "Requests that were refused, by reason.");
  for (const auto& [reason, n] : rejections_) out += fmt::format("sluice_rejections_total{{reason=\"{}\"}} {}\n", reason, n);
  head(out, "sluice_placement_decisions_total", "counter", "Where calls were computed, and what decided.");
  for (const auto& [row, all] : placements_)
    for (const auto& [labels, n] : all.decisions)
      out += fmt::format("sluice_placement_decisions_total{{{}}} {}\n", labels, n);
  head(out, "sluice_gathered_calls_total", "counter", "Calls that were computed as one with others.");
  for (const auto& [row, all] : placements_)
    for (const auto& [labels, n] : all.gathered) out += fmt::format("sluice_gathered_calls_total{{{}}} {}\n", labels, n);
  head(out, "sluice_batch_rows", "histogram",
       "Runs of endpoints that gather calls, by the rows in them: calls, where an endpoint stacks them.");
  for (const auto& [row, all] : placements_)
    for (const auto& [labels, h] : all.batches) h.print(out, "sluice_batch_rows", labels);
  const auto sums = [&](std::string_view name, std::string_view help, auto value) {
    head(out, name, "counter", help);
    for (const auto& [row, all] : placements_)
      for (const auto& [labels, f] : all.predictions) out += fmt::format("{}{{{}}} {}\n", name, labels, value(f));
  };
  sums("sluice_placement_predicted_calls_total", "Calls whose time was predicted.", [](const auto& f) { return f.count; });
  sums("sluice_placement_predicted_seconds_total", "Their predicted time.", [](const auto& f) { return f.predicted; });
  sums("sluice_placement_observed_seconds_total", "Their measured time.", [](const auto& f) { return f.observed; });
}

std::string metrics::text(const compute_queue& compute, int worker_count, const health& devices) const {
  std::string out;
  request_text(out);
  const auto now = compute.now();
  head(out, "sluice_compute_slots", "gauge", "Requests that may be computed at once.");
  out += fmt::format("sluice_compute_slots {}\n", worker_count);
  head(out, "sluice_compute_slots_in_use", "gauge", "Requests being computed.");
  out += fmt::format("sluice_compute_slots_in_use {}\n", worker_count - now.free);
  head(out, "sluice_compute_queue_length", "gauge", "Requests that wait for a worker.");
  out += fmt::format("sluice_compute_queue_length {}\n", now.waiting);
  device_text(out, devices);
  return out;
}

}  // namespace sluice::serving
