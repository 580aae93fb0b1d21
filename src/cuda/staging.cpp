#include "staging.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <thread>

#include "memory.hpp"

namespace sluice::cuda {
namespace {

constexpr std::int64_t least_piece = 128 << 10;  // bytes: long enough for the bus, short enough to start soon
constexpr std::int64_t most_piece = 1 << 20;
constexpr std::int64_t ring_pieces = 32;            // of one pinned buffer
constexpr std::int64_t most_threads = 8;            // of 10 GB/s each, for a bus of 55
constexpr std::int64_t bytes_a_thread = 512 << 10;  // fewer would be copied before a sleeping thread is awake
constexpr std::size_t driver_bytes = 64 << 10;      // up to here the driver's own staging is sooner done
constexpr double bus_rate = 40e9;                   // bytes per second, for estimates
constexpr std::chrono::microseconds short_wait{200};

}  // namespace

// A ring of pieces in one pinned buffer. Threads of the pool take pieces in order and move them between the array and the
// ring; piece i uses the slot of piece i - ring_pieces once that has left it.
class host_copy::ring {
 public:
  ring(host_copy& c, sluice_message* message)
      : copy_(c),
        buffer_(c.device_, pinned_memory(), &c.queue_),
        pieces_((c.count_ + c.piece_ - 1) / c.piece_),
        slots_(std::min(pieces_, ring_pieces)) {
    status_ = buffer_.allocate(static_cast<std::size_t>(std::min(slots_ * c.piece_, c.count_) * c.size_), message);
  }

  [[nodiscard]] sluice_status status() const { return status_; }

  sluice_status upload(sluice_message* message) {
    on_threads(slots_, [this](std::int64_t i) { return stage_and_send(i); });
    // Of work that was cancelled no piece may have been sent; core discards its result.
    if (pieces_ > slots_ && error_.load() == cudaSuccess && next_.load() >= slots_) {
      // Earlier work of the queue is waited for here, where no threads of the pool are held.
      if (const auto s = wait_for(slot_of(0).moved, message); s != SLUICE_OK) return s;
      on_threads(pieces_, [this](std::int64_t i) { return stage_and_send(i); });
    }
    return copy_.device_.check(error_.load(), "copying to the device", message);
  }

  sluice_status download(sluice_message* message, bool soon) {
    cudaError_t error = cudaSuccess;
    for (std::int64_t i = 0; i < slots_ && error == cudaSuccess; ++i) error = fetch(i);
    if (error != cudaSuccess) return copy_.device_.check(error, "copying from the device", message);
    if (!soon)
      if (const auto s = wait_for(slot_of(0).moved, message); s != SLUICE_OK) return s;
    on_threads(pieces_, [this](std::int64_t i) { return receive(i); });
    return copy_.device_.check(error_.load(), "copying from the device", message);
  }

 private:
  struct slot {
    std::atomic<std::int64_t> staged{-1};  // the piece that lies in the buffer, ready to be sent
    std::atomic<std::int64_t> issued{-1};  // the piece whose copy the queue has
    position moved;                        // the end of that copy; written before `issued`
  };

  slot& slot_of(std::int64_t piece) { return ring_[static_cast<std::size_t>(piece % ring_pieces)]; }
  [[nodiscard]] char* buffer(std::int64_t piece) const {
    return static_cast<char*>(buffer_.data()) + piece % ring_pieces * copy_.piece_ * copy_.size_;
  }
  [[nodiscard]] std::int64_t elements(std::int64_t first, std::int64_t pieces) const {
    return std::min(pieces * copy_.piece_, copy_.count_ - first * copy_.piece_);
  }

  // f(i) for the pieces not taken yet, up to `end`, each thread taking the next. The first error ends it.
  template <class F>
  void on_threads(std::int64_t end, F&& f) {
    const std::int64_t bytes = (end - next_.load()) * copy_.piece_ * copy_.size_;
    parallel_for(std::clamp<std::int64_t>(bytes / bytes_a_thread, 1, most_threads), [&](std::int64_t) {
      const device_scope scope(copy_.device_);  // the pool's threads know nothing of devices
      if (scope.refused()) return fail_with(cudaErrorUnknown);
      while (error_.load(std::memory_order_relaxed) == cudaSuccess) {
        std::int64_t i = next_.load(std::memory_order_relaxed);
        do {
          if (i >= end) return;
        } while (!next_.compare_exchange_weak(i, i + 1, std::memory_order_relaxed));
        if (const cudaError_t error = f(i); error != cudaSuccess) fail_with(error);
      }
    });
  }

