// What canny and its kernels share: a row's arguments and the kernels' signatures.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "sluice/config.hpp"
#include "sluice/impl/base/canny.hpp"
#include "sluice/impl/cpu/vec.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace edges {

// Rows of intermediate values have this many elements before the first one and after the last one: what a vector of a
// neighbour's values may touch, in multiples of a cache line. A row takes whole words of 64 pixels.
inline constexpr std::int64_t margin = 64;
inline constexpr std::int64_t word_pixels = 64;

constexpr std::int64_t words_of(std::int64_t width) { return (width + word_pixels - 1) / word_pixels; }
constexpr std::int64_t row_elements(std::int64_t width) { return words_of(width) * word_pixels + 2 * margin; }

// The gradients of a row of `width` pixels. T holds a magnitude: 16 bits for |dx| + |dy|, 32 for dx^2 + dy^2.
template <class T>
struct gradient_row {
  std::int16_t* dx;
  std::int16_t* dy;
  T* magnitude;  // 0 beside the row
};

template <class T>
struct gradient_arguments {
  const std::uint8_t* rows[3][3];  // of each channel: above, the row itself, below
  std::int64_t width;
  std::int16_t* smooth;      // scratch: a row of each channel
  std::int16_t* difference;  // likewise
  gradient_row<T> to;
};

// Bit k of word w stands for pixel 64 w + k.
template <class T>
struct suppression_arguments {
  gradient_row<T> at;
  const T* above;  // magnitudes
  const T* below;
  std::int64_t width;
  std::int32_t low;
  std::int32_t high;
  std::uint64_t* candidates;  // maxima above `low`
  std::uint64_t* edges;       // of these, those above `high`
};

template <class T>
struct norm_kernels {
  void (*grey_gradients)(const gradient_arguments<T>&);
  void (*colour_gradients)(const gradient_arguments<T>&);
  void (*suppress)(const suppression_arguments<T>&);
};

// The kernels of one instruction set.
struct kernels {
  norm_kernels<std::int16_t> l1;
  norm_kernels<std::int32_t> l2;
  // Pixels of 3 channels to a row of each channel.
  void (*split)(const std::uint8_t* pixels, std::int64_t width, std::uint8_t* const (&to)[3]);
  void (*write)(const std::uint64_t* edges, std::int64_t width, std::uint8_t* pixels);  // 255 for 1, 0 for 0

  template <class T>
  const norm_kernels<T>& of() const {
    if constexpr (sizeof(T) == 2)
      return l1;
    else
      return l2;
  }
};

}  // namespace edges
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
