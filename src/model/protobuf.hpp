// Protocol buffers, as far as walking over their fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ort {

struct field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;           // of a varint or a fixed number
  bool has_bytes = false;            // a message, a string, packed numbers
  std::span<const std::byte> bytes;  // then

  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// The fields of a message in order. After next() gave false, failed() tells the end from bytes that are no message.
class message_reader {
 public:
  explicit message_reader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  bool next(field& found) noexcept {
    std::uint64_t key = 0;
    if (rest_.empty() || failed_) return false;
    if (!varint(key) || key >> 3 == 0 || key >> 32 != 0) return fail();
    found = field();
    found.number = static_cast<std::uint32_t>(key >> 3);
    switch (key & 7) {
      case 0: return varint(found.value) || fail();
      case 1: return fixed(8, found.value) || fail();
      case 5: return fixed(4, found.value) || fail();
      case 2: break;
      default: return fail();  // groups, which ONNX has none of
    }
    std::uint64_t size = 0;
    if (!varint(size) || size > rest_.size()) return fail();
    found.has_bytes = true;
    found.bytes = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(static_cast<std::size_t>(size));
    return true;
  }

  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  bool fail() noexcept {
    failed_ = true;
    return false;
  }

  bool varint(std::uint64_t& value) noexcept {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      if (shift < 64) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool fixed(std::size_t size, std::uint64_t& value) noexcept {
    if (rest_.size() < size) return false;
    for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(rest_[i]) << (8 * i);
    rest_ = rest_.subspan(size);
    return true;
  }

  std::span<const std::byte> rest_;
  bool failed_ = false;
};

}  // namespace ort
}  // namespace SLUICE_ABI
}  // namespace sluice
