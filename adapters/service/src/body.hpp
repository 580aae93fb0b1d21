// A request's body in memory that the JSON parser may read a little beyond, and that a tensor may be laid over.
#pragma once

#include "host_room.hpp"
#include "sluice/service.hpp"

namespace sluice::http {

class body_buffer {
 public:
  // The whole body, in memory of `room`. Throws refused: 413 beyond `limit` bytes, as soon as that is known; 400 when it
  // broke off.
  static body_buffer read(const request& r, std::int64_t limit, const host_room& room);

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t padded_size() const noexcept { return capacity_; }
  [[nodiscard]] const host_room& room() const noexcept { return room_; }
  // Keeps data() where it is.
  [[nodiscard]] std::shared_ptr<void> owner() const { return std::make_shared<tensor>(memory_); }

 private:
  explicit body_buffer(const host_room& room) : room_(room) {}
  void append(std::string_view bytes);
  void grow(std::size_t needed);
  void pad() noexcept;

  host_room room_;
  tensor memory_;  // a pool's: page-aligned, and touched before more often than not
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t expected_ = 0;
};

}  // namespace sluice::http
