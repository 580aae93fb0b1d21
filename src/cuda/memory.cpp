#include "memory.hpp"

#include <algorithm>
#include <bit>
#include <shared_mutex>

namespace sluice::cuda {
namespace {

// Every block there is of a kind of memory, in use or idle, so that copies know it without asking the driver.
class block_list {
 public:
  void add(void* data, std::size_t bytes) {
    const std::unique_lock lock(mutex_);
    blocks_[reinterpret_cast<std::uintptr_t>(data)] = bytes;
  }
  void remove(void* data) {
    const std::unique_lock lock(mutex_);
    blocks_.erase(reinterpret_cast<std::uintptr_t>(data));
  }
  bool contain(const void* data, std::size_t bytes) const {
    const auto begin = reinterpret_cast<std::uintptr_t>(data);
    const std::shared_lock lock(mutex_);
    auto it = blocks_.upper_bound(begin);
    if (it == blocks_.begin()) return false;
    --it;
    return begin + bytes <= it->first + it->second;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::uintptr_t, std::size_t> blocks_;
};

// The driver's stream-ordered pool. A block is ready once the stream that took it is idle, which it is but for that.
class stream_ordered final : public memory_source {
 public:
  stream_ordered(device& d, std::size_t limit) {
    int pools = 0;
    cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, d.index);
    if (pools == 0) return;
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location = {};
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = d.index;
    if (cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) != cudaSuccess ||
        cudaMemPoolCreate(&pool_, &properties) != cudaSuccess) {
      pool_ = nullptr;
      static_cast<void>(cudaGetLastError());
      return;
    }
    std::uint64_t threshold = limit;
    cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &threshold);
  }

  cudaError_t take(std::size_t bytes, void** data) override {
    cudaError_t error = pool_ == nullptr ? cudaMalloc(data, bytes) : cudaMallocFromPoolAsync(data, bytes, pool_, stream_);
    if (error == cudaSuccess && pool_ != nullptr) error = cudaStreamSynchronize(stream_);
    if (error == cudaSuccess) blocks_.add(*data, bytes);
    return error;
  }

  void give(void* data, std::size_t) override {
    blocks_.remove(data);
    if (pool_ == nullptr)
      cudaFree(data);
    else
      cudaFreeAsync(data, stream_);
  }

  void trim() override {
    if (pool_ == nullptr) return;
    cudaStreamSynchronize(stream_);
    cudaMemPoolTrimTo(pool_, 0);
  }

  [[nodiscard]] std::size_t kept() const override {
    std::uint64_t reserved = 0;
    std::uint64_t used = 0;
    if (pool_ == nullptr || cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved) != cudaSuccess ||
        cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrUsedMemCurrent, &used) != cudaSuccess)
      return 0;
    return reserved > used ? reserved - used : 0;
  }

  [[nodiscard]] bool has(const void* data) const override { return blocks_.contain(data, 1); }
  [[nodiscard]] std::size_t small() const override { return std::size_t{4} << 20; }

 private:
  block_list blocks_;
  cudaStream_t stream_ = nullptr;
  cudaMemPool_t pool_ = nullptr;  // null where the device has no such pools
};

block_list& known_pinned() {
  static auto* blocks = new block_list;
  return *blocks;
}

class pinned final : public memory_source {
 public:
  cudaError_t take(std::size_t bytes, void** data) override {
    const cudaError_t error = cudaHostAlloc(data, bytes, cudaHostAllocPortable);
    if (error == cudaSuccess) known_pinned().add(*data, bytes);
    return error;
  }
  void give(void* data, std::size_t) override {
    known_pinned().remove(data);
    cudaFreeHost(data);
  }
  [[nodiscard]] bool has(const void* data) const override { return known_pinned().contain(data, 1); }
};

}  // namespace

std::unique_ptr<memory_source> device_source(device& d, std::size_t limit) {
  return std::make_unique<stream_ordered>(d, limit);
}
std::unique_ptr<memory_source> pinned_source() { return std::make_unique<pinned>(); }

memory_pool& pinned_memory() {
  static auto* pool = new memory_pool("pinned", pinned_source(), 4096, host().pinned_pool_bytes);
  return *pool;
}

