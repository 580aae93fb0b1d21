// Elements of files in types and orders of bytes that tensors have not.
#pragma once

#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "sluice/impl/files/npy_header.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

template <class T>
T with_bytes_reversed(T x) noexcept {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(x);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(x);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(x);
  return x;
}

// Each element by `make(bits, number)`.
template <class From, class To, class Make>
void convert_each(std::span<const std::byte> from, void* to, bool swapped, const Make& make) {
  using bits = std::make_unsigned_t<From>;
  auto* const out = static_cast<std::byte*>(to);
  for (std::size_t i = 0; i < from.size() / sizeof(From); ++i) {
    bits x;
    std::memcpy(&x, from.data() + i * sizeof(From), sizeof x);
    const To y = make(static_cast<From>(swapped ? with_bytes_reversed(x) : x), i);
    std::memcpy(out + i * sizeof(To), &y, sizeof y);
  }
}

template <class From, class To>
void convert_all(std::span<const std::byte> from, void* to, bool swapped) {
  convert_each<From, To>(from, to, swapped, [](From x, std::size_t) { return static_cast<To>(x); });
}

[[noreturn]] inline void fail_truth(unsigned value, std::int64_t number) {
  npy_malformed(fmt::format("bool number {} is {}: it must be 0 or 1", number, value));
}

[[noreturn]] inline void fail_unsigned(std::uint64_t value, std::int64_t number) {
  npy_unsupported(
      fmt::format("u64 number {} is {}: u64 is read as i64, up to {}; convert it, as by numpy.save(path, "
                  "x.astype('<f8'))",
                  number, value, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace files

SLUICE_FUNC void convert_npy(const npy_header& header, std::span<const std::byte> from, void* to, std::int64_t first) {
  using namespace files;
  const bool swapped = header.swapped;
  const auto number = [first](std::size_t i) { return first + static_cast<std::int64_t>(i); };
  switch (header.element) {
    case npy_element::b1:
      return convert_each<std::uint8_t, std::uint8_t>(from, to, false, [&](std::uint8_t x, std::size_t i) {
        if (x > 1) fail_truth(x, number(i));
        return x;
      });
    case npy_element::i1: return convert_all<std::int8_t, std::int32_t>(from, to, false);
    case npy_element::i2: return convert_all<std::int16_t, std::int32_t>(from, to, swapped);
    case npy_element::u2: return convert_all<std::uint16_t, std::int32_t>(from, to, swapped);
    case npy_element::u4: return convert_all<std::uint32_t, std::int64_t>(from, to, swapped);
    case npy_element::u8:
      return convert_each<std::uint64_t, std::int64_t>(from, to, swapped, [&](std::uint64_t x, std::size_t i) {
        if (x > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) fail_unsigned(x, number(i));
        return static_cast<std::int64_t>(x);
      });
    case npy_element::same: break;
  }
  switch (size_of(header.dtype)) {
    case 2: return convert_all<std::uint16_t, std::uint16_t>(from, to, swapped);
    case 4: return convert_all<std::uint32_t, std::uint32_t>(from, to, swapped);
    case 8: return convert_all<std::uint64_t, std::uint64_t>(from, to, swapped);
    default: return convert_all<std::uint8_t, std::uint8_t>(from, to, false);
  }
}

}  // namespace SLUICE_ABI
}  // namespace sluice
