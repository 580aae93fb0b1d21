// Memory of one device, and the order of the work on it. A storage carries the events of its last write and of the reads
// since: another queue waits for them on the device, the host waits for them here.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "registry.hpp"
#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

// One recorded event of one backend, owned.
class event {
 public:
  event(const core::place_of_work& at, const char* operation);
  ~event();
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  void record(sluice_queue* queue);
  void wait_on_host() const;     // throws what the work before it failed with, naming the operation
  void settle() const noexcept;  // waits; how it ended is told to nobody here
  void wait_on(const sluice_backend* table, sluice_queue* queue) const;  // on the device where it can, else on the host

  [[nodiscard]] sluice_queue* queue() const noexcept { return queue_; }
  [[nodiscard]] sluice_event* handle() const noexcept { return handle_; }
  [[nodiscard]] const sluice_backend* table() const noexcept { return at_.table; }

 private:
  core::place_of_work at_;
  const char* operation_;
  sluice_event* handle_ = nullptr;
  sluice_queue* queue_ = nullptr;
};

class storage {
 public:
  storage(const core::place_of_work& allocator, const device& where, memory kind, void* data, std::size_t bytes,
          std::shared_ptr<void> keep_alive);
  ~storage();
  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;

  [[nodiscard]] const device& where() const noexcept { return where_; }
  [[nodiscard]] memory kind() const noexcept { return kind_; }

  void wait_for_host(bool write);

 private:
  friend class launch;
  using mark = std::shared_ptr<event>;

  core::place_of_work allocator_;  // null table: the memory is not ours to free
  device where_;
  memory kind_;
  void* data_;
  std::size_t bytes_;
  std::shared_ptr<void> keep_alive_;
  std::atomic<bool> pending_{false};  // there are marks
  std::mutex mutex_;
  mark written_;
  std::vector<mark> reads_;  // since written_, one a queue
};

// One operation on a device: a queue borrowed, ordered after the work it depends on, and its end marked on what it touched.
//
//     launch l(where, "matmul", {a, b}, {out});    // storages, null where there is none
//     l.check(l.table().matmul(l.index(), l.queue(), ...));
//     l.finish();
class launch {
 public:
  launch(const device& where, const char* operation, std::array<storage*, 4> reads, std::array<storage*, 2> writes);
  ~launch();
  launch(const launch&) = delete;
  launch& operator=(const launch&) = delete;

  [[nodiscard]] const sluice_backend& table() const noexcept { return *at_.table; }
  [[nodiscard]] std::int32_t index() const noexcept { return at_.index; }
  [[nodiscard]] sluice_queue* queue() const noexcept { return queue_; }
  [[nodiscard]] sluice_message* message() noexcept { return &message_; }
  void check(sluice_status status) const { core::check(at_, status, message_, operation_); }
  // Throws unsupported when the backend has no such slot.
  template <class Slot>
  void require(Slot slot) const {
    if (slot == nullptr) refuse();
  }
  void finish();

 private:
  [[noreturn]] void refuse() const;
  void order_after(storage& s, bool write);
  void mark() const;

  core::place_of_work at_;
  const char* operation_;
  sluice_queue* queue_ = nullptr;
  std::shared_ptr<event> done_;  // made before any work is: no work goes on without its mark for want of memory
  sluice_message message_{};
  bool finished_ = false;
  std::array<storage*, 4> reads_{};  // null where there are fewer
  std::array<storage*, 2> writes_{};
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