bool in_pinned_pool(const void* data) { return known_pinned().contain(data, 1); }

bool is_pinned(const void* data, std::size_t bytes) {
  if (known_pinned().contain(data, bytes)) return true;
  const auto registered = [](const void* p) {
    cudaPointerAttributes attributes{};
    if (cudaPointerGetAttributes(&attributes, p) == cudaSuccess)
      return attributes.type == cudaMemoryTypeHost || attributes.type == cudaMemoryTypeManaged;
    static_cast<void>(cudaGetLastError());
    return false;
  };
  return registered(data) && registered(static_cast<const char*>(data) + bytes - 1);
}

// Eight classes to a doubling, 32 from 256 MiB up: at most an eighth, or a 32nd, is lost to rounding.
std::size_t memory_pool::class_of(std::size_t bytes) const {
  if (bytes <= least_) return least_;
  const std::size_t step = std::max(least_, std::bit_floor(bytes) / (bytes >= (std::size_t{256} << 20) ? 32 : 8));
  return (bytes + step - 1) / step * step;
}

sluice_status memory_pool::allocate(device& d, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  if (bytes == 0) return SLUICE_OK;
  if (bytes > std::size_t{1} << 62)
    return fail(SLUICE_OUT_OF_MEMORY, message, "cuda:%d: no memory for %zu bytes", d.index, bytes);
  const std::size_t size = class_of(bytes);
  const std::lock_guard lock(mutex_);
  ++stats_.allocations;
  *data = reuse(size);
  if (*data == nullptr && !waiting_.empty()) {
    collect(size > source_->small());
    *data = reuse(size);
  }
  // A caller who runs far ahead of the device waits here rather than filling its memory with blocks in waiting.
  while (*data == nullptr && !waiting_.empty() && waiting_bytes_ + size > limit_) {
    wait_for_oldest();
    *data = reuse(size);
  }
  if (*data == nullptr) {
    cudaError_t error = source_->take(size, data);
    if (error == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());
      while (!waiting_.empty()) wait_for_oldest();
      evict(0);
      source_->trim();
      error = source_->take(size, data);
    }
    if (error != cudaSuccess) {
      *data = nullptr;
      static_cast<void>(cudaGetLastError());
      if (error != cudaErrorMemoryAllocation) return d.check(error, "allocating memory", message);
      std::size_t free = 0;
      std::size_t total = 0;
      static_cast<void>(cudaMemGetInfo(&free, &total));
      return fail(SLUICE_OUT_OF_MEMORY, message,
                  "cuda:%d: no %s memory for %zu bytes: tensors hold %llu, and %zu of the device's %zu are free", d.index,
                  what_, bytes, static_cast<unsigned long long>(stats_.in_use), free, total);
    }
  } else {
    ++stats_.reused;
  }
  stats_.in_use += size;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return SLUICE_OK;
}

void memory_pool::release(void* data, std::size_t bytes, std::vector<position> positions) {
  const std::size_t size = class_of(bytes);
  std::erase_if(positions, [](const position& m) { return m.queue->known_reached(m.number); });
  const std::lock_guard lock(mutex_);
  stats_.in_use -= size;
  if (positions.empty()) return keep(data, size);
  waiting_.push_back({data, size, std::move(positions)});
  waiting_bytes_ += size;
  if (waiting_bytes_ > limit_ / 2) collect(true);  // less is asked about when it is wanted
}

void memory_pool::trim() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) wait_for_oldest();
  evict(0);
  source_->trim();
}

sluice_memory_stats memory_pool::stats() {
  const std::lock_guard lock(mutex_);
  collect(true);
  sluice_memory_stats s = stats_;
  s.pooled += waiting_bytes_ + source_->kept();
  s.limit = limit_;
  return s;
}

void* memory_pool::reuse(std::size_t size) {
  const auto it = idle_.find(size);
  if (it == idle_.end() || it->second.empty()) return nullptr;
  void* data = it->second.back().data;
  it->second.pop_back();
  stats_.pooled -= size;
  return data;
}

void memory_pool::keep(void* data, std::size_t size) {
  idle_[size].push_back({data, ++clock_});
  stats_.pooled += size;
  if (stats_.pooled > limit_) evict(limit_);
}

