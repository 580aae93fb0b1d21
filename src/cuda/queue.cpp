#include "queue.hpp"

#include <algorithm>
#include <new>
#include <thread>

namespace sluice::cuda {
namespace {

using clock = std::chrono::steady_clock;

// Work that waits longer than this behind other work takes a queue of its own; below it, crossing queues costs more.
constexpr std::chrono::microseconds short_wait{30};

// Positions without an event may be delayed by this much later work.
constexpr double most_unrecorded = 50e-6;

// A waiter spins this long, then sleeps between looks.
constexpr std::chrono::milliseconds spin_time{1};
constexpr std::chrono::microseconds nap{50};

}  // namespace

// The queue used last, so that a chain of calls stays in order without events; when that has much to do, one that is idle,
// so that copies run beside work; else the one that is free soonest.
sluice_status queue_pool::acquire(sluice_queue** queue, sluice_message* message) {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [&] { return !free_.empty() || made_ < most_; });
  const auto now = clock::now();
  auto chosen = free_.end();
  if (!free_.empty()) {
    chosen = free_.end() - 1;
    if ((*chosen)->busy_until > now + short_wait)
      chosen = std::min_element(free_.begin(), free_.end(), [](auto* a, auto* b) { return a->busy_until < b->busy_until; });
  }
  if (chosen != free_.end() && ((*chosen)->busy_until <= now + short_wait || made_ == most_)) {
    *queue = *chosen;
    free_.erase(chosen);
    return SLUICE_OK;
  }
  const device_scope scope(device_);
  auto fresh = std::unique_ptr<sluice_queue>(new (std::nothrow) sluice_queue);
  if (fresh == nullptr) return fail(SLUICE_OUT_OF_MEMORY, message, "cuda:%d: no memory for a queue", device_.index);
  fresh->owner = &device_;
  const cudaError_t error = cudaStreamCreateWithFlags(&fresh->stream, cudaStreamNonBlocking);
  if (error != cudaSuccess) return device_.check(error, "making a queue", message);
  ++made_;
  *queue = fresh.release();
  return SLUICE_OK;
}

void queue_pool::release(sluice_queue* queue) {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(queue);
  }
  freed_.notify_one();
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void spin_lock::lock() {
  for (int turns = 0; !try_lock(); ++turns) {
    if (turns < 1000)
      relax();
    else
      std::this_thread::yield();  // the holder may have lost its core
  }
}

bool passed(const position& m) {
  if (m.queue->known_reached(m.number)) return true;
  const cudaError_t error = m.queue->reached(m.number);
  if (error == cudaErrorNotReady) return false;
  return error == cudaSuccess || m.queue->owner->check(error, "earlier work", nullptr) != SLUICE_OK;
}

sluice_status wait_for(const position& m, sluice_message* message) {
  if (m.queue->known_reached(m.number)) return SLUICE_OK;
  const auto spin_end = clock::now() + spin_time;
  for (;;) {
    const cudaError_t error = m.queue->reached(m.number);
    if (error != cudaErrorNotReady) return m.queue->owner->check(error, "earlier work", message);
    if (clock::now() > spin_end)
      std::this_thread::sleep_for(nap);
    else
      for (int i = 0; i < 4; ++i) relax();
  }
}

sluice_status cuda_queue_acquire(std::int32_t index, sluice_queue** queue, sluice_message* message) {
  *queue = nullptr;
  device& d = device_at(index);
  const sluice_status status = d.usable(message);
  return status == SLUICE_OK ? d.queues->acquire(queue, message) : status;
}

void cuda_queue_release(std::int32_t index, sluice_queue* queue) { device_at(index).queues->release(queue); }

sluice_status cuda_event_create(std::int32_t index, sluice_event** event, sluice_message* message) {
  device& d = device_at(index);
  *event = new (std::nothrow) sluice_event{&d, {}};
  return *event != nullptr ? SLUICE_OK : fail(SLUICE_OUT_OF_MEMORY, message, "cuda:%d: no memory for an event", index);
}

void cuda_event_destroy(std::int32_t, sluice_event* event) { delete event; }

sluice_status cuda_event_record(sluice_event* event, sluice_queue* queue, sluice_message* message) {
  const sluice_status status = event->owner->usable(message);
  if (status == SLUICE_OK) event->at = queue->position();
  return status;
}

sluice_status cuda_queue_wait_event(sluice_queue* queue, sluice_event* event, sluice_message* message) {
  if (event->at.queue == nullptr || event->at.queue == queue) return SLUICE_OK;
  const device_scope scope(*queue->owner, message);
  if (scope.refused()) return scope.status();
  return queue->owner->check(event->at.queue->hold_back(queue->stream, event->at.number), "waiting for an event", message);
}

