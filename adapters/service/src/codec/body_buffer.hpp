// A request's body: readable beyond its end, as the JSON parser needs, and usable as a tensor's memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "codec/host_allocator.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

class body_buffer {
 public:
  // Called with the number of bytes that are there, as they arrive. What it throws, read throws.
  using progress = std::function<void(std::int64_t bytes)>;
  // The whole body, in memory of `memory`, byte `aligned` of it at a multiple of 64, the best place for a tensor's data.
  // Throws http_error: 413 beyond `limit` bytes, as soon as that is known; 400 when it is cut off.
  static body_buffer read(
      const request& r, std::int64_t limit, const host_allocator& memory, std::size_t aligned = 0,
      const progress& received = [](std::int64_t) {});

  // `size` bytes that `fill` writes, in memory of `memory`: what a body holds in another form.
  static body_buffer filled(std::size_t size, const host_allocator& memory,
                            const std::function<void(std::span<char> out)>& fill);

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t padded_size() const noexcept { return capacity_; }
  // A tensor whose data begin at `at`, within the body: in the body's memory, or a copy where that is not aligned.
  [[nodiscard]] tensor tensor_at(const char* at, dtype type, const shape& extents, const strides& steps) const;

 private:
  explicit body_buffer(const host_allocator& memory) : allocator_(memory) {}
  void receive(const request& r, const progress& received);
  void append(std::string_view bytes);
  void grow(std::size_t needed);
  void pad() noexcept;

  host_allocator allocator_;
  tensor memory_;  // from a pool: page-aligned, and mostly resident already
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t expected_ = 0;
  std::size_t lead_ = 0;  // bytes of memory_ before data_
};

}  // namespace sluice::serving