// The blocks idle for longest go back to the source until at most `most` bytes are left.
void memory_pool::evict(std::size_t most) {
  while (stats_.pooled > most) {
    auto oldest = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it)
      if (!it->second.empty() && (oldest == idle_.end() || it->second.front().stamp < oldest->second.front().stamp))
        oldest = it;
    source_->give(oldest->second.front().data, oldest->first);
    oldest->second.erase(oldest->second.begin());
    stats_.pooled -= oldest->first;
  }
}

// Makes blocks idle whose positions are reached. To `ask` may record an event in the queue, which costs host and device 1 us each;
// otherwise only the events that are there are looked at.
void memory_pool::collect(bool ask) {
  position ahead;  // not reached when last asked, and so is everything after it
  const sluice_queue* looked_at = nullptr;
  const auto done = [&](const position& m) {
    if (!ask) {
      if (m.queue != looked_at && !m.queue->known_reached(m.number)) m.queue->look();
      looked_at = m.queue;
      return m.queue->known_reached(m.number);
    }
    if (m.queue == ahead.queue && m.number >= ahead.number) return false;
    if (passed(m)) return true;
    ahead = m;
    return false;
  };
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    while (!it->positions.empty() && done(it->positions.back())) it->positions.pop_back();
    if (!it->positions.empty()) {
      ++it;
      continue;
    }
    waiting_bytes_ -= it->size;
    keep(it->data, it->size);
    it = waiting_.erase(it);
  }
}

void memory_pool::wait_for_oldest() {
  waiting_block& block = waiting_.front();
  for (const position& m : block.positions) static_cast<void>(wait_for(m, nullptr));
  waiting_bytes_ -= block.size;
  keep(block.data, block.size);
  waiting_.pop_front();
}

scratch::~scratch() {
  if (data_ == nullptr) return;
  std::vector<position> positions;
  if (in_use_) positions.push_back(queue_->position());
  pool_.release(data_, bytes_, std::move(positions));
}

sluice_status scratch::allocate(std::size_t bytes, sluice_message* message) {
  const sluice_status status = pool_.allocate(device_, bytes, &data_, message);
  if (status == SLUICE_OK) bytes_ = bytes;
  return status;
}

namespace {

// A queue runs in order: its last position implies the others.
void add_later(std::vector<position>& positions, const position& m) {
  for (position& other : positions)
    if (other.queue == m.queue) {
      other.number = std::max(other.number, m.number);
      return;
    }
  positions.push_back(m);
}

memory_pool& pool_of(device& d, std::int32_t kind) { return kind == SLUICE_MEMORY_PINNED ? pinned_memory() : *d.memory; }

}  // namespace

sluice_status cuda_allocate(std::int32_t index, std::int32_t kind, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  return pool_of(d, kind).allocate(d, bytes, data, message);
}

void cuda_deallocate(std::int32_t index, std::int32_t kind, void* data, std::size_t bytes) {
  cuda_deallocate_after(index, kind, data, bytes, nullptr, 0);
}

void cuda_deallocate_after(std::int32_t index, std::int32_t kind, void* data, std::size_t bytes, sluice_event* const* events,
                           std::int32_t count) {
  if (data == nullptr) return;
  device& d = device_at(index);
  const device_scope scope(d);
  if (scope.refused()) return;  // memory of a lost device goes with the process
  std::vector<position> positions;
  for (std::int32_t i = 0; i < count; ++i)
    if (events[i]->at.queue != nullptr) add_later(positions, events[i]->at);
  pool_of(d, kind).release(data, bytes, std::move(positions));
}

sluice_status cuda_memory_stats(std::int32_t index, std::int32_t kind, sluice_memory_stats* stats, sluice_message* message) {
  *stats = {};
  device& d = device_at(index);
  if (!d.awake()) return SLUICE_OK;
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  *stats = pool_of(d, kind).stats();
  return SLUICE_OK;
}

void cuda_memory_trim(std::int32_t index, std::int32_t kind) {
  device& d = device_at(index);
  if (!d.awake()) return;
  const device_scope scope(d);
  if (!scope.refused()) pool_of(d, kind).trim();
}

}  // namespace sluice::cuda
