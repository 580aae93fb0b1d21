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
  if (o.compute_slots == 0) o.compute_slots = parallel_size();
  return o;
}

// Writes each stage's time into the record as it ends.
class stage_clock {
 public:
  explicit stage_clock(call_record& record) : record_(record) {}
  void ends(stage s) {
    const auto now = std::chrono::steady_clock::now();
    record_.stages[static_cast<std::size_t>(s)] = now - last_;
    last_ = now;
  }

 private:
  call_record& record_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void check_deadline(const endpoint& row, const call_record& record, const call_context& context) {
  using microseconds = std::chrono::duration<double, std::micro>;
  if (std::chrono::steady_clock::now() < context.deadline) return;
  throw refused{
      504, "deadline_exceeded",
      fmt::format("[{}] was to be done {:.0f} us after the request came, and would begin after {:.0f} us: it is not",
                  row.name, microseconds(context.deadline - record.begin).count(), microseconds(record.taken()).count())};
}

}  // namespace

engine::engine(service_options o) : options(checked(std::move(o))), compute(options.compute_slots, options.queue_length) {}

void engine::check_open() const {
  if (draining)
    throw refused{
        503, name_of(error_code::unavailable), "[http] this server is about to end: try again", {{"Retry-After", "1"}}};
}

response engine::call(const endpoint& row, call_record& record, const decoder& decode, const encoder& encode) {
  stage_clock clock(record);
  const slots::held slot(compute);
  if (!slot)
    throw refused{
        429,
        "busy",
        fmt::format("[http] {} requests are at work and {} wait: try again", options.compute_slots, options.queue_length),
        {{"Retry-After", "1"}}};
  clock.ends(stage::queue);
  call_context context{options.device};
  const auto inputs = decode(context);
  check_inputs(row, inputs);
  clock.ends(stage::input);
  check_deadline(row, record, context);
  auto results = row.run(inputs, context);
  if (results.size() != row.outputs.size())
    throw error(error_code::internal,
                fmt::format("[{}] gave {} results and is to give {}", row.name, results.size(), row.outputs.size()));
  const std::string where = results[0].device().str();
  for (auto& t : results) t = t.to(device::cpu);  // waits for the device: still computing
  clock.ends(stage::infer);
  auto out = encode(results, where);
  clock.ends(stage::output);
  return out;
}

health engine::look() {
  auto now = health::now(options.ready);
  now.ready = now.ready && !draining;
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
