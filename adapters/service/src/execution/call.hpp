// One call of an endpoint. A protocol decodes its inputs, submits it, and encodes the results, top to bottom:
//
//     call c(row, record, executor.options);
//     return executor.run(c, [&] {              // on a worker, unless the call is small
//       c.take(decode(body));
//       const call_result done = executor.submit(c);
//       return encode(done);
//     });
//
// `c.encoded_bytes` is set before it is submitted, where answers take memory beside the results.
#pragma once

#include <optional>
#include <vector>

#include "codec/encoded_size.hpp"
#include "execution/answer_budget.hpp"
#include "execution/compute_queue.hpp"
#include "execution/placed_call.hpp"
#include "execution/request_context.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

struct call {
  // Throws http_error (504) when the deadline has passed.
  call(const endpoint& called, request_context& record, const service_options& options);

  const endpoint& row;
  request_context& request;
  const service_limits& limits;
  const device_request wanted;
  call_context context{};  // for the endpoint; decoding sets the precision, and may set the deadline and the priority
  std::vector<tensor> inputs{};
  std::optional<work> cost{};               // of the inputs, where the endpoint has an estimate
  compute_queue::permit* permit = nullptr;  // of the worker that this runs on; null on a connection's thread
  bool decoded = false;
  bool coming = false;                   // it is on a worker, and the scheduler does not have it yet: the scheduler's
  std::vector<operand_spec> expected{};  // what is answered, where the endpoint tells it before it runs
  // What the answer to such results holds. Throws http_error (413) for more lists than it may have.
  std::function<encoded_size(std::span<const operand_spec>)> encoded_bytes{};
  std::shared_ptr<answer_share> answer{};  // memory of the results and of the answer

  // The inputs, once they are decoded. Throws error: invalid_argument unless `row` takes them, limit_exceeded when the
  // results would be too large. Where the endpoint prepares inputs, results are not known before prepare().
  void take(std::vector<tensor> decoded_inputs);
  // Has the endpoint prepare the inputs, if it does. Throws what that throws, and error (limit_exceeded) as take().
  void prepare();
  // Has the endpoint make of the results of its run, which are on the CPU, what is answered.
  void finish(std::vector<tensor>& results);
  // Whether results are what was expected, and checked.
  [[nodiscard]] bool expects(std::span<const tensor> results) const;
  // Shares of the budget: before the call, after it, and of what was encoded. Throw http_error (413, 503).
  void reserve();
  void reserve(std::span<const tensor> results);
  void keep_encoded(const response& out);
  void ends(stage s) { clock_.ends(s); }
  void check_deadline() const;  // throws http_error (504)
  [[noreturn]] void fail_late() const;
  // Throws http_error for a wait that ended early: 504 when the deadline has passed, 503 when the client disconnected.
  void check_turn(compute_queue::outcome end) const;
  [[nodiscard]] int priority() const;

 private:
  void plan();  // what the inputs cost, and what comes of them
  void reserve(std::int64_t result_bytes, std::span<const operand_spec> results);

  encoded_size encoded_{};
  stage_clock clock_;
};

struct call_result {
  std::vector<tensor> results;  // on the CPU, one for each output of the endpoint
  placed_call where;
};

// Asks placement. An endpoint without an estimate chooses its device itself, unless one is named or preferred.
placed_call choose_device(call& c);
// Runs the endpoint on the device that was chosen, and waits for the results; a call of more rows than a batch may have in
// several runs.
call_result compute(call& c, placed_call chosen);
inline call_result compute(call& c) { return compute(c, choose_device(c)); }

}  // namespace sluice::serving
