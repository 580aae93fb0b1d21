// A device's queues.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "cuda.hpp"

namespace sluice::cuda {

class queue_pool {
 public:
  queue_pool(device& d, std::int32_t most) : device_(d), most_(most > 0 ? static_cast<std::size_t>(most) : 1) {}

  sluice_status acquire(sluice_queue** queue, sluice_message* message);
  void release(sluice_queue* queue);

 private:
  device& device_;
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::size_t made_ = 0;
  std::vector<sluice_queue*> free_;  // the last used last
};

}  // namespace sluice::cuda
