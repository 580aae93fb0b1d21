#include "execution/call.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "execution/batch.hpp"
#include "execution/endpoint_registry.hpp"
#include "execution/result_limits.hpp"
#include "http/http_error.hpp"

namespace sluice::serving {
namespace {

using clock = std::chrono::steady_clock;

// An estimate is of the default precision.
void ask_precision(work& cost, std::string_view name) {
  if (const auto* p = cost.op != nullptr ? find_precision(*cost.op, name) : nullptr) cost.precision = p;
}

}  // namespace

call::call(const endpoint& called, request_context& record, const service_options& options)
    : row(called), request(record), limits(options.limits), wanted(options.device), clock_(record) {
  context.where = options.device.where;
  context.deadline = record.deadline;
  context.request_id = record.request_id;
  context.traceparent = record.traceparent;
  check_deadline();
}

void call::take(std::vector<tensor> decoded_inputs) {
  inputs = std::move(decoded_inputs);
  context.deadline = std::min(context.deadline, request.deadline);
  check_inputs(row, inputs);
  if (!row.prepare) plan();
  decoded = true;
  ends(stage::input);
}

void call::prepare() {
  if (!row.prepare) return;
  inputs = row.prepare(std::move(inputs), context);
  check_prepared(row, inputs, limits);
  plan();
  ends(stage::input);
}

void call::plan() {
  if (row.results) {
    expected = row.results(inputs);
    check_results(row, expected, limits);
  }
  if (row.estimate) {
    cost = row.estimate(inputs);
    ask_precision(*cost, context.precision);
    check_estimate(row, *cost, limits);
  }
}

void call::finish(std::vector<tensor>& results) {
  if (!row.finish) return;
  // Until then both are in memory.
  answer->resize(std::max(answer->bytes(), bytes_of(specs_of(results))));
  results = row.finish(std::move(results), context);
  if (!expects(results)) check_results(row, specs_of(results), limits);
  for (auto& t : results) t = t.to(device::cpu);
}

void call::reserve() {
  const auto of_run = row.finish && cost ? cost->result_bytes : 0;
  if (row.results)
    reserve(std::max(bytes_of(expected), of_run), expected);
  else if (cost)
    reserve(cost->result_bytes, {});
}

bool call::expects(std::span<const tensor> results) const {
  return !expected.empty() &&
         std::equal(results.begin(), results.end(), expected.begin(), expected.end(),
                    [](const tensor& t, const operand_spec& s) { return t.dtype() == s.dtype && t.shape() == s.shape; });
}

void call::reserve(std::span<const tensor> results) {
  if (expects(results)) return;
  const auto specs = specs_of(results);
  reserve(bytes_of(specs), specs);
}

void call::reserve(std::int64_t result_bytes, std::span<const operand_spec> results) {
  encoded_ = encoded_bytes && !results.empty() ? encoded_bytes(results) : encoded_size{.results = result_bytes};
  answer->resize(result_bytes + encoded_.text);
}

void call::keep_encoded(const response& out) {
  if (!answer) return;
  const bool exact = encoded_.exact || !out.header("Content-Encoding").empty();
  const auto held = exact ? static_cast<std::int64_t>(out.size()) : encoded_.text + encoded_.results;
  answer->resize(std::min(held, answer->bytes()));
}

void call::check_deadline() const {
  if (clock::now() >= context.deadline) fail_late();
}

void call::fail_late() const {
  using microseconds = std::chrono::duration<double, std::micro>;
  throw http_error{
      504, "deadline_exceeded",
      fmt::format("[{}] was to be done {:.0f} us after the request came, and {:.0f} us have passed: it is not computed",
                  row.name, microseconds(context.deadline - request.begin).count(), microseconds(request.taken()).count())};
}

void call::check_turn(compute_queue::outcome end) const {
  using enum compute_queue::outcome;
  if (end == expired) fail_late();
  if (end == gone) throw http_error{503, "client_gone", "[http] the client has disconnected"};
}

int call::priority() const { return static_cast<int>(std::min<std::uint64_t>(context.priority, 1'000'000)); }

placed_call choose_device(call& c) {
  if (!c.cost) {
    if (c.wanted.is_preferred()) c.context.where = place(work{}, c.wanted).where;
    return {};
  }
  c.cost->result_to = device::cpu;
  if (c.context.deadline != clock::time_point::max()) c.cost->deadline = seconds_of(c.context.deadline - clock::now());
  placed_call where(place(*c.cost, c.wanted));
  c.context.where = where.decided->where;
  return where;
}

call_result compute(call& c, placed_call chosen) {
  call_result done{.results = {}, .where = std::move(chosen)};
  auto& where = done.where;
  where.precision = c.context.precision;
  std::optional<call_account> account;
  if (where.decided) account.emplace(*c.cost, *where.decided);
  done.results = run_alone(c);
  if (c.row.finish || !c.expects(done.results)) check_run_results(c.row, specs_of(done.results), c.limits);
  where.device = done.results[0].device().str();
  for (auto& t : done.results) t = t.to(device::cpu);  // waits for the device, so it is part of computing
  if (account) account->succeeded();
  return done;
}

}  // namespace sluice::serving
