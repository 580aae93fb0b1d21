// What resize and its kernels share: weights in tables, and the kernels' signatures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sluice/config.hpp"
#include "sluice/impl/base/resize.hpp"
#include "sluice/impl/cpu/vec.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace resizing {

// A weight has 11 bits in each part, so that instructions for products of 16 bits take it: weight = upper << 11 | lower.
inline constexpr int part_bits = base::resize_bits / 2;

// Two weights: the first one in the lower 16 bits of each part.
struct weight_pair {
  std::uint32_t upper;
  std::uint32_t lower;

  constexpr void set(std::int64_t which, std::uint32_t weight) {
    const auto shift = static_cast<int>(16 * which);
    upper |= weight >> part_bits << shift;
    lower |= (weight & ((1u << part_bits) - 1)) << shift;
  }
  [[nodiscard]] constexpr std::uint32_t get(std::int64_t which) const {
    const auto shift = static_cast<int>(16 * which);
    return ((upper >> shift & 0xffff) << part_bits) + (lower >> shift & 0xffff);
  }
};

// The taps of one pixel of a result; weights in pairs, the last one with a weight of 0 where they are odd.
struct weighted_taps {
  std::int64_t first;
  std::int64_t count;
  const weight_pair* weights;
};

// The weighted sum of `taps.count` lines of `bytes` samples, which lie `stride` bytes apart.
struct sum_arguments {
  const std::uint8_t* first;
  std::int64_t stride;
  weighted_taps taps;
  std::uint8_t* to;
  std::int64_t bytes;
};

// The same for every channel of neighbouring pixels of a result. A column of samples is a line: line c of a pixel is its
// channel c.
struct columns_arguments {
  const std::uint8_t* lines;  // of the pixels from first_tap on
  std::int64_t first_tap;
  std::int64_t channels;
  const weighted_taps* pixels;
  std::int64_t count;
  std::uint8_t* to;  // lines of the result
};

// The kernels of one instruction set. A line is `line` samples, of as many rows.
struct kernels {
  std::int64_t line;
  void (*sum)(const sum_arguments&);
  void (*sum_columns)(const columns_arguments&);
  // Transposes the columns of `rows` rows, `line` at most, to lines; the buffer holds at least `line` lines. Samples of a
  // line after the first `rows` are unspecified.
  void (*to_lines)(const std::uint8_t* first, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                   std::uint8_t* lines);
  // Transposes lines back to rows.
  void (*to_rows)(const std::uint8_t* lines, std::int64_t columns, std::uint8_t* first, std::int64_t stride,
                  std::int64_t rows);
};

}  // namespace resizing
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
