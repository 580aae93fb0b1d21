// What all devices compute resize from: extents, the order of passes, and the weights of pixels, with the bits of Pillow's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sluice/config.hpp"

#if defined(__CUDACC__)
#define SLUICE_HOST_DEVICE __host__ __device__
#else
#define SLUICE_HOST_DEVICE
#endif

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Bits after the point of a weight: the sum of 255 times all weights of a pixel fits in 31 bits.
inline constexpr int resize_bits = 22;

// The most pixels of an extent: up to there Pillow's coordinates, which it takes as f32, are exact.
inline constexpr std::int64_t most_resize_extent = 1 << 24;

// What the shorter side becomes where neither extent is given.
inline constexpr std::int64_t usual_resize_short = 256;

// The pixels that one pixel of the result is made of.
struct resize_taps {
  std::int64_t first;
  std::int64_t count;
};

// One direction: `in` pixels become `out`.
struct resize_axis {
  std::int64_t in;
  std::int64_t out;

  SLUICE_HOST_DEVICE bool changes() const { return in != out; }
  SLUICE_HOST_DEVICE double scale() const { return static_cast<double>(in) / static_cast<double>(out); }
  SLUICE_HOST_DEVICE double support() const { return scale() < 1.0 ? 1.0 : scale(); }
  SLUICE_HOST_DEVICE double center(std::int64_t i) const { return (static_cast<double>(i) + 0.5) * scale(); }

  // Of pixel `i` of the result.
  SLUICE_HOST_DEVICE resize_taps taps(std::int64_t i) const {
    const auto first = static_cast<std::int64_t>(center(i) - support() + 0.5);
    const auto end = static_cast<std::int64_t>(center(i) + support() + 0.5);
    const std::int64_t begin = first < 0 ? 0 : first;
    return {begin, (end > in ? in : end) - begin};
  }

  // The most of any pixel.
  SLUICE_HOST_DEVICE std::int64_t most_taps() const {
    const auto most = 2 * (static_cast<std::int64_t>(support()) + 1) + 1;
    return most < in ? most : in;
  }

  // f(tap, weight) for each tap of pixel `i`, the weight with resize_bits after the point.
  template <class F>
  SLUICE_HOST_DEVICE void for_each_weight(std::int64_t i, const F& f) const {
    const resize_taps t = taps(i);
    const double middle = center(i);
    const double narrower = 1.0 / support();
    const auto weight = [&](std::int64_t tap) {
      const double x = (static_cast<double>(tap + t.first) - middle + 0.5) * narrower;
      const double distance = x < 0.0 ? -x : x;
      return distance < 1.0 ? 1.0 - distance : 0.0;
    };
    double sum = 0.0;
    for (std::int64_t tap = 0; tap < t.count; ++tap) sum += weight(tap);
    for (std::int64_t tap = 0; tap < t.count; ++tap) {
      const double share = sum != 0.0 ? weight(tap) / sum : weight(tap);
      f(tap, static_cast<std::int32_t>(0.5 + share * (1 << resize_bits)));
    }
  }
};

// One call: the whole resized image, and the part of it that is the result.
struct resize_extents {
  resize_axis rows;
  resize_axis columns;
  std::int64_t top;
  std::int64_t left;
  std::int64_t height;  // of the result
  std::int64_t width;
  bool height_first;
};

// `other` is in proportion to `given`, which `whole` becomes.
constexpr std::int64_t proportional_extent(std::int64_t given, std::int64_t whole, std::int64_t other) noexcept {
  return std::max<std::int64_t>(1, given * other / whole);
}

// The extents of a call; Options is sluice_resize_options, null the defaults. Those given are at most most_resize_extent.
template <class Options>
resize_extents resize_extents_of(const void* options, std::size_t size, std::int64_t height, std::int64_t width) noexcept {
  Options o{};
  if (options != nullptr) std::memcpy(&o, options, std::min(size, sizeof o));
  if (o.height == 0 && o.width == 0) (height <= width ? o.height : o.width) = usual_resize_short;
  if (o.height == 0) o.height = proportional_extent(o.width, width, height);
  if (o.width == 0) o.width = proportional_extent(o.height, height, width);
  const std::int64_t fewer_rows = height - o.height;
  return {{height, o.height},
          {width, o.width},
          o.top,
          o.left,
          o.rows != 0 ? o.rows : o.height - o.top,
          o.columns != 0 ? o.columns : o.width - o.left,
          o.order == 0 && fewer_rows > 0 && fewer_rows > 2 * (width - o.width)};
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#undef SLUICE_HOST_DEVICE

#include "sluice/impl/base/strict_float_end.hpp"