sluice_status cuda_event_wait(sluice_event* event, sluice_message* message) {
  const device_scope scope(*event->owner, message);
  if (scope.refused()) return scope.status();
  return event->at.queue != nullptr ? wait_for(event->at, message) : SLUICE_OK;
}

}  // namespace sluice::cuda

void sluice_queue::add_work(double seconds) {
  using namespace std::chrono;
  const auto now = steady_clock::now();
  busy_until = std::max(busy_until, now) + duration_cast<steady_clock::duration>(duration<double>(seconds));
  if (seconds_unrecorded_ + seconds > sluice::cuda::most_unrecorded) {
    const std::lock_guard lock(lock_);
    const std::uint64_t number = issued_.load(std::memory_order_relaxed);
    if (reached_.load(std::memory_order_relaxed) < number)
      static_cast<void>(record_up_to(number));  // a thread that waits for a position retries, and gets the error
    seconds_unrecorded_ = 0;
  }
  seconds_unrecorded_ += seconds;
}

sluice::cuda::position sluice_queue::position() {
  const std::uint64_t number = issued_.load(std::memory_order_relaxed) + 1;
  issued_.store(number, std::memory_order_release);  // after the work: a thread that reads it may record an event for it
  return {this, number};
}

bool sluice_queue::has_work() const {
  return !known_reached(issued_.load(std::memory_order_acquire)) &&
         busy_until + sluice::cuda::short_wait > std::chrono::steady_clock::now();
}

cudaError_t sluice_queue::exact_position(sluice::cuda::position* m) {
  *m = position();
  seconds_unrecorded_ = 0;
  const std::lock_guard lock(lock_);
  return record_up_to(m->number);
}

cudaError_t sluice_queue::reached(std::uint64_t number, bool wait_for_lock) {
  if (known_reached(number)) return cudaSuccess;
  std::unique_lock lock(lock_, std::defer_lock);
  if (wait_for_lock)
    lock.lock();
  else if (!lock.try_lock())
    return cudaErrorNotReady;
  if (known_reached(number)) return cudaSuccess;
  cudaError_t error = record_up_to(number);
  if (error != cudaSuccess) return error;
  const recorded_event& r = first_event_from(number);
  error = cudaEventQuery(r.event);
  if (error == cudaErrorNotReady) static_cast<void>(cudaGetLastError());
  if (error != cudaSuccess) return error;
  const std::uint64_t there = r.number;
  while (count_ > 0 && events_[first_].number <= there) {
    first_ = (first_ + 1) % most_events;
    --count_;
  }
  reached_.store(there, std::memory_order_release);
  return cudaSuccess;
}

void sluice_queue::look() {
  const std::lock_guard lock(lock_);
  for (; count_ > 0; --count_, first_ = (first_ + 1) % most_events) {
    const cudaError_t error = cudaEventQuery(events_[first_].event);
    if (error == cudaErrorNotReady) static_cast<void>(cudaGetLastError());
    if (error != cudaSuccess) return;  // who waits for it hears of a failure
    reached_.store(events_[first_].number, std::memory_order_release);
  }
}

cudaError_t sluice_queue::hold_back(cudaStream_t other, std::uint64_t number) {
  if (known_reached(number)) return cudaSuccess;
  const std::lock_guard lock(lock_);
  if (known_reached(number)) return cudaSuccess;
  const cudaError_t error = record_up_to(number);
  return error == cudaSuccess ? cudaStreamWaitEvent(other, first_event_from(number).event, 0) : error;
}

// When the ring is full its last event moves to the end: those who wait for it wait longer, and for no less.
cudaError_t sluice_queue::record_up_to(std::uint64_t number) {
  if (recorded_ >= number) return cudaSuccess;
  const std::uint64_t now = issued_.load(std::memory_order_acquire);
  const bool full = count_ == most_events;
  recorded_event& r = events_[(first_ + count_ - (full ? 1 : 0)) % most_events];
  if (r.event == nullptr) {
    const sluice::cuda::device_scope scope(*owner);  // the caller's may be another
    if (const cudaError_t error = cudaEventCreateWithFlags(&r.event, cudaEventDisableTiming); error != cudaSuccess)
      return error;
  }
  if (const cudaError_t error = cudaEventRecord(r.event, stream); error != cudaSuccess) return error;
  r.number = now;
  recorded_ = now;
  if (!full) ++count_;
  return cudaSuccess;
}

// There is one: `number` is recorded, and not known to be reached.
sluice_queue::recorded_event& sluice_queue::first_event_from(std::uint64_t number) {
  std::size_t i = 0;
  while (events_[(first_ + i) % most_events].number < number) ++i;
  return events_[(first_ + i) % most_events];
}
