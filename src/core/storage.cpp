#include "storage.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

event::event(const core::place_of_work& at, const char* operation) : at_(at), operation_(operation) {
  sluice_message message{};
  core::check(at_, at_.table->event_create(at_.index, &handle_, &message), message, operation_);
}

event::~event() { at_.table->event_destroy(at_.index, handle_); }

void event::record(sluice_queue* queue) {
  sluice_message message{};
  core::check(at_, at_.table->event_record(handle_, queue, &message), message, operation_);
  queue_ = queue;
}

void event::wait_on_host() const {
  sluice_message message{};
  core::check(at_, at_.table->event_wait(handle_, &message), message, operation_);
}

void event::settle() const noexcept {
  sluice_message message{};
  core::keep_loss(at_, at_.table->event_wait(handle_, &message), message);
}

void event::wait_on(const sluice_backend* table, sluice_queue* queue) const {
  if (table != at_.table || queue == nullptr) return wait_on_host();
  if (queue == queue_) return;  // the queue runs in order
  sluice_message message{};
  core::check(at_, table->queue_wait_event(queue, handle_, &message), message, operation_);
}

storage::storage(const core::place_of_work& allocator, const device& where, memory kind, void* data, std::size_t bytes,
                 std::shared_ptr<void> keep_alive)
    : allocator_(allocator), where_(where), kind_(kind), data_(data), bytes_(bytes), keep_alive_(std::move(keep_alive)) {}

// Work under way that the allocator knows goes with the memory as events; all other work is waited for here.
storage::~storage() {
  const sluice_backend* table = allocator_.table;
  const bool may_follow = table != nullptr && table->deallocate_after != nullptr;
  std::array<sluice_event*, 16> open{};
  std::size_t count = 0;
  const auto settle = [&](const event& e) {
    if (may_follow && e.table() == table && count < open.size())
      open[count++] = e.handle();
    else
      e.settle();  // nobody is left to hear of a failure; a device that failed says so at its next use
  };
  if (written_ != nullptr) settle(*written_);
  for (const auto& r : reads_) settle(*r);
  if (table == nullptr) return;
  const auto kind = static_cast<std::int32_t>(kind_);
  if (count == 0)
    table->deallocate(allocator_.index, kind, data_, bytes_);
  else
    table->deallocate_after(allocator_.index, kind, data_, bytes_, open.data(), static_cast<std::int32_t>(count));
}

void storage::wait_for_host(bool write) {
  if (!pending_.load(std::memory_order_acquire)) return;
  mark written;
  std::vector<mark> reads;
  {
    const std::lock_guard lock(mutex_);
    written = written_;
    if (write) reads = reads_;
  }
  if (written) written->wait_on_host();
  for (const auto& r : reads) r->wait_on_host();
  if (!write) return;
  const std::lock_guard lock(mutex_);
  if (written_ != written || reads_ != reads) return;  // more work came meanwhile
  written_.reset();
  reads_.clear();
  pending_.store(false, std::memory_order_release);
}

launch::launch(const device& where, const char* operation, std::array<storage*, 4> reads, std::array<storage*, 2> writes)
    : at_(core::find_awake(where)), operation_(operation), reads_(reads), writes_(writes) {
  if (at_.table->queue_acquire != nullptr) {
    done_ = std::make_shared<event>(at_, operation_);
    check(at_.table->queue_acquire(at_.index, &queue_, &message_));
  }
  try {
    for (storage* s : reads_)
      if (s != nullptr) order_after(*s, false);
    for (storage* s : writes_)
      if (s != nullptr) order_after(*s, true);
  } catch (...) {
    if (queue_ != nullptr) at_.table->queue_release(at_.index, queue_);
    throw;
  }
}

launch::~launch() {
  if (queue_ == nullptr) return;
  try {
    if (!finished_) finish();  // part of the operation may be under way
  } catch (...) {
    // The operation's own failure is on its way to the caller.
  }
  at_.table->queue_release(at_.index, queue_);
}

void launch::order_after(storage& s, bool write) {
  if (!s.pending_.load(std::memory_order_acquire)) return;
  if (queue_ == nullptr) return s.wait_for_host(write);
  const std::lock_guard lock(s.mutex_);
  if (s.written_) s.written_->wait_on(at_.table, queue_);
  if (!write) return;
  for (const auto& r : s.reads_) r->wait_on(at_.table, queue_);
}

void launch::finish() {
  finished_ = true;
  if (queue_ == nullptr) return;  // the device is done when its calls return
  done_->record(queue_);
  try {
    mark();
  } catch (...) {  // no memory for a mark
    done_->settle();
    throw;
  }
}

void launch::mark() const {
  for (storage* s : writes_) {
    if (s == nullptr) continue;
    const std::lock_guard lock(s->mutex_);
    s->written_ = done_;
    s->reads_.clear();
    s->pending_.store(true, std::memory_order_release);
  }
  for (storage* s : reads_) {
    if (s == nullptr) continue;
    const std::lock_guard lock(s->mutex_);
    std::erase_if(s->reads_, [&](const auto& r) { return r->queue() == queue_; });
    s->reads_.push_back(done_);
    s->pending_.store(true, std::memory_order_release);
  }
}

void launch::refuse() const {
  throw error(error_code::unsupported,
              fmt::format("[{}] the {} backend has no such operation", operation_, at_.table->name));
}

block allocate(const device& where, std::size_t bytes, memory kind) {
  if (where.is_automatic())
    throw error(error_code::invalid_argument, "[tensor] a tensor lives on one device: name it instead of automatic");
  const auto at = core::find_awake(where);
  void* data = nullptr;
  sluice_message message{};
  core::check(at, at.table->allocate(at.index, static_cast<std::int32_t>(kind), bytes, &data, &message), message, "tensor");
  const device lives = kind == memory::pinned ? device::cpu : where;
  try {
    return {std::make_shared<storage>(at, lives, kind, data, bytes, nullptr), static_cast<std::byte*>(data)};
  } catch (...) {
    at.table->deallocate(at.index, static_cast<std::int32_t>(kind), data, bytes);
    throw;
  }
}

block adopt(void* data, std::size_t bytes, std::shared_ptr<void> keep_alive) {
  return {std::make_shared<storage>(core::place_of_work{}, device::cpu, memory::device, data, bytes, std::move(keep_alive)),
          static_cast<std::byte*>(data)};
}

const device& where_is(const storage* s) noexcept { return s != nullptr ? s->where() : device::cpu; }

void wait_for_host(storage* s, bool write) {
  if (s != nullptr) s->wait_for_host(write);
}

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
