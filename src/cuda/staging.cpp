#include "staging.hpp"

#include <algorithm>
#include <cstring>

#include "memory.hpp"

namespace sluice::cuda {
namespace {

constexpr std::int64_t piece_bytes = 512 << 10;  // long enough for the bus, short enough to start soon
constexpr std::int64_t window_pieces = 32;       // of one pinned buffer; two are under way at once
constexpr std::size_t driver_bytes = 64 << 10;   // up to here the driver's own staging is sooner done
constexpr double bus_rate = 40e9;                // bytes per second, for estimates

}  // namespace

// One pinned buffer, and the events that say how far its pieces are.
class host_copy::window {
 public:
  explicit window(host_copy& c) : copy_(c), staging_(c.device_, pinned_memory(), &c.queue_) {}
  ~window() {
    for (sluice_event* e : events_)
      if (e != nullptr) drop(e);
  }
  window(const window&) = delete;
  window& operator=(const window&) = delete;

  sluice_status send(std::int64_t first, sluice_message* message) {
    if (count_ > 0)  // what the buffer held must have left
      if (const auto s = cuda_event_wait(events_[0], message); s != SLUICE_OK) return s;
    if (const auto s = begin(first, message); s != SLUICE_OK) return s;
    host_copy& c = copy_;
    cudaError_t error = c.each_piece(count_, [&](std::int64_t from, std::int64_t n) {
      c.stage<true>(buffer(from), first + from, n);
      return cudaMemcpyAsync(c.on_device_ + (first + from) * c.size_, buffer(from), static_cast<std::size_t>(n * c.size_),
                             cudaMemcpyHostToDevice, c.queue_.stream);
    });
    if (error == cudaSuccess) error = mark(0, message);
    return c.device_.check(error, "copying to the device", message);
  }

  sluice_status fetch(std::int64_t first, sluice_message* message) {
    if (const auto s = begin(first, message); s != SLUICE_OK) return s;
    host_copy& c = copy_;
    cudaError_t error = cudaSuccess;
    for (std::int64_t from = 0; from < count_ && error == cudaSuccess; from += c.piece_) {
      const std::int64_t n = std::min(c.piece_, count_ - from);
      error = cudaMemcpyAsync(buffer(from), c.on_device_ + (first + from) * c.size_, static_cast<std::size_t>(n * c.size_),
                              cudaMemcpyDeviceToHost, c.queue_.stream);
      if (error == cudaSuccess) error = mark(from / c.piece_, message);
    }
    return c.device_.check(error, "copying from the device", message);
  }

  // Moves what was fetched, if anything, to its place.
  sluice_status empty(sluice_message* message) {
    if (count_ == 0) return SLUICE_OK;
    host_copy& c = copy_;
    // The queue's earlier work is waited for here, where no threads of the pool are held.
    if (const auto s = cuda_event_wait(events_[0], message); s != SLUICE_OK) return s;
    const cudaError_t error = c.each_piece(count_, [&](std::int64_t from, std::int64_t n) {
      const cudaError_t late = cudaEventSynchronize(events_[static_cast<std::size_t>(from / c.piece_)]->handle);
      if (late == cudaSuccess) c.stage<false>(buffer(from), first_ + from, n);
      return late;
    });
    count_ = 0;
    return c.device_.check(error, "copying from the device", message);
  }

 private:
  sluice_status begin(std::int64_t first, sluice_message* message) {
    first_ = first;
    count_ = std::min(copy_.piece_ * window_pieces, copy_.count_ - first);
    if (staging_.data() != nullptr) return SLUICE_OK;  // no later part is longer than the first
    return staging_.allocate(static_cast<std::size_t>(count_ * copy_.size_), message);
  }

  [[nodiscard]] char* buffer(std::int64_t from) const { return static_cast<char*>(staging_.data()) + from * copy_.size_; }

  cudaError_t mark(std::int64_t piece, sluice_message* message) {
    sluice_event*& e = events_[static_cast<std::size_t>(piece)];
    if (e == nullptr) e = make_event(copy_.device_, message);
    return e == nullptr ? cudaErrorMemoryAllocation : cudaEventRecord(e->handle, copy_.queue_.stream);
  }

  host_copy& copy_;
  scratch staging_;
  std::array<sluice_event*, window_pieces> events_{};
  std::int64_t first_ = 0;
  std::int64_t count_ = 0;
};

host_copy::host_copy(device& d, sluice_queue& q, const sluice_array& on_host, void* on_device)
    : device_(d),
      queue_(q),
      host_(static_cast<char*>(on_host.data)),
      layout_(pair(on_host, on_host)),
      on_device_(static_cast<char*>(on_device)),
      size_(static_cast<std::int64_t>(element_size(on_host.dtype))),
      count_(count_of(on_host)),
      piece_(piece_bytes / size_) {
  q.add_work(4e-6 + static_cast<double>(bytes()) / bus_rate);
}

sluice_status host_copy::upload(sluice_message* message) {
  if (needs_no_staging()) return straight(on_device_, host_, cudaMemcpyHostToDevice, message);
  window windows[2] = {window(*this), window(*this)};
  int turn = 0;
  for (std::int64_t first = 0; first < count_; first += piece_ * window_pieces, turn ^= 1)
    if (const auto s = windows[turn].send(first, message); s != SLUICE_OK) return s;
  return SLUICE_OK;
}

sluice_status host_copy::download(sluice_message* message) {
  if (needs_no_staging()) return straight(host_, on_device_, cudaMemcpyDeviceToHost, message);
  window windows[2] = {window(*this), window(*this)};
  int turn = 0;
  for (std::int64_t first = 0; first < count_; first += piece_ * window_pieces, turn ^= 1) {
    if (const auto s = windows[turn].empty(message); s != SLUICE_OK) return s;
    if (const auto s = windows[turn].fetch(first, message); s != SLUICE_OK) return s;
  }
  if (const auto s = windows[turn].empty(message); s != SLUICE_OK) return s;
  return windows[turn ^ 1].empty(message);
}

bool host_copy::needs_no_staging() const {
  return layout_.target_contiguous() && (bytes() <= driver_bytes || is_pinned(host_, bytes()));
}

sluice_status host_copy::straight(void* target, const void* source, cudaMemcpyKind kind, sluice_message* message) {
  return device_.check(cudaMemcpyAsync(target, source, bytes(), kind, queue_.stream), "copying", message);
}

// f on each piece of `count` elements, on as many threads as there are. The first error ends it.
template <class F>
cudaError_t host_copy::each_piece(std::int64_t count, F&& f) {
  if (count <= piece_) return f(std::int64_t{0}, count);
  std::atomic<cudaError_t> first_error{cudaSuccess};
  parallel_for((count + piece_ - 1) / piece_, [&](std::int64_t i) {
    const device_scope scope(device_);  // the pool's threads know nothing of devices
    if (scope.refused() || first_error.load(std::memory_order_relaxed) != cudaSuccess) return;
    const cudaError_t error = f(i * piece_, std::min(piece_, count - i * piece_));
    if (error != cudaSuccess) first_error.store(error, std::memory_order_relaxed);
  });
  return first_error.load();
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
