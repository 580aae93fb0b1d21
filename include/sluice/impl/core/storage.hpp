// Memory of one device, and the order of the work on it. A storage carries the events of its last write and of the reads
// since: another queue waits for them on the device, the host waits for them here.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sluice/impl/core/registry.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// An event of one backend, owned.
class event {
 public:
  event(const backend_device& d, const char* operation) : device_(d), operation_(operation) {
    sluice_message message{};
    check(device_, device_.table->event_create(device_.index, &handle_, &message), message, operation_);
  }
  ~event() { device_.table->event_destroy(device_.index, handle_); }
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  void record(sluice_queue* queue) {
    sluice_message message{};
    check(device_, device_.table->event_record(handle_, queue, &message), message, operation_);
    queue_ = queue;
  }

  // Blocks until the event has passed. Throws the failure of the work before it, naming the operation.
  void wait() const {
    sluice_message message{};
    check(device_, device_.table->event_wait(handle_, &message), message, operation_);
  }

  // The same, ignoring a failure other than the device's loss, which is recorded.
  void wait_ignoring_failure() const noexcept {
    sluice_message message{};
    record_loss(device_, device_.table->event_wait(handle_, &message), message);
  }

  // Has `queue`, of a device of `table`, wait; blocks here where the backends differ.
  void wait_on(const sluice_backend* table, sluice_queue* queue) const {
    if (table != device_.table || queue == nullptr) return wait();
    if (queue == queue_) return;  // the queue runs in order
    sluice_message message{};
    check(device_, table->queue_wait_event(queue, handle_, &message), message, operation_);
  }

  [[nodiscard]] sluice_queue* queue() const noexcept { return queue_; }
  [[nodiscard]] sluice_event* handle() const noexcept { return handle_; }
  [[nodiscard]] const sluice_backend* table() const noexcept { return device_.table; }

 private:
  backend_device device_;
  const char* operation_;
  sluice_event* handle_ = nullptr;
  sluice_queue* queue_ = nullptr;
};

class storage {
 public:
  // `allocator` with a null table: the memory is not freed here.
  storage(const backend_device& allocator, const device& where, memory kind, void* data, std::size_t bytes,
          std::shared_ptr<void> keep_alive)
      : allocator_(allocator), where_(where), kind_(kind), data_(data), bytes_(bytes), keep_alive_(std::move(keep_alive)) {}

  // Pending work on the allocator's own backend is passed to it as events; other work is waited for here.
  ~storage() {
    const sluice_backend* table = allocator_.table;
    const bool takes_events = table != nullptr && table->deallocate_after != nullptr;
    std::array<sluice_event*, 16> pending{};
    std::size_t count = 0;
    const auto finish = [&](const event& e) {
      if (takes_events && e.table() == table && count < pending.size())
        pending[count++] = e.handle();
      else
        e.wait_ignoring_failure();  // a failed device reports that at its next use
    };
    if (written_ != nullptr) finish(*written_);
    for (const auto& r : reads_) finish(*r);
    if (table == nullptr) return;
    const auto kind = static_cast<std::int32_t>(kind_);
    if (count == 0)
      table->deallocate(allocator_.index, kind, data_, bytes_);
    else
      table->deallocate_after(allocator_.index, kind, data_, bytes_, pending.data(), static_cast<std::int32_t>(count));
  }

  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;

  [[nodiscard]] const device& where() const noexcept { return where_; }
  [[nodiscard]] memory kind() const noexcept { return kind_; }

  // Blocks until the host may read the memory or, with `write`, also write it. Throws the failure of the device's work.
  void wait_for_host(bool write) {
    if (!pending_.load(std::memory_order_acquire)) return;
    std::shared_ptr<event> written;
    std::vector<std::shared_ptr<event>> reads;
    {
      const std::lock_guard lock(mutex_);
      written = written_;
      if (write) reads = reads_;
    }
    if (written) written->wait();
    for (const auto& r : reads) r->wait();
    if (!write) return;
    const std::lock_guard lock(mutex_);
    if (written_ != written || reads_ != reads) return;  // more work was enqueued meanwhile
    written_.reset();
    reads_.clear();
    pending_.store(false, std::memory_order_release);
  }

  // Has `queue`, of a device of `table`, wait for the work that reading or, with `write`, writing must follow.
  void order(const sluice_backend* table, sluice_queue* queue, bool write) {
    if (!pending_.load(std::memory_order_acquire)) return;
    if (queue == nullptr) return wait_for_host(write);
    const std::lock_guard lock(mutex_);
    if (written_) written_->wait_on(table, queue);
    if (!write) return;
    for (const auto& r : reads_) r->wait_on(table, queue);
  }

  // The end of work that writes the memory, which followed all work before it.
  void add_write(const std::shared_ptr<event>& done) {
    const std::lock_guard lock(mutex_);
    written_ = done;
    reads_.clear();
    pending_.store(true, std::memory_order_release);
  }

  // The end of work that reads the memory.
  void add_read(const std::shared_ptr<event>& done) {
    const std::lock_guard lock(mutex_);
    std::erase_if(reads_, [&](const auto& r) { return r->queue() == done->queue(); });
    reads_.push_back(done);
    pending_.store(true, std::memory_order_release);
  }

 private:
  backend_device allocator_;
  device where_;
  memory kind_;
  void* data_;
  std::size_t bytes_;
  std::shared_ptr<void> keep_alive_;
  std::atomic<bool> pending_{false};  // there are events
  std::mutex mutex_;
  std::shared_ptr<event> written_;
  std::vector<std::shared_ptr<event>> reads_;  // since written_, one per queue
};

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
