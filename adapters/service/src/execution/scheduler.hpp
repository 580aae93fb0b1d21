// How decoded calls are computed: one by one, or several as one.
#pragma once

#include <cstdint>
#include <functional>

#include "execution/call.hpp"

namespace sluice::serving {

// submit() runs on the calling thread, a worker's unless the call is small. A scheduler that gathers calls has
// `c.permit` release its place while it waits for others (compute_queue::permit), joins their inputs, computes once, and
// gives each its part of the results.
class scheduler {
 public:
  scheduler() = default;
  virtual ~scheduler() = default;
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  virtual call_result submit(call& c) = 0;

  // Of calls that others of their kind may wait for: `c` has a worker, and is to be decoded; and when its run ends, however
  // it does, perhaps without submit().
  virtual void comes(call&) {}
  virtual void left(call&) noexcept {}

  // Told of every run of an endpoint that gathers calls: of one of these, the device, and the calls or rows that ran as one.
  std::function<void(const endpoint&, const device&, std::int64_t)> on_batch{};
};

}  // namespace sluice::serving
