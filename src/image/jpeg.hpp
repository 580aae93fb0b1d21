// JPEG: its markers by our own walk, its pixels by TurboJPEG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/image.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

// Whether the bytes begin as a JPEG does.
bool is_jpeg(std::span<const std::byte> bytes) noexcept;

// What the segments before the first scan say. Throws bad_image.
description describe_jpeg(std::span<const std::byte> bytes);

// Throws bad_image unless the markers go on from the first scan to EOI, with at most most_scans scans, and hold a bit for
// each block.
void check_jpeg_scans(std::span<const std::byte> bytes);

// Fills `out`: rows of width x channels bytes, in the order stored. Throws bad_image, out_of_memory.
void decode_jpeg(std::span<const std::byte> bytes, const description& about, int channels, std::uint8_t* out);

// Rows of width x channels bytes, in strips that several threads encode. Throws out_of_memory.
std::vector<std::byte> encode_jpeg(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels,
                                   int quality);
// The same as one strip: a whole file, without restart markers.
std::vector<std::byte> encode_jpeg_strip(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels,
                                         int quality);

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
