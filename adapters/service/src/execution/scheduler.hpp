// How decoded calls are computed: one by one, or several as one.
#pragma once

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
};

}  // namespace sluice::serving
