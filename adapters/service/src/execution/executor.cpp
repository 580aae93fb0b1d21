#include "execution/executor.hpp"

#include <optional>

#include <fmt/format.h>

#include "sluice/parallel.hpp"
#include "rowsum_stream/spool.hpp"
#include "http/http_error.hpp"

namespace sluice::serving {
namespace {

service_options checked(service_options o) {
  const auto need = [](bool holds, const char* name, std::int64_t value, std::string_view range) {
    if (!holds)
      throw error(error_code::invalid_argument, fmt::format("[service] {} is {}: it must be {}", name, value, range));
  };
  need(o.limits.body_bytes >= 1, "limits.body_bytes", o.limits.body_bytes, "at least 1");
  need(o.limits.elements >= 1, "limits.elements", o.limits.elements, "at least 1");
  need(o.limits.rank >= 0 && o.limits.rank <= max_rank, "limits.rank", o.limits.rank, fmt::format("0 to {}", max_rank));
  need(o.compute_workers >= 0, "compute_workers", o.compute_workers, "at least 0");
  need(o.queue_length >= 0, "queue_length", o.queue_length, "at least 0");
  need(o.inline_bytes >= -1, "inline_bytes", o.inline_bytes, "at least -1");
  need(o.compute_nice >= 0 && o.compute_nice <= 19, "compute_nice", o.compute_nice, "0 to 19");
  need(o.stream.uploads >= 0, "stream.uploads", o.stream.uploads, "at least 0");
  need(o.stream.body_bytes >= -1, "stream.body_bytes", o.stream.body_bytes, "at least -1");
  need(o.stream.quota_bytes >= 1, "stream.quota_bytes", o.stream.quota_bytes, "at least 1");
  need(o.stream.spool_memory >= 0, "stream.spool_memory", o.stream.spool_memory, "at least 0");
  if (!o.stream.spool_directory.empty()) static_cast<void>(spool::make_file(o.stream.spool_directory));
  need(o.jobs.running >= 1, "jobs.running", o.jobs.running, "at least 1");
  need(o.jobs.queued >= 0, "jobs.queued", o.jobs.queued, "at least 0");
  need(o.jobs.kept >= 1, "jobs.kept", o.jobs.kept, "at least 1");
  need(o.jobs.event_streams >= 0, "jobs.event_streams", o.jobs.event_streams, "at least 0");
  if (o.compute_workers == 0) o.compute_workers = parallel_size();
  return o;
}

// Writes each stage's time into the record as it ends.
class stage_clock {
 public:
  explicit stage_clock(request_context& record) : record_(record) {}
  void ends(stage s) {
    const auto now = std::chrono::steady_clock::now();
    record_.stages[static_cast<std::size_t>(s)] += now - last_;
    last_ = now;
  }

 private:
  request_context& record_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

[[noreturn]] void fail_late(const endpoint& row, const request_context& record, const call_context& context) {
  using microseconds = std::chrono::duration<double, std::micro>;
  throw http_error{
      504, "deadline_exceeded",
      fmt::format("[{}] was to be done {:.0f} us after the request came, and would begin after {:.0f} us: it is not",
                  row.name, microseconds(context.deadline - record.begin).count(), microseconds(record.taken()).count())};
}

void check_deadline(const endpoint& row, const request_context& record, const call_context& context) {
  if (std::chrono::steady_clock::now() >= context.deadline) fail_late(row, record, context);
}

}  // namespace

executor::executor(service_options o)
    : options(checked(std::move(o))), compute(options.compute_workers, options.queue_length, options.compute_nice) {
  if (options.compute_nice > 0) parallel_nice(options.compute_nice);
}

bool executor::is_crowded() const { return options.compute_workers >= parallel_size() && compute.now().free == 0; }

void executor::check_open() const {
  if (draining)
    throw http_error{
        503, name_of(error_code::unavailable), "[http] this server is about to end: try again", {{"Retry-After", "1"}}};
}

// One call on its way through. Decoding goes to a slot with the rest, unless the body is small.
class executor::passage {
 public:
  passage(executor& e, const endpoint& row, request_context& record) : executor_(e), row_(row), record_(record), clock_(record) {
    context_.where = e.options.device.where;
    context_.deadline = record.deadline;
    context_.request_id = record.request_id;
    context_.traceparent = record.traceparent;
  }

