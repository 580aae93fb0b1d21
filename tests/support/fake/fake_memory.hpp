// The fake device's memory: host memory with a ledger, so that work on memory that is not the device's, reaches past its end
// or was given back too early is found out.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "reference.hpp"
#include "sluice/backend_api.h"

namespace fake {

struct allocation {
  std::size_t bytes = 0;
  int device = 0;
  int kind = 0;
  std::uint64_t id = 0;  // 0: memory that is not ours
};

class ledger {
 public:
  // Null when the device would have more than `limit` bytes out.
  void* take(int device, int kind, std::size_t bytes, std::uint64_t limit) {
    const std::lock_guard lock(mutex_);
    sluice_memory_stats& s = stats_[{device, kind}];
    if (bytes > limit || s.in_use > limit - bytes) return nullptr;
    void* data = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (data == nullptr) return nullptr;
    std::memset(data, 0xff, bytes);  // NaN, -1, 255: what nobody wrote shows in a result
    live_[address(data)] = {bytes, device, kind, ++count_};
    s.in_use += bytes;
    s.peak = s.in_use > s.peak ? s.in_use : s.peak;
    ++s.allocations;
    return data;
  }

  void give_back(int device, int kind, void* data, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(address(data));
    if (found == live_.end() || found->second.bytes != bytes || found->second.device != device || found->second.kind != kind)
      die("deallocate", "memory that was not given out so");
    stats_[{device, kind}].in_use -= bytes;
    live_.erase(found);
    std::memset(data, 0xdd, bytes);
    std::free(data);
  }

  // The allocation that holds all of `a`; id 0 when it is none of ours. Dies when `a` begins in one and ends outside.
  allocation holder(const sluice_array& a, const char* operation) {
    std::int64_t last = 0;
    for (int i = 0; i < a.rank; ++i) {
      if (a.extents[i] == 0) return {};
      if (a.strides[i] < 0) die(operation, "a negative stride");
      last += (a.extents[i] - 1) * a.strides[i];
    }
    const std::lock_guard lock(mutex_);
    auto found = live_.upper_bound(address(a.data));
    if (found == live_.begin()) return {};
    --found;
    if (address(a.data) >= found->first + found->second.bytes) return {};
    const auto end = address(a.data) + static_cast<std::uintptr_t>((last + 1) * reference::size_of(a.dtype));
    if (end > found->first + found->second.bytes) die(operation, "an array that ends outside its memory");
    return found->second;
  }

  // Dies when the memory was given back before the work on it was done.
  void must_live(const allocation& a, const void* data, const char* operation) {
    if (a.id == 0) return;
    const std::lock_guard lock(mutex_);
    auto found = live_.upper_bound(address(data));
    if (found == live_.begin() || (--found)->second.id != a.id) die(operation, "memory that was given back already");
  }

  sluice_memory_stats stats(int device, int kind) {
    const std::lock_guard lock(mutex_);
    return stats_[{device, kind}];
  }

  // What core must never do ends the test, whatever thread finds it out.
  [[noreturn]] static void die(const char* operation, const char* what) {
    std::fprintf(stderr, "fake backend: %s was called with %s\n", operation, what);
    std::abort();
  }

 private:
  static std::uintptr_t address(const void* p) { return reinterpret_cast<std::uintptr_t>(p); }

  std::mutex mutex_;
  std::map<std::uintptr_t, allocation> live_;
  std::map<std::pair<int, int>, sluice_memory_stats> stats_;
  std::uint64_t count_ = 0;
};

}  // namespace fake