  void fail_with(cudaError_t error) { error_.store(error, std::memory_order_relaxed); }

  // Until the copy of `piece` is over; a copy before it has been waited for, so the device is at it or nearly so.
  cudaError_t wait_moved(std::int64_t piece) {
    slot& s = slot_of(piece);
    for (int turns = 0;; ++turns) {
      if (s.issued.load(std::memory_order_acquire) == piece) {
        const cudaError_t error = s.moved.queue->reached(s.moved.number, false);
        if (error != cudaErrorNotReady) return error;
      }
      if (const cudaError_t error = error_.load(std::memory_order_relaxed); error != cudaSuccess) return error;
      if (turns < 10000)
        for (int i = 0; i < 16; ++i) relax();
      else
        std::this_thread::yield();
    }
  }

  cudaError_t stage_and_send(std::int64_t piece) {
    if (piece >= ring_pieces)
      if (const cudaError_t error = wait_moved(piece - ring_pieces); error != cudaSuccess) return error;
    copy_.stage<true>(buffer(piece), piece * copy_.piece_, elements(piece, 1));
    slot_of(piece).staged.store(piece, std::memory_order_release);
    // One thread at a time speaks to the driver, and sends for the others meanwhile: they would wait for its lock.
    if (unsent_.fetch_add(1, std::memory_order_acq_rel) != 0) return cudaSuccess;
    std::int64_t sent = 0;
    do {
      sent = 0;
      if (const cudaError_t error = send_staged(&sent); error != cudaSuccess) return error;
    } while (unsent_.fetch_sub(sent, std::memory_order_acq_rel) != sent);
    return cudaSuccess;
  }

  // Sends what is staged, neighbours as one.
  cudaError_t send_staged(std::int64_t* sent) {
    for (std::int64_t k = 0; k < slots_;) {
      const std::int64_t piece = to_send(k);
      std::int64_t run = 0;
      if (piece >= 0)
        for (run = 1; k + run < slots_ && to_send(k + run) == piece + run;) ++run;
      if (run > 0) {
        host_copy& c = copy_;
        const std::int64_t first = piece * c.piece_;
        cudaError_t error = cudaMemcpyAsync(c.on_device_ + first * c.size_, buffer(piece),
                                            static_cast<std::size_t>(elements(piece, run) * c.size_), cudaMemcpyHostToDevice,
                                            c.queue_.stream);
        position moved;
        if (error == cudaSuccess && pieces_ > slots_) error = c.queue_.exact_position(&moved);
        if (error != cudaSuccess) return error;
        for (std::int64_t i = piece; i < piece + run; ++i) {
          slot_of(i).moved = moved;
          slot_of(i).issued.store(i, std::memory_order_release);
        }
        *sent += run;
      }
      k += std::max<std::int64_t>(run, 1);
    }
    return cudaSuccess;
  }

  // The piece of slot k that is staged and not sent; -1 when there is none.
  std::int64_t to_send(std::int64_t k) {
    const slot& s = ring_[static_cast<std::size_t>(k)];
    const std::int64_t staged = s.staged.load(std::memory_order_acquire);
    return staged != s.issued.load(std::memory_order_relaxed) ? staged : -1;
  }

  cudaError_t fetch(std::int64_t piece) {
    host_copy& c = copy_;
    const std::int64_t first = piece * c.piece_;
    slot& s = slot_of(piece);
    const std::lock_guard lock(driver_);
    cudaError_t error =
        cudaMemcpyAsync(buffer(piece), c.on_device_ + first * c.size_,
                        static_cast<std::size_t>(elements(piece, 1) * c.size_), cudaMemcpyDeviceToHost, c.queue_.stream);
    if (error == cudaSuccess) error = c.queue_.exact_position(&s.moved);
    if (error == cudaSuccess) s.issued.store(piece, std::memory_order_release);
    return error;
  }

  cudaError_t receive(std::int64_t piece) {
    if (const cudaError_t error = wait_moved(piece); error != cudaSuccess) return error;
    copy_.stage<false>(buffer(piece), piece * copy_.piece_, elements(piece, 1));
    return piece + ring_pieces < pieces_ ? fetch(piece + ring_pieces) : cudaSuccess;
  }