  response go(const decoder& decode, const encoder& encode) {
    if (record_.text_bytes > executor_.options.inline_bytes) {
      // What a long text says of its priority is known once it is read: others go before it now, if they are to.
      bool later = false;
      in_slot([&] {
        take_in(decode);
        later = context_.priority > 1;
        if (!later) compute(encode);
      });
      if (later) in_slot([&] { compute(encode); });
    } else {
      take_in(decode);
      is_small() ? compute(encode) : in_slot([&] { compute(encode); });
    }
    return std::move(out_);
  }

 private:
  void take_in(const decoder& decode) {
    check_deadline(row_, record_, context_);
    inputs_ = decode(context_);
    context_.deadline = std::min(context_.deadline, record_.deadline);
    check_inputs(row_, inputs_);
    if (row_.estimate) cost_ = row_.estimate(inputs_);
    clock_.ends(stage::input);
  }

  // A call that takes less than the half of a millisecond or so: a slot's thread would take a fifth of that to wake. What an
  // application's endpoint costs that has no estimate, nobody knows.
  bool is_small() const {
    constexpr double flops = 5e6;
    const auto most = executor_.options.inline_bytes;
    return cost_ && cost_->flops <= flops && cost_->result_bytes <= most && cost_->bytes <= 8.0 * static_cast<double>(most);
  }

  void in_slot(const std::function<void()>& work) {
    const compute_queue::terms terms{context_.deadline, static_cast<int>(std::min<std::uint64_t>(context_.priority, 1'000'000)),
                             record_.gone};
    const auto end = executor_.compute.run(terms, [&] {
      clock_.ends(stage::queue);
      const parallel_alone alone(executor_.is_crowded());
      work();
    });
    if (end == compute_queue::outcome::expired) fail_late(row_, record_, context_);
    if (end == compute_queue::outcome::gone) throw http_error{503, "client_gone", "[http] the client has gone"};
    if (end == compute_queue::outcome::full)
      throw http_error{429,
                    "busy",
                    fmt::format("[http] {} requests are at work and {} wait: try again", executor_.options.compute_workers,
                                executor_.options.queue_length),
                    {{"Retry-After", std::to_string(executor_.compute.seconds_to_wait())}}};
  }

  void compute(const encoder& encode) {
    check_deadline(row_, record_, context_);
    const placed_call where = decide();
    auto results = run(where);
    clock_.ends(stage::infer);
    check_deadline(row_, record_, context_);
    executor_.metrics->placed(row_.name, where, seconds_of(record_.stages[static_cast<std::size_t>(stage::infer)]));
    out_ = encode(results, where);
    where.tell(out_);
    clock_.ends(stage::output);
  }

  // The results, on the CPU; where the endpoint had the choice, `where` learns its device.
  std::vector<tensor> run(const placed_call& where) {
    std::optional<call_account> account;
    if (where.decided) account.emplace(*cost_, *where.decided);
    auto results = row_.run(inputs_, context_);
    if (results.size() != row_.outputs.size())
      throw error(error_code::internal,
                  fmt::format("[{}] gave {} results and is to give {}", row_.name, results.size(), row_.outputs.size()));
    where.device = results[0].device().str();
    for (auto& t : results) t = t.to(device::cpu);  // waits for the device: still computing
    if (account) account->succeeded();
    return results;
  }

  // Of an endpoint without an estimate nothing is known: a device that is named or preferred has it, or it chooses itself.
  placed_call decide() {
    if (cost_) {
      cost_->result_to = device::cpu;
      if (context_.deadline != std::chrono::steady_clock::time_point::max())
        cost_->deadline = seconds_of(context_.deadline - std::chrono::steady_clock::now());
      placed_call where(place(*cost_, executor_.options.device));
      context_.where = where.decided->where;
      return where;
    }
    if (executor_.options.device.is_preferred()) context_.where = place(work{}, executor_.options.device).where;
    return {};
  }

  executor& executor_;
  const endpoint& row_;
  request_context& record_;
  stage_clock clock_;
  call_context context_{};
  std::vector<tensor> inputs_;
  std::optional<work> cost_;
  response out_;
};

response executor::call(const endpoint& row, request_context& record, const decoder& decode, const encoder& encode) {
  return passage(*this, row, record).go(decode, encode);
}

body_buffer executor::read_body(const request& r, request_context& record, const host_allocator& room, std::size_t aligned) const {
  stage_clock clock(record);
  auto body = body_buffer::read(r, options.limits.body_bytes, room, aligned);
  clock.ends(stage::read);
  record.body_bytes = record.text_bytes = static_cast<std::int64_t>(body.size());
  return body;
}

health executor::look() {
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

}  // namespace sluice::serving
