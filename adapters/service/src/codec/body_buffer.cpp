#include "codec/body_buffer.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <simdjson.h>

#include "http/http_error.hpp"
#include "http/protocol.hpp"

namespace sluice::serving {
namespace {

// Allocated at most before the bytes arrive, whatever length the client declares.
constexpr std::size_t first_bytes = 1 << 20;
constexpr std::size_t alignment = 64;

[[noreturn]] void fail_large(std::int64_t limit, const std::string& size) {
  throw http_error{413, "limit_exceeded", fmt::format("[http] the body has {} bytes: at most {} are taken", size, limit)};
}

[[noreturn]] void fail_broken(std::size_t size) {
  throw http_error{400, "malformed", fmt::format("[http] the body ended, or could not be decoded, after {} bytes", size)};
}

}  // namespace

body_buffer body_buffer::read(const request& r, std::int64_t limit, const host_allocator& memory, std::size_t aligned,
                              const progress& received) {
  body_buffer b(memory);
  b.lead_ = (alignment - aligned % alignment) % alignment;
  const auto most = static_cast<std::size_t>(limit);
  if (!r.read_body) {
    if (r.body.size() > most) fail_large(limit, std::to_string(r.body.size()));
    b.expected_ = r.body.size();
    b.grow(b.expected_);
    b.append(r.body);
    b.pad();
    return b;
  }
  if (r.content_length > limit) fail_large(limit, std::to_string(r.content_length));
  if (r.content_length > 0 && !r.compressed) b.expected_ = static_cast<std::size_t>(r.content_length);
  b.grow(std::min(b.expected_, first_bytes));
  if (r.read_some && b.expected_ > 0) {
    b.receive(r, received);
    b.pad();
    return b;
  }
  const bool whole = read_all(r.read_body, [&](std::string_view bytes) {
    if (bytes.size() > most - b.size_) fail_large(limit, fmt::format("more than {}", limit));
    b.append(bytes);
    received(static_cast<std::int64_t>(b.size_));
  });
  if (!whole) fail_broken(b.size_);
  b.pad();
  return b;
}

body_buffer body_buffer::filled(std::size_t size, const host_allocator& memory,
                                const std::function<void(std::span<char> out)>& fill) {
  body_buffer b(memory);
  b.grow(size);
  fill({b.data_, size});
  b.size_ = size;
  b.pad();
  return b;
}

// All expected bytes, straight into place.
void body_buffer::receive(const request& r, const progress& received) {
  while (size_ < expected_) {
    if (size_ + simdjson::SIMDJSON_PADDING == capacity_) grow(expected_);
    const auto n = r.read_some(data_ + size_, std::min(expected_, capacity_ - simdjson::SIMDJSON_PADDING) - size_);
    if (n <= 0) fail_broken(size_);
    size_ += static_cast<std::size_t>(n);
    received(static_cast<std::int64_t>(size_));
  }
}

void body_buffer::append(std::string_view bytes) {
  if (bytes.size() > capacity_ - simdjson::SIMDJSON_PADDING - size_) grow(size_ + bytes.size());
  if (!bytes.empty()) std::memcpy(data_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

void body_buffer::grow(std::size_t needed) {
  needed = std::max({needed, expected_ > first_bytes && size_ > 0 ? expected_ : 0, size_ + size_ / 2, std::size_t{4000}});
  tensor larger = allocator_.make({static_cast<std::int64_t>(lead_ + needed + simdjson::SIMDJSON_PADDING)}, dtype::u8);
  auto* data = static_cast<char*>(larger.data()) + lead_;
  if (size_ > 0) std::memcpy(data, data_, size_);
  memory_ = std::move(larger);
  data_ = data;
  capacity_ = needed + simdjson::SIMDJSON_PADDING;
}

// Zeros end any run of blanks, digits or letters.
void body_buffer::pad() noexcept { std::memset(data_ + size_, 0, simdjson::SIMDJSON_PADDING); }

tensor body_buffer::tensor_at(const char* at, dtype type, const shape& extents, const strides& steps) const {
  auto* data = const_cast<char*>(at);  // the body's own memory, used by nothing else
  tensor keeper = memory_;
  const std::size_t bytes = static_cast<std::size_t>(extents.count()) * size_of(type);
  if (bytes == 0 || reinterpret_cast<std::uintptr_t>(data) % size_of(type) != 0) {
    keeper = allocator_.make({extents.count()}, type);
    data = static_cast<char*>(keeper.data());
    if (bytes > 0) std::memcpy(data, at, bytes);
  }
  return tensor::wrap(data, type, extents, steps, std::make_shared<tensor>(std::move(keeper)));
}

}  // namespace sluice::serving
