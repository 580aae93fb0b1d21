// One call of an endpoint. A protocol decodes its inputs, submits it, and encodes the results, top to bottom:
//
//     call c(row, record, executor.options);
//     return executor.run(c, [&] {              // on a worker, unless the call is small
//       c.take(decode(body));
//       const call_result done = executor.submit(c);
//       return encode(done);
//     });
#pragma once

#include <optional>
#include <vector>

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
  const device_request wanted;
  call_context context{};  // for the endpoint; decoding may set the deadline and the priority
  std::vector<tensor> inputs{};
  std::optional<work> cost{};               // of the inputs, where the endpoint has an estimate
  compute_queue::permit* permit = nullptr;  // of the worker that this runs on; null on a connection's thread
  bool decoded = false;

  // The inputs, once they are decoded. Throws error (invalid_argument) unless `row` takes them.
  void take(std::vector<tensor> decoded_inputs);
  void ends(stage s) { clock_.ends(s); }
  void check_deadline() const;  // throws http_error (504)
  [[noreturn]] void fail_late() const;
  [[nodiscard]] int priority() const;

 private:
  stage_clock clock_;
};

struct call_result {
  std::vector<tensor> results;  // on the CPU, one for each output of the endpoint
  placed_call where;
};

// Chooses the device, runs the endpoint there, and waits for the results.
call_result compute(call& c);

}  // namespace sluice::serving
