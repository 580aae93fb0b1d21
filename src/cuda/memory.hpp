// Pools of memory in size classes, over the driver's stream-ordered pool and over pinned host memory.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "cuda.hpp"

namespace sluice::cuda {

// Where a pool has its blocks from. Called by one thread at a time, with the device current.
class memory_source {
 public:
  virtual ~memory_source() = default;
  virtual cudaError_t take(std::size_t bytes, void** data) = 0;
  virtual void give(void* data, std::size_t bytes) = 0;
  [[nodiscard]] virtual bool has(const void* data) const = 0;  // data lies in a block of it, taken and not given back
  // Up to so many bytes a further block is cheaper than to ask whether one of those in waiting is free.
  [[nodiscard]] virtual std::size_t small() const { return 0; }
  virtual void trim() {}
  [[nodiscard]] virtual std::size_t kept() const { return 0; }  // bytes the source itself keeps for reuse
};

std::unique_ptr<memory_source> device_source(device& d, std::size_t limit);
std::unique_ptr<memory_source> pinned_source();

// A block is reused only when the positions it was released with are reached: its next owner may use it at once, on any
// queue and on the host.
class memory_pool {
 public:
  memory_pool(const char* what, std::unique_ptr<memory_source> source, std::size_t least, std::size_t limit)
      : what_(what), source_(std::move(source)), least_(least), limit_(limit) {}

  sluice_status allocate(device& d, std::size_t bytes, void** data, sluice_message* message);
  // Releases a block that work up to the positions may still use.
  void release(void* data, std::size_t bytes, std::vector<position> positions);
  [[nodiscard]] bool has(const void* data) const { return source_->has(data); }
  void trim();
  sluice_memory_stats stats();

 private:
  struct idle_block {
    void* data;
    std::uint64_t stamp;  // when it came back, for the eviction of the oldest
  };
  struct waiting_block {
    void* data;
    std::size_t size;
    std::vector<position> positions;
  };

  [[nodiscard]] std::size_t class_of(std::size_t bytes) const;
  void* reuse(std::size_t size);
  void keep(void* data, std::size_t size);
  void evict(std::size_t most);
  void collect(bool ask);
  void wait_for_oldest();

  const char* what_;
  std::unique_ptr<memory_source> source_;
  const std::size_t least_;
  const std::size_t limit_;
  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<idle_block>> idle_;  // by size; the newest last
  std::deque<waiting_block> waiting_;                              // in the order they came back
  std::size_t waiting_bytes_ = 0;
  std::uint64_t clock_ = 0;
  sluice_memory_stats stats_{};
};

}  // namespace sluice::cuda
