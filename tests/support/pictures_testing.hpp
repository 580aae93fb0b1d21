// What the tests of pictures over HTTP share: a picture that is made, its files, and files that are spoiled.
#pragma once

#include "service_testing.hpp"
#include "sluice/image.hpp"
#include "sluice/sluice.hpp"

namespace testing {

// Discs, stripes and slopes: edges of every direction. `channels` of 1 or 3.
inline sluice::tensor made_picture(std::int64_t rows = 96, std::int64_t columns = 128, std::int64_t channels = 3) {
  sluice::tensor t({rows, columns, channels}, sluice::dtype::u8);
  auto* at = static_cast<std::uint8_t*>(t.data());
  for (std::int64_t y = 0; y < rows; ++y)
    for (std::int64_t x = 0; x < columns; ++x)
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto dx = x - columns / 2 + 10 * c, dy = y - rows / 2;
        const bool disc = dx * dx + dy * dy < rows * rows / 9;
        *at++ = static_cast<std::uint8_t>(disc ? 220 - 20 * c : (x / 16 + y / 24) % 2 == 0 ? 40 + x / 4 : 120 + c * 10);
      }
  return t;
}

inline std::string file_of(const sluice::tensor& t, sluice::image::format kind, sluice::image::encode_options o = {}) {
  const auto bytes = sluice::image::encode(t, kind, o);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string jpeg_of(const sluice::tensor& t) { return file_of(t, sluice::image::format::jpeg); }
inline std::string png_of(const sluice::tensor& t) { return file_of(t, sluice::image::format::png); }

inline sluice::tensor picture_of(std::string_view file, int channels = 1) {
  return sluice::image::decode(std::as_bytes(std::span(file)), {.channels = channels});
}

// Whether they have the same elements, whatever extents of 1 there are.
inline bool same_pixels(const sluice::tensor& a, const sluice::tensor& b) {
  return a.dtype() == b.dtype() && a.count() == b.count() &&
         std::equal(static_cast<const std::uint8_t*>(a.data()), static_cast<const std::uint8_t*>(a.data()) + a.count(),
                    static_cast<const std::uint8_t*>(b.data()));
}

inline sluice::tensor edges_in(const std::string& file, double low = 100, double high = 200,
                               sluice::edge_norm norm = sluice::edge_norm::l1, int channels = 1) {
  return sluice::canny(picture_of(file, channels), low, high, {.norm = norm}, sluice::device::cpu);
}

inline void put_big_endian(std::string& file, std::size_t at, std::uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i, value >>= 8) file[at + static_cast<std::size_t>(i)] = static_cast<char>(value);
}

// A JPEG whose header claims other extents.
inline std::string jpeg_claiming(std::string file, std::uint32_t rows, std::uint32_t columns) {
  const auto frame = file.find("\xff\xc0");
  REQUIRE(frame != file.npos);
  put_big_endian(file, frame + 5, rows, 2);
  put_big_endian(file, frame + 7, columns, 2);
  return file;
}

inline std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

// A PNG whose header, with a right checksum, claims other extents.
inline std::string png_claiming(std::string file, std::uint32_t rows, std::uint32_t columns) {
  put_big_endian(file, 16, columns, 4);
  put_big_endian(file, 20, rows, 4);
  put_big_endian(file, 29, crc32(std::string_view(file).substr(12, 17)), 4);
  return file;
}

// A PNG one byte of whose compressed pixels is another, with a right checksum of its chunk: zlib's is wrong.
inline std::string png_with_wrong_pixels(std::string file) {
  const auto chunk = file.find("IDAT");
  REQUIRE(chunk != file.npos);
  std::uint32_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(file[chunk - 4 + i]);
  file[chunk + 4 + size - 1] = static_cast<char>(file[chunk + 4 + size - 1] ^ 1);  // of the Adler-32 at the end
  put_big_endian(file, chunk + 4 + size, crc32(std::string_view(file).substr(chunk, 4 + size)), 4);
  return file;
}

inline std::string base64_of(std::string_view bytes) {
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      bits = bits << 8 | (j < bytes.size() ? static_cast<unsigned char>(bytes[j]) : 0u);
    for (int shift = 18; shift >= 0; shift -= 6) text += letters[bits >> shift & 63u];
  }
  for (std::size_t i = 0; i < (3 - bytes.size() % 3) % 3; ++i) text[text.size() - 1 - i] = '=';
  return text;
}

inline std::string picture_part(std::string_view name, std::string_view content, std::string_view type) {
  return cat("--cut\r\nContent-Disposition: form-data; name=\"", name, "\"\r\n",
             type.empty() ? std::string() : cat("Content-Type: ", type, "\r\n"), "\r\n", content, "\r\n");
}

inline const headers jpeg_type{{"Content-Type", "image/jpeg"}};
inline const headers png_type{{"Content-Type", "image/png"}};

inline headers accepting(headers with, std::string accept) {
  with.emplace_back("Accept", std::move(accept));
  return with;
}

}  // namespace testing