  host_copy& copy_;
  scratch buffer_;
  const std::int64_t pieces_;
  const std::int64_t slots_;
  sluice_status status_ = SLUICE_OK;
  std::atomic<std::int64_t> next_{0};    // the piece to be taken next
  std::atomic<std::int64_t> unsent_{0};  // staged and not yet sent; the thread that raises it from 0 sends
  std::atomic<cudaError_t> error_{cudaSuccess};
  spin_lock driver_;
  std::array<slot, ring_pieces> ring_;
};

host_copy::host_copy(device& d, sluice_queue& q, const sluice_array& on_host, void* on_device)
    : device_(d),
      queue_(q),
      host_(static_cast<char*>(on_host.data)),
      layout_(pair(on_host, on_host)),
      on_device_(static_cast<char*>(on_device)),
      size_(static_cast<std::int64_t>(element_size(on_host.dtype))),
      count_(count_of(on_host)),
      piece_(std::clamp(count_ * size_ / 16, least_piece, most_piece) / 4096 * 4096 / size_),
      soon_(q.busy_until < std::chrono::steady_clock::now() + short_wait),
      behind_(q.has_work()) {
  q.add_work(4e-6 + static_cast<double>(bytes()) / bus_rate);
}

sluice_status host_copy::upload(sluice_message* message) {
  if (needs_no_staging()) return straight(on_device_, host_, cudaMemcpyHostToDevice, message);
  ring r(*this, message);
  return r.status() == SLUICE_OK ? r.upload(message) : r.status();
}

sluice_status host_copy::download(sluice_message* message) {
  const bool whole = layout_.target_contiguous() && reinterpret_cast<std::uintptr_t>(on_device_) % 16 == 0;
  if (whole && behind_ && bytes() <= driver_bytes) return by_kernel(message);
  if (needs_no_staging()) return straight(host_, on_device_, cudaMemcpyDeviceToHost, message);
  ring r(*this, message);
  return r.status() == SLUICE_OK ? r.download(message, soon_) : r.status();
}

bool host_copy::needs_no_staging() const {
  return layout_.target_contiguous() && (bytes() <= driver_bytes || is_pinned(host_, bytes()));
}

// A kernel that writes to pinned memory: behind other kernels it is done 6 us before a copy, for which the device changes to
// another engine; with nothing before it, 2 us after.
sluice_status host_copy::by_kernel(sluice_message* message) {
  scratch staged(device_, pinned_memory(), &queue_);
  const bool in_place = reinterpret_cast<std::uintptr_t>(host_) % 16 == 0 && in_pinned_pool(host_);
  if (!in_place)
    if (const auto s = staged.allocate(bytes(), message); s != SLUICE_OK) return s;
  void* to = in_place ? host_ : staged.data();
  cudaError_t error = write_out(queue_, to, on_device_, bytes());
  position written;
  if (error == cudaSuccess && !in_place) error = queue_.exact_position(&written);
  if (error != cudaSuccess || in_place) return device_.check(error, "copying from the device", message);
  if (const auto s = wait_for(written, message); s != SLUICE_OK) return s;
  staged.unused();
  std::memcpy(host_, to, bytes());
  return SLUICE_OK;
}

sluice_status host_copy::straight(void* target, const void* source, cudaMemcpyKind kind, sluice_message* message) {
  return device_.check(cudaMemcpyAsync(target, source, bytes(), kind, queue_.stream), "copying", message);
}

// Moves elements [first, first + count) of the host's array, in row-major order, to `buffer`, or from it.
template <bool pack>
void host_copy::stage(char* buffer, std::int64_t first, std::int64_t count) const {
  const auto move = [&](char* host, std::int64_t n) {
    if constexpr (pack)
      std::memcpy(buffer, host, static_cast<std::size_t>(n * size_));
    else
      std::memcpy(host, buffer, static_cast<std::size_t>(n * size_));
    buffer += n * size_;
  };
  if (layout_.target_contiguous()) return move(host_ + first * size_, count);
  const int inner = layout_.rank - 1;
  std::int64_t at[SLUICE_MAX_RANK] = {};
  for (int i = inner; i >= 0; first /= layout_.extents[i--]) at[i] = first % layout_.extents[i];
  while (count > 0) {
    std::int64_t offset = 0;
    for (int i = 0; i <= inner; ++i) offset += at[i] * layout_.target[i];
    const std::int64_t step = layout_.target[inner];
    const std::int64_t run = std::min(layout_.extents[inner] - at[inner], count);
    if (step == 1)
      move(host_ + offset * size_, run);
    else
      for (std::int64_t i = 0; i < run; ++i) move(host_ + (offset + i * step) * size_, 1);
    count -= run;
    at[inner] += run;
    for (int i = inner; i > 0 && at[i] == layout_.extents[i]; --i) {
      at[i] = 0;
      ++at[i - 1];
    }
  }
}

}  // namespace sluice::cuda
