#include "queue.hpp"

#include <algorithm>
#include <new>
#include <thread>

namespace sluice::cuda {
namespace {

using clock = std::chrono::steady_clock;

// Work that waits longer than this behind other work takes a queue of its own; below it, crossing queues costs more.
constexpr std::chrono::microseconds short_wait{30};

// A waiter spins this long, then sleeps between looks.
constexpr std::chrono::milliseconds spin_time{1};
constexpr std::chrono::microseconds nap{50};

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

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

cudaError_t queue_pool::take_event(cudaEvent_t* event) {
  {
    const std::lock_guard lock(events_mutex_);
    if (!events_.empty()) {
      *event = events_.back();
      events_.pop_back();
      return cudaSuccess;
    }
  }
  return cudaEventCreateWithFlags(event, cudaEventDisableTiming);
}

void queue_pool::keep_event(cudaEvent_t event) {
  const std::lock_guard lock(events_mutex_);
  events_.push_back(event);
}

sluice_event* make_event(device& d, sluice_message* message) {
  auto event = std::unique_ptr<sluice_event>(new (std::nothrow) sluice_event{&d, nullptr, 1});
  if (event == nullptr) {
    fail(SLUICE_OUT_OF_MEMORY, message, "cuda:%d: no memory for an event", d.index);
    return nullptr;
  }
  const cudaError_t error = d.queues->take_event(&event->handle);
  if (d.check(error, "making an event", message) != SLUICE_OK) return nullptr;
  return event.release();
}

void drop(sluice_event* event) {
  if (event->references.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  event->owner->queues->keep_event(event->handle);
  delete event;
}

bool passed(sluice_event* event) {
  const cudaError_t error = cudaEventQuery(event->handle);
  if (error == cudaSuccess) return true;
  if (error != cudaErrorNotReady) return event->owner->check(error, "earlier work", nullptr) != SLUICE_OK;
  static_cast<void>(cudaGetLastError());
  return false;
}

sluice_status cuda_queue_acquire(std::int32_t index, sluice_queue** queue, sluice_message* message) {
  *queue = nullptr;
  device& d = device_at(index);
  const device_scope scope(d, message);
  return scope.refused() ? scope.status() : d.queues->acquire(queue, message);
}

void cuda_queue_release(std::int32_t index, sluice_queue* queue) { device_at(index).queues->release(queue); }

sluice_status cuda_event_create(std::int32_t index, sluice_event** event, sluice_message* message) {
  *event = nullptr;
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  *event = make_event(d, message);
  return *event != nullptr ? SLUICE_OK : d.lost() ? SLUICE_DEVICE_LOST : SLUICE_OUT_OF_MEMORY;
}

void cuda_event_destroy(std::int32_t, sluice_event* event) {
  if (event != nullptr) drop(event);
}

sluice_status cuda_event_record(sluice_event* event, sluice_queue* queue, sluice_message* message) {
  const device_scope scope(*event->owner, message);
  if (scope.refused()) return scope.status();
  return event->owner->check(cudaEventRecord(event->handle, queue->stream), "recording an event", message);
}

sluice_status cuda_queue_wait_event(sluice_queue* queue, sluice_event* event, sluice_message* message) {
  const device_scope scope(*queue->owner, message);
  if (scope.refused()) return scope.status();
  return queue->owner->check(cudaStreamWaitEvent(queue->stream, event->handle, 0), "waiting for an event", message);
}

sluice_status cuda_event_wait(sluice_event* event, sluice_message* message) {
  device& d = *event->owner;
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  const auto spin_end = clock::now() + spin_time;
  for (;;) {
    const cudaError_t error = cudaEventQuery(event->handle);
    if (error != cudaErrorNotReady) return d.check(error, "earlier work", message);
    static_cast<void>(cudaGetLastError());
    if (clock::now() > spin_end)
      std::this_thread::sleep_for(nap);
    else
      for (int i = 0; i < 16; ++i) relax();
  }
}

}  // namespace sluice::cuda

void sluice_queue::add_work(double seconds) {
  using namespace std::chrono;
  const auto now = steady_clock::now();
  busy_until = std::max(busy_until, now) + duration_cast<steady_clock::duration>(duration<double>(seconds));
}
