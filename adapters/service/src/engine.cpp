#include "engine.hpp"

#include <fmt/format.h>

#include "sluice/parallel.hpp"
#include "status.hpp"

namespace sluice::http {
namespace {

service_options checked(service_options o) {
  const auto need = [](bool holds, const char* name, std::int64_t value, std::string_view range) {
    if (!holds)
      throw error(error_code::invalid_argument, fmt::format("[service] {} is {}: it must be {}", name, value, range));
  };
  need(o.limits.body_bytes >= 1, "limits.body_bytes", o.limits.body_bytes, "at least 1");
  need(o.limits.elements >= 1, "limits.elements", o.limits.elements, "at least 1");
  need(o.limits.rank >= 0 && o.limits.rank <= max_rank, "limits.rank", o.limits.rank, fmt::format("0 to {}", max_rank));
  need(o.compute_slots >= 0, "compute_slots", o.compute_slots, "at least 0");
  need(o.queue_length >= 0, "queue_length", o.queue_length, "at least 0");
  need(o.compute_nice >= 0 && o.compute_nice <= 19, "compute_nice", o.compute_nice, "0 to 19");
  if (o.compute_slots == 0) o.compute_slots = parallel_size();
  return o;
}

}  // namespace

engine::engine(service_options o)
    : options(checked(std::move(o))), compute(options.compute_slots, options.queue_length, options.compute_nice) {
  if (options.compute_nice > 0) parallel_nice(options.compute_nice);
}

response engine::call(const endpoint& row, const std::function<std::vector<tensor>()>& decode, const encoder& encode) {
  response out;
  const auto end = compute.run({}, [&] { out = compute_now(row, decode, encode); });
  if (end != slots::outcome::done)
    throw refused{
        429,
        "busy",
        fmt::format("[http] {} requests are at work and {} wait: try again", options.compute_slots, options.queue_length),
        {{"Retry-After", std::to_string(compute.seconds_to_wait())}}};
  return out;
}

response engine::compute_now(const endpoint& row, const std::function<std::vector<tensor>()>& decode,
                             const encoder& encode) {
  const auto inputs = decode();
  check_inputs(row, inputs);
  auto results = row.run(inputs, call_context{options.device});
  if (results.size() != row.outputs.size())
    throw error(error_code::internal,
                fmt::format("[{}] gave {} results and is to give {}", row.name, results.size(), row.outputs.size()));
  const std::string where = results[0].device().str();
  for (auto& t : results) t = t.to(device::cpu);
  return encode(results, where);
}

health engine::look() {
  auto now = health::now(options.ready);
  for (const auto& d : now.devices) {
    if (!d.lost || !options.on_device_lost) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!reported_.insert(d.where.str()).second) continue;
    }
    try {
      options.on_device_lost(d);
    } catch (...) {  // the application's own; the request goes on
    }
  }
  return now;
}

}  // namespace sluice::http
