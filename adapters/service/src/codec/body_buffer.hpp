// A request's body in memory that the JSON parser may read a little beyond, and that a tensor may be laid over.
#pragma once

#include "codec/host_allocator.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

class body_buffer {
 public:
  // The whole body, in memory of `room`. Throws http_error: 413 beyond `limit` bytes, as soon as that is known; 400 when it
  // broke off. Byte `aligned` comes to stand at a multiple of 64, where a tensor's data are best.
  static body_buffer read(const request& r, std::int64_t limit, const host_allocator& room, std::size_t aligned = 0);

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t padded_size() const noexcept { return capacity_; }
  // A tensor whose data begin at `at`, within the body: over the body's memory, or a copy where elements would stand askew.
  [[nodiscard]] tensor tensor_at(const char* at, dtype type, const shape& extents, const strides& steps) const;

 private:
  explicit body_buffer(const host_allocator& room) : room_(room) {}
  void receive(const request& r);
  void append(std::string_view bytes);
  void grow(std::size_t needed);
  void pad() noexcept;

  host_allocator room_;
  tensor memory_;  // a pool's: page-aligned, and touched before more often than not
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t expected_ = 0;
  std::size_t lead_ = 0;  // bytes of memory_ before data_
};

}  // namespace sluice::serving
