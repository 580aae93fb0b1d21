// What all protocols share: the catalogue, the slots, and the one place where calls are admitted, computed and measured.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "execution/endpoint_registry.hpp"
#include "observability/health.hpp"
#include "codec/json_decoder.hpp"
#include "observability/metrics.hpp"
#include "execution/placed_call.hpp"
#include "execution/compute_queue.hpp"
#include "observability/statistics.hpp"

namespace sluice::serving {

class executor {
 public:
  explicit executor(service_options o);  // throws invalid_argument for a limit, slot or queue below its minimum

  const service_options options;
  endpoint_registry endpoints;
  compute_queue compute;
  decoder_pool decoders;
  // Answers that are still being sent count there.
  const std::shared_ptr<serving::metrics> metrics = std::make_shared<serving::metrics>();
  serving::statistics statistics;
  std::vector<std::function<void(std::string&)>> meters;  // of protocols: more lines for the metrics

  std::atomic<bool> draining{false};  // the server is about to end

  // Throws http_error (503) while draining: to be asked before a body is read.
  void check_open() const;

  // Gives the inputs of a call, and may set its deadline and priority.
  using decoder = std::function<std::vector<tensor>(call_context&)>;
  // Turns results, on the CPU, into an answer, which tells where they were computed.
  using encoder = std::function<response(const std::vector<tensor>& results, const placed_call& where)>;

  // Whether every core has a slot at work: a call has one then, and its loops do not wait for those of others.
  [[nodiscard]] bool is_crowded() const;

  // A body, in memory before a slot is asked for: clients may be slow. See body_buffer::read.
  body_buffer read_body(const request& r, request_context& record, const host_allocator& room, std::size_t aligned = 0) const;

  // One call of `row`. What takes long is done in a slot, from decoding to encoding, while the caller waits; what takes no
  // longer than a slot's thread takes to wake is done by the caller. Throws http_error: 429 when slots and queue are full, 504
  // when the deadline has passed.
  response call(const endpoint& row, request_context& record, const decoder& decode, const encoder& encode);

  // The devices now, after a word to the application about those that were lost.
  health look();

 private:
  class passage;

  std::mutex mutex_;                // of the next
  std::set<std::string> reported_;  // devices that on_device_lost has been told of
};

}  // namespace sluice::serving
