// The slots for host memory, which is pooled: freed blocks are kept by size and reused, since the first touch of fresh pages
// takes longer than most work on them (1.5 GB/s, 8 with huge pages, against 22).
#pragma once

#include <atomic>
#include <bit>
#include <limits>
#include <mutex>
#include <new>

#include "sluice/impl/base/memory.hpp"
#include "sluice/impl/cpu/host.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define SLUICE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLUICE_ASAN 1
#endif
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// AddressSanitizer checks only blocks of the size asked for that are freed at once.
#if defined(SLUICE_ASAN)
inline constexpr bool pooled_build = false;
#else
inline constexpr bool pooled_build = true;
#endif
#undef SLUICE_ASAN

// Block sizes: multiples of 64 bytes, four to each doubling, so that at most a fifth of a block is spare.
struct pool_size_class {
  explicit pool_size_class(std::size_t bytes) {
    const std::size_t last = (bytes - 1) / 64;
    const auto shift = last < 4 ? 0u : static_cast<unsigned>(std::bit_width(last)) - 3;
    index = 4 * shift + (last >> shift);
    size = pooled_build ? (((last >> shift) + 1) << shift) * 64 : bytes;
  }
  std::size_t index;
  std::size_t size;
};

// Large blocks have a mapping of their own, except under AddressSanitizer, which does not see mappings.
constexpr std::size_t block_alignment(std::size_t size) {
  if (pooled_build && size >= base::huge_page) return base::huge_page;
  return size >= 4096 ? 4096 : 64;
}

inline void* allocate_block(std::size_t size) {
  if (!pooled_build && size >= std::size_t{1} << 40) return nullptr;  // AddressSanitizer ends the process
  return base::allocate_aligned(size, block_alignment(size));
}

inline void release_block(void* data, std::size_t size) { base::free_aligned(data, size, block_alignment(size)); }

class host_pool {
 public:
  void* allocate(std::size_t bytes) {
    const pool_size_class c(bytes);
    void* data = take(c);
    if (data == nullptr) data = allocate_block(c.size);
    if (data == nullptr && pooled_ > 0) {
      trim();
      data = allocate_block(c.size);
    }
    if (data != nullptr) count_in(bytes);
    return data;
  }

  void deallocate(void* data, std::size_t bytes) {
    in_use_.fetch_sub(bytes, std::memory_order_relaxed);
    const pool_size_class c(bytes);
    if (!pooled_build || !make_room(c)) return release_block(data, c.size);
    shelf& s = shelves_[c.index];
    const std::lock_guard lock(s.mutex);
    s.free = new (data) block{s.free};
    s.size = c.size;
    s.last_used =
        c.size >= evict_from ? clock_.fetch_add(1, std::memory_order_relaxed) : clock_.load(std::memory_order_relaxed);
  }

  void trim() {
    for (std::size_t i = 0; i < shelves; ++i)
      while (drop(i)) {
      }
  }

  // All of it, around a fork.
  void lock() {
    for (shelf& s : shelves_) s.mutex.lock();
  }
  void unlock() {
    for (shelf& s : shelves_) s.mutex.unlock();
  }

  sluice_memory_stats stats() {
    sluice_memory_stats now{};
    now.in_use = in_use_;
    now.pooled = pooled_;
    now.peak = peak_;
    now.limit = host().host_pool_bytes;
    for (shelf& s : shelves_) {
      const std::lock_guard lock(s.mutex);
      now.allocations += s.allocations;
      now.reused += s.reused;
    }
    return now;
  }

 private:
  static constexpr std::size_t shelves = 4 * 57;
  static constexpr std::size_t evict_from = 64 << 10;

  struct block {
    block* next;
  };

  // Free blocks of one size.
  struct alignas(64) shelf {
    std::mutex mutex;
    block* free = nullptr;
    std::size_t size = 0;
    std::uint64_t allocations = 0;
    std::uint64_t reused = 0;
    std::uint64_t last_used = 0;
  };

