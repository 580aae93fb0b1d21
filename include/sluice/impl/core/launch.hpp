// One operation on a device: acquires a queue, orders it after the work it depends on, and records its end in the storages
// it touched.
//
//     launch l(where, "matmul", {storage_of(a), storage_of(b)}, {storage_of(out)});
//     l.check(l.table().matmul(l.index(), l.queue(), ...));
//     l.finish();
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <fmt/format.h>

#include "sluice/impl/core/storage.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

class launch {
 public:
  // Null pointers are skipped.
  launch(const device& where, const char* operation, std::array<storage*, 4> reads, std::array<storage*, 2> writes)
      : device_(find_awake(where)), operation_(operation), reads_(reads), writes_(writes) {
    message_.text[0] = '\0';
    detail::check_not_cancelled();
    if (device_.table->queue_acquire != nullptr) {
      done_ = std::make_shared<event>(device_, operation_);
      // Not by check(): a queue that is acquired must be released, whatever was cancelled meanwhile.
      core::check(device_, device_.table->queue_acquire(device_.index, &queue_, &message_), message_, operation_);
    }
    try {
      for (storage* s : reads_)
        if (s != nullptr) s->order(device_.table, queue_, false);
      for (storage* s : writes_)
        if (s != nullptr) s->order(device_.table, queue_, true);
    } catch (...) {
      if (queue_ != nullptr) device_.table->queue_release(device_.index, queue_);
      throw;
    }
  }

  ~launch() {
    if (queue_ == nullptr) return;
    try {
      if (!finished_) finish();  // part of the operation may be pending
    } catch (...) {
      // The caller already handles the operation's own failure.
    }
    device_.table->queue_release(device_.index, queue_);
  }

  launch(const launch&) = delete;
  launch& operator=(const launch&) = delete;

  [[nodiscard]] const sluice_backend& table() const noexcept { return *device_.table; }
  [[nodiscard]] std::int32_t index() const noexcept { return device_.index; }
  [[nodiscard]] sluice_queue* queue() const noexcept { return queue_; }
  [[nodiscard]] sluice_message* message() noexcept { return &message_; }

  void check(sluice_status status) const {
    core::check(device_, status, message_, operation_);
    detail::check_not_cancelled();  // else the backend's loops ran to their ends
  }

  // Throws unsupported when the backend has no such slot.
  template <class Slot>
  void require(Slot slot) const {
    if (slot != nullptr) return;
    throw error(error_code::unsupported,
                fmt::format("[{}] the {} backend has no such operation", operation_, device_.table->name));
  }

  void finish() {
    finished_ = true;
    if (queue_ == nullptr) return;  // without queues the work is complete when the slot returns
    done_->record(queue_);
    try {
      for (storage* s : writes_)
        if (s != nullptr) s->add_write(done_);
      for (storage* s : reads_)
        if (s != nullptr) s->add_read(done_);
    } catch (...) {  // out of memory
      done_->wait_ignoring_failure();
      throw;
    }
  }

 private:
  backend_device device_;
  const char* operation_;
  sluice_queue* queue_ = nullptr;
  std::shared_ptr<event> done_;  // allocated before any work is enqueued: enqueued work always has its event
  sluice_message message_;       // its text is empty: the rest of 480 bytes takes as long to clear as a small product
  bool finished_ = false;
  std::array<storage*, 4> reads_{};
  std::array<storage*, 2> writes_{};
};

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
