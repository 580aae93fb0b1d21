// Private header of the CUDA backend: the host that core lent, devices, queues, memory, and the slots of its table.
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

// What core lent when it entered the backend.
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

class matmul_plans;
class memory_pool;
class queue_pool;

// One GPU. Made when devices are counted, never destroyed.
class device {
 public:
  explicit device(std::int32_t index);

  // Status and sentence for what a CUDA or cuBLAS call gave. A sticky error marks the device as lost.
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

 private:
  void lose(cudaError_t error, const char* call);

  char name_[128] = {};
  std::atomic<bool> awake_{false};
  std::atomic<bool> lost_{false};
  char state_[160] = {};  // written once, before lost_
};

// Counts the devices that the driver shows, and makes them; a refusal says why there are none.
sluice_status count_devices(std::int32_t* count, sluice_message* message);
device& device_at(std::int32_t index);

// True in a child that fork made of a process that had started CUDA.
bool forked();

// The device made the calling thread's current one, for as long as a slot runs, if it is usable.
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
  int before_ = -1;  // to be made current again; -1: nothing to restore
};

// The pool of pinned host memory, one for all devices, and whether all bytes of [data, data + bytes) are pinned, by this
// pool or by the application.
memory_pool& pinned_memory();
bool is_pinned(const void* data, std::size_t bytes);
bool in_pinned_pool(const void* data);

// Memory of `d`'s pool for the length of one operation: given back behind what its queue was handed so far.
class scratch {
 public:
  scratch(device& d, memory_pool& pool, sluice_queue* queue) : device_(d), pool_(pool), queue_(queue) {}
  ~scratch();
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  sluice_status allocate(std::size_t bytes, sluice_message* message);
  [[nodiscard]] void* data() const { return data_; }
  void unused() { in_use_ = false; }  // all that the queue was handed has been waited for

 private:
  device& device_;
  memory_pool& pool_;
  sluice_queue* queue_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool in_use_ = true;
};

// A point in a queue: the end of the work that it was given up to then.
struct mark {
  sluice_queue* queue = nullptr;
  std::uint64_t number = 0;
};

// For sections of a few hundred nanoseconds, where putting a thread to sleep and waking it would take a hundred times that.
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
  sluice::cuda::mark at;
};

// Borrowed by one thread at a time; marks in it are asked for by any.
//
// A mark costs nothing until someone waits for it: only then is a CUDA event recorded, at the end of what the queue has by
// that time. That later work may not keep anyone waiting, so an event is recorded before it grows long.
struct sluice_queue {
  sluice::cuda::device* owner = nullptr;
  cudaStream_t stream = nullptr;
  cublasHandle_t blas = nullptr;                // made at the first product
  int math_mode = -1;                           // of blas
  sluice::cuda::matmul_plans* plans = nullptr;  // beside blas; null where there was no memory for it
  void* workspace = nullptr;
  std::chrono::steady_clock::time_point busy_until{};  // by estimate; steers queue_acquire

  // Notes work that takes about this long and is handed over next.
  void add_work(double seconds);
  // The end of the work so far. An exact mark is one that no later work delays.
  sluice::cuda::mark mark();
  cudaError_t exact_mark(sluice::cuda::mark* m);

  // Whether the device is there yet: cudaSuccess, cudaErrorNotReady, or what went wrong. With `patient` false it says not
  // ready while another thread asks.
  cudaError_t reached(std::uint64_t number, bool patient = true);
  // Learns how far the device is from the events there are.
  void look();
  // Whether it was handed work that is not known to be over, and by estimate may not be.
  [[nodiscard]] bool has_work() const;
  // As far as is known without asking the driver.
  [[nodiscard]] bool known_reached(std::uint64_t number) const { return reached_.load(std::memory_order_acquire) >= number; }
  // `other` goes on only when the device is there.
  cudaError_t hold_back(cudaStream_t other, std::uint64_t number);

 private:
  struct record {
    std::uint64_t number;
    cudaEvent_t event;
  };
  static constexpr std::size_t most_records = 128;

  cudaError_t record_up_to(std::uint64_t number);
  record& first_record_from(std::uint64_t number);

  std::atomic<std::uint64_t> issued_{0};   // marks given
  std::atomic<std::uint64_t> reached_{0};  // marks that the device is known to have reached
  double seconds_unrecorded_ = 0;          // of work since the last record, by estimate; the borrower's
  sluice::cuda::spin_lock lock_;           // of what follows
  record records_[most_records] = {};      // a ring: not known to be reached, ascending; events past the last are spare
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::uint64_t recorded_ = 0;  // the last record's number
};

namespace sluice::cuda {

// Whether the device has reached the mark; a device that is lost has.
bool passed(const mark& m);
sluice_status wait_for(const mark& m, sluice_message* message);

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
