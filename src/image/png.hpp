// PNG: its chunks by our own walk, its pixels by libpng.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/image.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

// Whether the bytes begin as a PNG does.
bool is_png(std::span<const std::byte> bytes) noexcept;

// What the chunks say, all of which are walked. Throws bad_image.
description describe_png(std::span<const std::byte> bytes);

// Throws bad_image unless the bytes of IDAT can hold so many pixels.
void check_png_data(std::span<const std::byte> bytes);

// Fills `out`: rows of width x channels bytes, in the order stored. Throws bad_image, out_of_memory.
void decode_png(std::span<const std::byte> bytes, const description& about, int channels, std::uint8_t* out);

// Rows of width x channels bytes. Throws out_of_memory.
std::vector<std::byte> encode_png(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels);
// Rows of width bytes, each of which becomes a bit: 0 where it is 0. Throws out_of_memory.
std::vector<std::byte> encode_bilevel_png(const std::uint8_t* pixels, std::int64_t width, std::int64_t height);

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
