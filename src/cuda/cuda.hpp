// Private header of the CUDA backend: the host, devices, queues, memory, and the slots of its table.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "sluice/backend_api.h"

namespace sluice::cuda {

// The host that core passed to the entry function.
const sluice_host& host();

// Writes the sentence into `message`, which may be null, and returns `status`.
[[gnu::format(printf, 3, 4)]] sluice_status fail(sluice_status status, sluice_message* message, const char* format, ...);

// body(i) for every i in [0, count) on the process's one pool. `body` must not throw.
template <class F>
void parallel_for(std::int64_t count, F&& body) {
  using function = std::remove_reference_t<F>;
  host().parallel_for(
      count, [](void* context, std::int64_t i) { (*static_cast<function*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

class checked_products;
class matmul_plans;
class memory_pool;
class queue_pool;

// One GPU. Made when devices are counted, never destroyed.
class device {
 public:
  explicit device(std::int32_t index);

  // Status and message of a CUDA or cuBLAS result. A sticky error marks the device as lost.
  sluice_status check(cudaError_t error, const char* call, sluice_message* message);
  sluice_status check(cublasStatus_t status, const char* call, sluice_message* message);

  // Refuses a lost device, and a forked child.
  sluice_status usable(sluice_message* message) const;
  sluice_status wake(sluice_message* message);
  void info(sluice_device_info* out);

  [[nodiscard]] bool awake() const { return awake_.load(std::memory_order_acquire); }
  [[nodiscard]] bool lost() const { return lost_.load(std::memory_order_acquire); }

  const std::int32_t index;
  int multiprocessors = 0;
  int compute_capability = 0;  // 90 for 9.0
  std::size_t memory_total = 0;
  std::unique_ptr<memory_pool> memory;
  std::unique_ptr<queue_pool> queues;
  std::unique_ptr<checked_products> products;

 private:
  void lose(cudaError_t error, const char* call);

  char name_[128] = {};
  std::atomic<bool> awake_{false};
  std::atomic<bool> lost_{false};
  char state_[160] = {};  // written once, before lost_
};

// Counts the devices that the driver shows, and creates their objects; the message says why there are none.
sluice_status count_devices(std::int32_t* count, sluice_message* message);
device& device_at(std::int32_t index);

// True in a child that fork made of a process that had started CUDA.
bool forked();

// Makes the device the calling thread's current one for the duration of a slot, if it is usable. Meanwhile calls such as an
// allocation or a query of an event do not fail because another thread captures a graph.
class device_scope {
 public:
  explicit device_scope(const device& d, sluice_message* message = nullptr);
  ~device_scope();
  device_scope(const device_scope&) = delete;
  device_scope& operator=(const device_scope&) = delete;

  [[nodiscard]] bool refused() const { return status_ != SLUICE_OK; }
  [[nodiscard]] sluice_status status() const { return status_; }

 private:
  sluice_status status_ = SLUICE_OK;
  int before_ = -1;                                               // the device to restore; -1: none
  cudaStreamCaptureMode capture_ = cudaStreamCaptureModeRelaxed;  // after the exchange: the thread's own, to restore
};

// The pool of pinned host memory, one for all devices, and whether all bytes of [data, data + bytes) are pinned, by this
// pool or by the application.
memory_pool& pinned_memory();
bool is_pinned(const void* data, std::size_t bytes);
bool in_pinned_pool(const void* data);

// Memory of `d`'s pool for one operation, released after the work that its queue has by then.
class scratch {
 public:
  scratch(device& d, memory_pool& pool, sluice_queue* queue) : device_(d), pool_(pool), queue_(queue) {}
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  sluice_status allocate(std::size_t bytes, sluice_message* message);
  [[nodiscard]] void* data() const { return data_; }
  void unused() { in_use_ = false; }  // all work of the queue has been waited for

 private:
  device& device_;
  memory_pool& pool_;
  sluice_queue* queue_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool in_use_ = true;
};

// A point in a queue: the end of the work that it had then.
struct position {
  sluice_queue* queue = nullptr;
  std::uint64_t number = 0;
};

// For critical sections of a few hundred nanoseconds: sleeping and waking would take a hundred times that.
class spin_lock {
 public:
  bool try_lock() { return !taken_.load(std::memory_order_relaxed) && !taken_.exchange(true, std::memory_order_acquire); }
  void lock();
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_{false};
};

void relax();  // tells the core that this thread spins

}  // namespace sluice::cuda

struct sluice_event {
  sluice::cuda::device* owner;
  sluice::cuda::position at;
};

// Borrowed by one thread at a time; any thread may ask about positions in it.
//
// A position costs nothing until a thread waits for it: only then is a CUDA event recorded, at the end of the work that the
// queue has by then. To bound that later work, an event is recorded before it grows long.
struct sluice_queue {
  sluice::cuda::device* owner = nullptr;
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;                // made at the first product
  sluice::cuda::matmul_plans* plans = nullptr;  // beside blas; null where there was no memory for it
  void* workspace = nullptr;
  unsigned* counters = nullptr;                        // of strict products in parts: zeros between products
  std::chrono::steady_clock::time_point busy_until{};  // by estimate; steers queue_acquire

  // Announces work of about this duration, which is enqueued next.
  void add_work(double seconds);
  // The end of the work so far. An exact position is delayed by no later work.
  sluice::cuda::position position();
  cudaError_t exact_position(sluice::cuda::position* m);

  // cudaSuccess when the device has reached the position, cudaErrorNotReady, or an error. With `wait_for_lock` false it is
  // not ready while another thread asks.
  cudaError_t reached(std::uint64_t number, bool wait_for_lock = true);
  // Updates how far the device is from the recorded events.
  void look();
  // True if it probably has pending work; estimated, without a driver call.
  [[nodiscard]] bool has_work() const;
  // From what is known without a driver call.
  [[nodiscard]] bool known_reached(std::uint64_t number) const { return reached_.load(std::memory_order_acquire) >= number; }
  // Makes `other` wait on the device until it has reached the position.
  cudaError_t hold_back(cudaStream_t other, std::uint64_t number);

 private:
  struct recorded_event {
    std::uint64_t number;
    cudaEvent_t event;
  };
  static constexpr std::size_t most_events = 128;

  cudaError_t record_up_to(std::uint64_t number);
  recorded_event& first_event_from(std::uint64_t number);

  std::atomic<std::uint64_t> issued_{0};   // positions issued
  std::atomic<std::uint64_t> reached_{0};  // the last position known to be reached
  double seconds_unrecorded_ = 0;          // estimated work since the last event; used by the borrower only
  sluice::cuda::spin_lock lock_;           // of what follows
  recorded_event events_[most_events] =
      {};  // a ring of events not known to be reached, ascending; those past the last are spare
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t recorded_ = 0;  // the number of the last event
};

namespace sluice::cuda {

// True if the device has reached the position; always true for a lost device.
bool passed(const position& m);
sluice_status wait_for(const position& m, sluice_message* message);

// Elements of a rank at most 8 array, without extents of 1 and with neighbouring dimensions merged where both arrays allow
// it.
struct paired {
  std::int32_t rank = 0;
  std::int64_t extents[SLUICE_MAX_RANK] = {};
  std::int64_t target[SLUICE_MAX_RANK] = {};  // strides
  std::int64_t source[SLUICE_MAX_RANK] = {};

  [[nodiscard]] bool target_contiguous() const { return rank == 0 || (rank == 1 && target[0] == 1); }
  [[nodiscard]] bool source_contiguous() const { return rank == 0 || (rank == 1 && source[0] == 1); }
};
paired pair(const sluice_array& target, const sluice_array& source);

std::size_t element_size(std::int32_t dtype);
std::int64_t count_of(const sluice_array& a);
// `a`'s extents over `data`, row-major without gaps.
sluice_array packed(const sluice_array& a, std::int32_t dtype, void* data);

// Kernels (transform.cu): target = source, with its dtype; target = value. Both on the device.
cudaError_t transform(sluice_queue& queue, const sluice_array& target, const sluice_array& source);
cudaError_t fill(sluice_queue& queue, const sluice_array& target, double value);
// A few KiB from the device to memory of the pinned pool; both begin on 16 bytes.
cudaError_t write_out(sluice_queue& queue, void* target, const void* source, std::size_t bytes);

// Slots
sluice_status cuda_allocate(std::int32_t, std::int32_t kind, std::size_t bytes, void** data, sluice_message*);
void cuda_deallocate(std::int32_t, std::int32_t kind, void* data, std::size_t bytes);
void cuda_deallocate_after(std::int32_t, std::int32_t kind, void* data, std::size_t bytes, sluice_event* const* events,
                           std::int32_t count);
sluice_status cuda_memory_stats(std::int32_t, std::int32_t kind, sluice_memory_stats*, sluice_message*);
void cuda_memory_trim(std::int32_t, std::int32_t kind);

sluice_status cuda_queue_acquire(std::int32_t, sluice_queue**, sluice_message*);
void cuda_queue_release(std::int32_t, sluice_queue*);
sluice_status cuda_event_create(std::int32_t, sluice_event**, sluice_message*);
void cuda_event_destroy(std::int32_t, sluice_event*);
sluice_status cuda_event_record(sluice_event*, sluice_queue*, sluice_message*);
sluice_status cuda_queue_wait_event(sluice_queue*, sluice_event*, sluice_message*);
sluice_status cuda_event_wait(sluice_event*, sluice_message*);

sluice_status cuda_copy(std::int32_t, sluice_queue*, const sluice_array* target, const sluice_array* source,
                        sluice_message*);
sluice_status cuda_fill(std::int32_t, sluice_queue*, const sluice_array* target, double value, sluice_message*);
sluice_status cuda_matmul(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* b, const sluice_array* out,
                          std::int32_t precision, sluice_message*);
sluice_status cuda_rowsum(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* out, sluice_message*);

}  // namespace sluice::cuda
