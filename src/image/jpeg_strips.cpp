// A JPEG whose strips are encoded several at once: what stands between two restart markers depends on nothing outside, and a
// strip by itself, which is a file, has the same bits there. How an image is cut follows from its extents alone.
#include <algorithm>

#include "bytes.hpp"
#include "jpeg.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

using buffer = std::vector<std::byte>;

// What TurboJPEG writes: segments, the last of which is SOS, its entropy-coded bytes, and EOI.
struct parts {
  std::size_t frame = 0;  // of SOF's marker
  std::size_t scan = 0;   // of SOS's marker
  std::size_t codes = 0;  // of the first entropy-coded byte
};

parts parts_of(const buffer& file) {
  constexpr unsigned start_of_frame = 0xc0, start_of_scan = 0xda;
  parts p;
  for (std::size_t at = 2; p.codes == 0; at += 2 + big16(file, at + 2)) {
    const unsigned marker = byte_at(file, at + 1);
    if (marker == start_of_frame) p.frame = at;
    if (marker == start_of_scan) {
      p.scan = at;
      p.codes = at + 2 + big16(file, at + 2);
    }
  }
  return p;
}

void put_big16(buffer& to, std::size_t at, std::int64_t value) {
  to[at] = static_cast<std::byte>(value >> 8);
  to[at + 1] = static_cast<std::byte>(value);
}

void append(buffer& to, const buffer& from, std::size_t begin, std::size_t end) {
  to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(begin), from.begin() + static_cast<std::ptrdiff_t>(end));
}

}  // namespace

std::vector<std::byte> encode_jpeg(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels,
                                   int quality) {
  constexpr std::int64_t strip_rows = 256, most_units = 65535;  // an interval is a number of 16 bits
  const std::int64_t side = channels == 1 ? 8 : 16;             // of a unit: a block, or those of 2 x 2 blocks of luma
  const std::int64_t units = (width + side - 1) / side;         // in a row
  const std::int64_t unit_rows = std::min(strip_rows / side, most_units / units);
  const std::int64_t strip = unit_rows * side, count = (height + strip - 1) / strip;
  if (count == 1) return encode_jpeg_strip(rows, width, height, channels, quality);
  std::vector<buffer> files(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t i) {
    files[static_cast<std::size_t>(i)] = encode_jpeg_strip(rows + i * strip * width * channels, width,
                                                           std::min(strip, height - i * strip), channels, quality);
  });
  const auto first = parts_of(files[0]);
  put_big16(files[0], first.frame + 5, height);
  buffer out;
  std::size_t size = 16;
  for (const auto& f : files) size += f.size();
  out.reserve(size);
  append(out, files[0], 0, first.scan);
  for (const int b : {0xff, 0xdd, 0, 4, 0, 0}) out.push_back(static_cast<std::byte>(b));  // DRI: units between two markers
  put_big16(out, out.size() - 2, units * unit_rows);
  append(out, files[0], first.scan, first.codes);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& f = files[static_cast<std::size_t>(i)];
    append(out, f, i == 0 ? first.codes : parts_of(f).codes, f.size() - 2);
    out.push_back(std::byte{0xff});
    out.push_back(static_cast<std::byte>(i + 1 == count ? 0xd9 : 0xd0 + i % 8));  // EOI, RST0 to RST7
  }
  return out;
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
