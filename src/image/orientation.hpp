// The orientation of EXIF: read from its TIFF structure, and applied to pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

// 1 to 8 by the tag 0x0112 of the first directory of `tiff` ("II*\0" or "MM\0*" first); 1 for anything else. Reads the
// entries of that directory, at most 65,535, and follows no other offset.
int orientation_of(std::span<const std::byte> tiff) noexcept;

// Pixels of `channels` bytes, rows contiguous.
struct pixel_rows {
  const std::uint8_t* data;
  std::int64_t width;
  std::int64_t height;
  int channels;  // 1 or 3
};

// Writes the upright image to `out`, which does not overlap it: width x height, exchanged where `orientation` is above 4.
void turn_upright(const pixel_rows& from, int orientation, std::uint8_t* out) noexcept;

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
