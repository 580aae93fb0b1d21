// A grey PNG of 1 bit a pixel: rows are packed and compressed in strips, several at once. Every strip is a deflate stream's
// blocks by runs, which look back one byte at most, so that their joint is a stream too, the same by any number of threads.
#include <algorithm>
#include <cstring>
#include <new>

#include <zlib.h>

#include "bytes.hpp"
#include "png.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr std::int64_t strip_bytes = 32 << 10;  // of packed rows: 0.2 ms of compression

using buffer = std::vector<std::byte>;

void put_big32(buffer& to, std::size_t value) {
  for (const int shift : {24, 16, 8, 0}) to.push_back(static_cast<std::byte>(value >> shift));
}

void put(buffer& to, std::string_view bytes) {
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  to.insert(to.end(), first, first + bytes.size());
}

const Bytef* bytes_of(const std::byte* data) { return reinterpret_cast<const Bytef*>(data); }

// A chunk around data that are in place: `chunk` begins with 8 bytes for its length and name.
void finish_chunk(buffer& chunk, std::string_view name) {
  const std::size_t size = chunk.size() - 8;
  for (std::size_t i = 0; i < 4; ++i) chunk[i] = static_cast<std::byte>(size >> (24 - 8 * i));
  std::memcpy(chunk.data() + 4, name.data(), 4);
  put_big32(chunk, crc32_z(0, bytes_of(chunk.data() + 4), size + 4));
}

// A bit of each pixel, the first uppermost.
std::byte byte_of(const std::uint8_t* pixels, std::size_t count) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < count; ++i) bits = bits << 1 | (pixels[i] != 0 ? 1u : 0u);
  return static_cast<std::byte>(bits << (8 - count));
}

// `rows` of pixels, a bit each; a filter's number, none, before each row.
buffer packed(const std::uint8_t* pixels, std::int64_t rows, std::int64_t width) {
  const auto columns = static_cast<std::size_t>(width);
  const std::size_t row_bytes = 1 + (columns + 7) / 8;
  buffer out(static_cast<std::size_t>(rows) * row_bytes);
  auto* to = out.data();
  for (std::int64_t y = 0; y < rows; ++y, pixels += columns) {
    *to++ = std::byte{0};
    const std::size_t whole = columns / 8;
    for (std::size_t i = 0; i < whole; ++i) *to++ = byte_of(pixels + 8 * i, 8);
    if (columns % 8 != 0) *to++ = byte_of(pixels + 8 * whole, columns % 8);
  }
  return out;
}

struct strip {
  buffer chunk;          // IDAT, whole
  uLong adler = 0;       // of its packed rows
  std::size_t size = 0;  // of these
};

class deflater {
 public:
  deflater() {
    if (deflateInit2(&stream_, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_RLE) != Z_OK) throw std::bad_alloc();
  }
  ~deflater() { deflateEnd(&stream_); }
  deflater(const deflater&) = delete;
  deflater& operator=(const deflater&) = delete;

  // Appends the blocks of `bytes` to `out`.
  void append(const buffer& bytes, bool last, buffer& out) {
    constexpr std::size_t marker = 16;  // of a flush, more than it takes
    const std::size_t before = out.size();
    out.resize(before + deflateBound(&stream_, bytes.size()) + marker);
    stream_.next_in = const_cast<Bytef*>(bytes_of(bytes.data()));  // zlib only reads it
    stream_.avail_in = static_cast<uInt>(bytes.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(out.size() - before);
    const int status = deflate(&stream_, last ? Z_FINISH : Z_SYNC_FLUSH);
    if (status != (last ? Z_STREAM_END : Z_OK) || stream_.avail_in != 0 || stream_.avail_out == 0)
      throw error(error_code::internal, "[image] PNG: zlib left bytes behind");
    out.erase(out.end() - static_cast<std::ptrdiff_t>(stream_.avail_out), out.end());
  }

 private:
  z_stream stream_{};
};

strip compressed(const std::uint8_t* pixels, std::int64_t rows, std::int64_t width, bool first, bool last) {
  const buffer bits = packed(pixels, rows, width);
  strip s{.chunk = buffer(8), .adler = adler32_z(1, bytes_of(bits.data()), bits.size()), .size = bits.size()};
  if (first) put(s.chunk, "\x78\x01");  // zlib's header: a window of 32 KiB, compressed fast
  deflater().append(bits, last, s.chunk);
  return s;
}

}  // namespace

std::vector<std::byte> encode_bilevel_png(const std::uint8_t* pixels, std::int64_t width, std::int64_t height) {
  const std::int64_t row_bytes = 1 + (width + 7) / 8;
  const std::int64_t rows = std::max<std::int64_t>(1, strip_bytes / row_bytes);
  const std::int64_t count = (height + rows - 1) / rows;
  std::vector<strip> strips(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t i) {
    strips[static_cast<std::size_t>(i)] =
        compressed(pixels + i * rows * width, std::min(rows, height - i * rows), width, i == 0, i + 1 == count);
  });
  buffer out, head(8);
  put(out, "\x89PNG\r\n\x1a\n");
  put_big32(head, static_cast<std::size_t>(width));
  put_big32(head, static_cast<std::size_t>(height));
  put(head, std::string_view("\1\0\0\0\0", 5));  // a bit of grey; deflate, the usual filters, no interlace
  finish_chunk(head, "IHDR");
  out.insert(out.end(), head.begin(), head.end());
  uLong adler = 1;
  for (auto& s : strips) {
    adler = adler32_combine(adler, s.adler, static_cast<z_off_t>(s.size));
    if (&s == &strips.back()) put_big32(s.chunk, adler);
    finish_chunk(s.chunk, "IDAT");
    out.insert(out.end(), s.chunk.begin(), s.chunk.end());
  }
  buffer end(8);
  finish_chunk(end, "IEND");
  out.insert(out.end(), end.begin(), end.end());
  return out;
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
