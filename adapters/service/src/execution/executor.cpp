#include "execution/executor.hpp"

#include <fmt/format.h>

#include "execution/batch.hpp"
#include "execution/model_states.hpp"
#include "http/http_error.hpp"
#include "rowsum_stream/spool.hpp"
#include "sluice/parallel.hpp"

namespace sluice::serving {
namespace {

service_options checked(service_options o) {
  const auto need = [](bool holds, const char* name, std::int64_t value, std::string_view range) {
    if (!holds)
      throw error(error_code::invalid_argument, fmt::format("[service] {} is {}: it must be {}", name, value, range));
  };
  need(o.limits.body_bytes >= 1, "limits.body_bytes", o.limits.body_bytes, "at least 1");
  need(o.limits.all_bodies_bytes >= 1, "limits.all_bodies_bytes", o.limits.all_bodies_bytes, "at least 1");
  need(o.limits.elements >= 1, "limits.elements", o.limits.elements, "at least 1");
  need(o.limits.result_bytes >= 1, "limits.result_bytes", o.limits.result_bytes, "at least 1");
  need(o.limits.all_answers_bytes / 2 >= o.limits.result_bytes, "limits.all_answers_bytes", o.limits.all_answers_bytes,
       fmt::format("at least twice limits.result_bytes, which is {}", o.limits.result_bytes));
  need(o.limits.pixels >= 1, "limits.pixels", o.limits.pixels, "at least 1");
  need(o.limits.rank >= 0 && o.limits.rank <= max_rank, "limits.rank", o.limits.rank, fmt::format("0 to {}", max_rank));
  need(o.compute_workers >= 0, "compute_workers", o.compute_workers, "at least 0");
  need(o.queue_length >= 0, "queue_length", o.queue_length, "at least 0");
  need(o.inline_bytes >= -1, "inline_bytes", o.inline_bytes, "at least -1");
  need(o.compute_nice >= 0 && o.compute_nice <= 19, "compute_nice", o.compute_nice, "0 to 19");
  need(o.stream.uploads >= 0, "stream.uploads", o.stream.uploads, "at least 0");
  need(o.stream.body_bytes >= -1, "stream.body_bytes", o.stream.body_bytes, "at least -1");
  need(o.stream.decoded_bytes >= 0, "stream.decoded_bytes", o.stream.decoded_bytes, "at least 0");
  need(o.stream.decoded_ratio >= 0, "stream.decoded_ratio", o.stream.decoded_ratio, "at least 0");
  need(o.stream.quota_bytes >= 1, "stream.quota_bytes", o.stream.quota_bytes, "at least 1");
  need(o.stream.spool_memory >= 0, "stream.spool_memory", o.stream.spool_memory, "at least 0");
  if (!o.stream.spool_directory.empty()) static_cast<void>(spool::make_file(o.stream.spool_directory));
  if (o.compute_workers == 0) o.compute_workers = parallel_size();
  return o;
}

}  // namespace

executor::executor(service_options o, std::unique_ptr<scheduler> runs)
    : options(checked(std::move(o))),
      compute(options.compute_workers, options.queue_length, options.compute_nice),
      admission_(compute, options.limits.all_bodies_bytes),
      scheduler_(std::move(runs)) {
  scheduler_->on_batch = [to = metrics](const endpoint& row, const device& where, std::int64_t rows) {
    to->batch(row, where, rows);
  };
  if (options.compute_nice > 0) parallel_nice(options.compute_nice);
}

bool executor::is_crowded() const { return options.compute_workers >= parallel_size() && compute.now().free == 0; }

void executor::check_open() const {
  if (closed) throw shutting_down();
}

// Less than half a millisecond or so: a worker would take a fifth of that to wake up. The cost of an application's endpoint
// without an estimate, or of one that prepares inputs, is not known. Of work that was measured the whole call is: joining
// others would cost it more.
bool executor::is_small(const call& c) const {
  constexpr double flops = 5e6;
  constexpr double seconds = 1e-4;
  const auto most = options.inline_bytes;
  if (!c.cost) return false;
  for (int i = 0; i < c.cost->measured_count; ++i)
    if (c.cost->measured[static_cast<std::size_t>(i)].seconds > seconds) return false;
  return c.cost->flops <= flops && c.cost->result_bytes <= most && c.cost->bytes <= 8.0 * static_cast<double>(most);
}

void executor::check_admitted(const call& c, compute_queue::outcome end) const {
  c.check_turn(end);
  if (end == compute_queue::outcome::full) throw busy(compute);
}

response executor::run(call& c, const std::function<response()>& work) {
  response out;
  const auto timed = [&] {
    out = work();
    c.keep_encoded(out);
    c.ends(stage::output);
  };
  if (is_small(c)) {
    timed();
    return out;
  }
  const compute_queue::terms terms{.deadline = c.context.deadline,
                                   .priority = c.priority(),
                                   .gone = c.request.gone,
                                   .bypass_queue_limit = c.request.ticket.queue(),
                                   .kind = kind_on_cpu(c.row),
                                   .begin_wait = c.request.begin_wait};
  struct to_leave {
    scheduler& from;
    call& own;
    ~to_leave() { from.left(own); }
  } const leaving{*scheduler_, c};
  check_admitted(c, compute.run(terms, [&](compute_queue::permit& own) {
    c.permit = &own;
    c.ends(stage::queue);
    scheduler_->comes(c);
    const parallel_alone alone(is_crowded());
    timed();
  }));
  return out;
}

call_result executor::submit(call& c) {
  if (c.permit != nullptr) {  // a long body's priority is known only now
    check_admitted(c, c.permit->requeue(c.priority()));
    c.ends(stage::queue);
  }
  c.check_deadline();
  c.prepare();
  c.check_deadline();
  c.answer = c.request.answer = std::make_shared<answer_share>(answers);
  c.reserve();
  auto done = scheduler_->submit(c);
  c.finish(done.results);
  c.reserve(done.results);
  c.ends(stage::infer);
  c.check_deadline();
  metrics->placed(c.row, done.where, seconds_of(c.request.time_of(stage::infer)));
  return done;
}

body_buffer executor::read_body(const request& r, request_context& record, const host_allocator& memory,
                                std::size_t aligned) {
  stage_clock clock(record);
  if (r.read_body && (r.content_length > options.inline_bytes || r.content_length < 0 || r.compressed) &&
      r.content_length <= options.limits.body_bytes)  // beyond, the body is refused by its length
    record.ticket = admission_.admit(r.compressed ? -1 : r.content_length);
  auto body = body_buffer::read(r, options.limits.body_bytes, memory, aligned,
                                [&](std::int64_t bytes) { record.ticket.received(bytes); });
  clock.ends(stage::read);
  record.body_bytes = record.text_bytes = static_cast<std::int64_t>(body.size());
  return body;
}

void executor::set_repository(std::shared_ptr<model_repository> repository) {
  const std::lock_guard lock(mutex_);
  repository_.swap(repository);
}

std::shared_ptr<model_repository> executor::repository() const {
  const std::lock_guard lock(mutex_);
  return repository_;
}

void executor::forget_removed() {
  metrics->keep(endpoints);
  statistics.keep(endpoints);
}

health executor::look() {
  auto now = health::now(options.ready);
  now.computes = now.computes && !draining;
  if (const auto models = repository()) now.models = missing_models(*models);
  for (const auto& d : now.devices) {
    if (!d.lost || !options.on_device_lost) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!reported_.insert(d.where.str()).second) continue;
    }
    try {
      options.on_device_lost(d);
    } catch (...) {  // the application's own: this request is answered all the same
    }
  }
  return now;
}

}  // namespace sluice::serving
