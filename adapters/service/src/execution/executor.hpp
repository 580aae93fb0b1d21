// What all protocols share: the catalogue, the compute queue, and the one place where calls are admitted, computed and
// measured.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "codec/body_buffer.hpp"
#include "execution/admission.hpp"
#include "execution/answer_budget.hpp"
#include "execution/compute_queue.hpp"
#include "execution/endpoint_registry.hpp"
#include "execution/gathering_scheduler.hpp"
#include "observability/health.hpp"
#include "observability/metrics.hpp"
#include "observability/statistics.hpp"

namespace sluice::serving {

class executor {
 public:
  // Throws invalid_argument for a limit, worker count or queue length below its minimum.
  explicit executor(service_options o, std::unique_ptr<scheduler> runs = std::make_unique<gathering_scheduler>());

  const service_options options;
  endpoint_registry endpoints;
  compute_queue compute;
  // Answers that are still being sent hold it.
  const std::shared_ptr<serving::metrics> metrics = std::make_shared<serving::metrics>();
  serving::statistics statistics;
  const std::shared_ptr<answer_budget> answers = std::make_shared<answer_budget>(options.limits.all_answers_bytes);

  std::atomic<bool> draining{false};  // the server is shutting down: it is not ready,
  std::atomic<bool> closed{false};    // and computes no more

  // Throws http_error (503) once closed. Called before a body is read.
  void check_open() const;

  // Whether every core has a job that computes: the loops of each then run on its own worker alone.
  [[nodiscard]] bool is_crowded() const;

  // The body, read before a worker is asked for: clients may be slow. Unless it is short, the request is admitted first:
  // throws http_error (429) before a byte is read when it would not be computed. See body_buffer::read.
  body_buffer read_body(const request& r, request_context& record, const host_allocator& memory, std::size_t aligned = 0);

  // Whether a body is decoded sooner than a worker wakes up.
  [[nodiscard]] bool is_short(const request_context& record) const { return record.text_bytes <= options.inline_bytes; }
  // Does `work`, which answers the call, on a worker and waits for it; a call known to be small is done at once by the
  // caller. Throws http_error: 429 when workers and queue are full, 504 when the deadline has passed, 503 when the client
  // disconnected.
  response run(call& c, const std::function<response()>& work);
  // Has the scheduler compute a decoded call. Throws http_error: 504 when the deadline has passed, 413 and 503 when the
  // answer takes more memory than it may, or than is left.
  call_result submit(call& c);

  void set_repository(std::shared_ptr<model_repository> repository);
  [[nodiscard]] std::shared_ptr<model_repository> repository() const;  // null: none

  // Ends the figures of endpoints that were removed. Calls that were under way then bring theirs back: again for each
  // reader.
  void forget_removed();

  // The devices and the wanted models now, after on_device_lost was called for devices newly lost.
  health look();

 private:
  [[nodiscard]] bool is_small(const call& c) const;
  void check_admitted(const call& c, compute_queue::outcome end) const;

  admission admission_;
  const std::unique_ptr<scheduler> scheduler_;
  mutable std::mutex mutex_;        // of the next
  std::set<std::string> reported_;  // devices that on_device_lost has been called for
  std::shared_ptr<model_repository> repository_;
};

}  // namespace sluice::serving
