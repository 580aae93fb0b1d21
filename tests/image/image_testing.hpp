// What the tests of images share: PNG chunks and JPEG segments by hand, and refusals by their reason.
#pragma once

#include <zlib.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/image.hpp"
#include "testing.hpp"

namespace testing {

namespace image = sluice::image;
using image::refusal;

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::string big16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
inline std::string big32(std::uint32_t value) { return big16(value >> 16) + big16(value & 0xffff); }

inline constexpr std::string_view png_signature = "\x89PNG\r\n\x1a\n";

inline std::string chunk(const std::string& name, const std::string& content) {
  const std::string checked = name + content;
  const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return big32(static_cast<std::uint32_t>(content.size())) + checked + big32(static_cast<std::uint32_t>(crc));
}

inline std::string ihdr(std::uint32_t width, std::uint32_t height, int bits = 8, int colour_type = 0, int interlace = 0) {
  return chunk("IHDR", big32(width) + big32(height) + static_cast<char>(bits) + static_cast<char>(colour_type) + '\0' +
                           '\0' + static_cast<char>(interlace));
}

inline std::string deflated(const std::string& raw) {
  auto size = ::compressBound(static_cast<uLong>(raw.size()));
  std::string out(size, '\0');
  ::compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
              static_cast<uLong>(raw.size()), 9);
  out.resize(size);
  return out;
}

// A PNG of 8-bit grey whose rows, with their filter bytes, are `raw`; `more` goes before IDAT.
inline std::string png(std::uint32_t width, std::uint32_t height, const std::string& raw, const std::string& more = "") {
  return std::string(png_signature) + ihdr(width, height) + more + chunk("IDAT", deflated(raw)) + chunk("IEND", "");
}

// A segment of a JPEG, with its marker and length.
inline std::string segment(unsigned marker, const std::string& content) {
  return big16(0xff00 | marker) + big16(static_cast<unsigned>(content.size()) + 2) + content;
}

// Where the marker's first byte is.
inline std::size_t find_marker(const std::string& jpeg, unsigned marker) { return jpeg.find(big16(0xff00 | marker)); }

// Noise has long codes; `seed` chooses it.
inline std::string jpeg(std::int64_t width, std::int64_t height, int channels = 3, std::uint64_t seed = 1) {
  return text_of(image::encode(random({height, width, channels}, dtype::u8, seed), image::format::jpeg));
}

// Empty when decode() refuses `bytes` for this reason, with every one of `words`; else what it did.
inline std::string refused_as(refusal reason, const std::string& bytes, std::initializer_list<std::string_view> words,
                              const image::decode_options& options = {}) {
  return refused_for<image::bad_image>([&] { static_cast<void>(image::decode(bytes_of(bytes), options)); },
                                       &image::bad_image::reason, reason, words);
}

}  // namespace testing

// CHECK_BAD(bytes, truncated, "700 bytes")
#define CHECK_BAD(bytes, reason, ...) CHECK(::testing::refused_as(::testing::refusal::reason, bytes, {__VA_ARGS__}) == "")