  void* take(const pool_size_class& c) {
    shelf& s = shelves_[c.index];
    const std::lock_guard lock(s.mutex);
    ++s.allocations;
    block* b = s.free;
    if (b == nullptr) return nullptr;
    s.free = b->next;
    ++s.reused;
    pooled_.fetch_sub(c.size, std::memory_order_relaxed);
    return b;
  }

  void count_in(std::size_t bytes) {
    const std::uint64_t now = in_use_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    std::uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }

  // Counts a block into the pool; false when it does not fit. A large block evicts others, least recently used first.
  bool make_room(const pool_size_class& c) {
    const std::uint64_t limit = host().host_pool_bytes;
    if (c.size > limit) return false;
    pooled_.fetch_add(c.size, std::memory_order_relaxed);
    while (pooled_.load(std::memory_order_relaxed) > limit) {
      if (c.size >= evict_from && drop(oldest())) continue;
      pooled_.fetch_sub(c.size, std::memory_order_relaxed);
      return false;
    }
    return true;
  }

  std::size_t oldest() {
    std::size_t found = 0;
    std::uint64_t stamp = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t i = 0; i < shelves; ++i) {
      const std::lock_guard lock(shelves_[i].mutex);
      if (shelves_[i].free == nullptr || shelves_[i].last_used >= stamp) continue;
      stamp = shelves_[i].last_used;
      found = i;
    }
    return found;
  }

  // Returns one block of a shelf to the system; false when there is none.
  bool drop(std::size_t index) {
    shelf& s = shelves_[index];
    block* b;
    std::size_t size;
    {
      const std::lock_guard lock(s.mutex);
      b = s.free;
      if (b == nullptr) return false;
      s.free = b->next;
      size = s.size;
    }
    pooled_.fetch_sub(size, std::memory_order_relaxed);
    release_block(b, size);
    return true;
  }

  shelf shelves_[shelves];
  std::atomic<std::uint64_t> in_use_{0};
  std::atomic<std::uint64_t> peak_{0};
  std::atomic<std::uint64_t> pooled_{0};
  std::atomic<std::uint64_t> clock_{0};
};

inline host_pool& pool() {
  static host_pool* p = new host_pool;  // never destroyed: tensors of static storage may outlive it
  return *p;
}

// Memory of the host pool; null when there is none.
template <class S>
class scratch {
 public:
  explicit scratch(std::int64_t count)
      : bytes_(static_cast<std::size_t>(count) * sizeof(S)), data_(count > 0 ? pool().allocate(bytes_) : nullptr) {}
  ~scratch() {
    if (data_ != nullptr) pool().deallocate(data_, bytes_);
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  S* data() const { return static_cast<S*>(data_); }

 private:
  std::size_t bytes_;
  void* data_;
};

inline sluice_status cpu_allocate(std::int32_t, std::int32_t, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  if (bytes == 0) return SLUICE_OK;
  if (bytes <= std::numeric_limits<std::ptrdiff_t>::max() / 2) *data = pool().allocate(bytes);
  if (*data != nullptr) return SLUICE_OK;
  const sluice_memory_stats now = pool().stats();
  return fail(SLUICE_OUT_OF_MEMORY, message, "[memory] cpu: the system has no %zu bytes to give; %llu are in use", bytes,
              static_cast<unsigned long long>(now.in_use));
}

inline void cpu_deallocate(std::int32_t, std::int32_t, void* data, std::size_t bytes) {
  if (data != nullptr) pool().deallocate(data, bytes);
}

inline sluice_status cpu_memory_stats(std::int32_t, std::int32_t, sluice_memory_stats* stats, sluice_message*) {
  *stats = pool().stats();
  return SLUICE_OK;
}

inline void cpu_memory_trim(std::int32_t, std::int32_t) { pool().trim(); }

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
