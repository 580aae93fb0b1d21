// The markers of a JPEG (ITU-T T.81, annex B), walked before the library sees it: what is not decoded is refused by name,
// and a file that stops early before memory is taken for it.
#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "bytes.hpp"
#include "jpeg.hpp"
#include "orientation.hpp"
#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr unsigned soi = 0xd8, eoi = 0xd9, sos = 0xda, dht = 0xc4, jpg = 0xc8, dac = 0xcc, app1 = 0xe1;

bool is_frame(unsigned marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != dht && marker != jpg && marker != dac;
}
bool is_restart(unsigned marker) { return marker >= 0xd0 && marker <= 0xd7; }

// Walks marker by marker. After next() the segment of a marker that has one is in `segment`, without its length.
class marker_walk {
 public:
  explicit marker_walk(std::span<const std::byte> bytes) : bytes_(bytes), at_(2) {}

  std::span<const std::byte> segment;

  unsigned next() {
    if (at_ < bytes_.size() && byte_at(bytes_, at_) != 0xff)
      refuse(refusal::corrupt,
             fmt::format("JPEG: byte {} is {:#04x}, and a marker begins with 0xff", at_, byte_at(bytes_, at_)));
    while (at_ < bytes_.size() && byte_at(bytes_, at_) == 0xff) ++at_;  // fill bytes
    if (at_ == bytes_.size()) ends("before EOI");
    const unsigned marker = byte_at(bytes_, at_++);
    if (marker == eoi) return marker;
    if (marker <= 0x01 || marker == soi || is_restart(marker))
      refuse(refusal::corrupt, fmt::format("JPEG: marker {:#04x} at byte {} is out of place", marker, at_ - 1));
    if (bytes_.size() - at_ < 2) ends("in a segment");
    const std::size_t length = big16(bytes_, at_);
    if (length < 2) refuse(refusal::corrupt, fmt::format("JPEG: the segment at byte {} has length {}", at_, length));
    if (length > bytes_.size() - at_) ends("in a segment");
    segment = bytes_.subspan(at_ + 2, length - 2);
    at_ += length;
    return marker;
  }

  // Passes over the entropy-coded bytes of a scan, whose number it returns.
  std::size_t pass_scan() {
    const std::size_t begin = at_;
    for (;;) {
      const void* const found = std::memchr(bytes_.data() + at_, 0xff, bytes_.size() - at_);
      if (found == nullptr) ends("in a scan");
      at_ = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes_.data());
      if (at_ + 1 == bytes_.size()) ends("in a scan");
      const unsigned follows = byte_at(bytes_, at_ + 1);
      if (follows == 0xff)
        ++at_;
      else if (follows == 0 || is_restart(follows))
        at_ += 2;
      else
        return at_ - begin;
    }
  }

 private:
  [[noreturn]] void ends(const char* where) const {
    refuse(refusal::truncated, fmt::format("JPEG: {} bytes end {}", bytes_.size(), where));
  }

  std::span<const std::byte> bytes_;
  std::size_t at_;
};

// A frame's header (SOFn) that is decoded.
struct frame {
  std::int64_t width = 0;
  std::int64_t height = 0;
  int components = 0;
  std::int64_t blocks = 0;  // of 8 x 8 coefficients, of all components
  bool progressive = false;
};

void check_kind(unsigned marker, unsigned bits) {
  constexpr std::array kinds{
      "baseline", "extended",   "progressive", "lossless",   "", "hierarchical", "hierarchical", "hierarchical",
      "",         "arithmetic", "arithmetic",  "arithmetic", "", "hierarchical", "hierarchical", "hierarchical"};
  if (marker > 0xc2)
    refuse(refusal::unsupported,
           fmt::format("JPEG: SOF{} is {}: only baseline, extended and progressive Huffman coding are decoded",
                       marker - 0xc0, kinds[marker - 0xc0]));
  if (bits != 8) refuse(refusal::unsupported, fmt::format("JPEG: samples have {} bits: only 8 are decoded", bits));
}

std::int64_t count_blocks(std::span<const std::byte> segment, const frame& f) {
  std::int64_t most_across = 1, most_down = 1;
  const auto factors = [&](int i) { return byte_at(segment, 6 + static_cast<std::size_t>(i) * 3 + 1); };
  for (int i = 0; i < f.components; ++i) {
    const std::int64_t across = factors(i) >> 4, down = factors(i) & 15;
    if (across < 1 || across > 4 || down < 1 || down > 4)
      refuse(refusal::corrupt, fmt::format("JPEG: component {} is sampled {} x {}: 1 to 4 are possible", i, across, down));
    most_across = std::max(most_across, across);
    most_down = std::max(most_down, down);
  }
  std::int64_t blocks = 0;
  const auto rounded_up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  for (int i = 0; i < f.components; ++i)
    blocks +=
        rounded_up(f.width * (factors(i) >> 4), 8 * most_across) * rounded_up(f.height * (factors(i) & 15), 8 * most_down);
  return blocks;
}

frame frame_of(unsigned marker, std::span<const std::byte> segment) {
  if (segment.size() < 6) refuse(refusal::corrupt, fmt::format("JPEG: a frame header has {} bytes", segment.size() + 2));
  check_kind(marker, byte_at(segment, 0));
  frame f;
  f.height = big16(segment, 1);
  f.width = big16(segment, 3);
  f.components = static_cast<int>(byte_at(segment, 5));
  f.progressive = marker == 0xc2;
  if (f.height == 0) refuse(refusal::unsupported, "JPEG: height is 0: one that follows the first scan (DNL) is not decoded");
  if (f.width == 0) refuse(refusal::corrupt, fmt::format("JPEG: size is 0 x {}", f.height));
  if (f.components != 1 && f.components != 3)
    refuse(refusal::unsupported, fmt::format("JPEG: {} components{}: only grey (1), YCbCr and RGB (3) are decoded",
                                             f.components, f.components == 4 ? ", CMYK or YCCK" : ""));
  if (segment.size() != 6 + 3 * static_cast<std::size_t>(f.components))
    refuse(refusal::corrupt,
           fmt::format("JPEG: a frame header of {} components has {} bytes", f.components, segment.size() + 2));
  f.blocks = count_blocks(segment, f);
  return f;
}

constexpr std::string_view exif_name("Exif\0\0", 6);

// Walks to the first scan.
frame read_head(marker_walk& walk, int* orientation) {
  frame f;
  bool has_exif = false;
  for (;;) {
    const unsigned marker = walk.next();
    if (is_frame(marker)) {
      if (f.width != 0) refuse(refusal::corrupt, "JPEG: two frame headers");
      f = frame_of(marker, walk.segment);
    } else if (marker == app1 && !has_exif && has_prefix(walk.segment, exif_name)) {
      has_exif = true;
      if (orientation != nullptr) *orientation = orientation_of(walk.segment.subspan(exif_name.size()));
    } else if (marker == sos || marker == eoi) {
      if (f.width == 0)
        refuse(refusal::corrupt, fmt::format("JPEG: {} before a frame header", marker == sos ? "a scan" : "EOI"));
      if (marker == eoi) refuse(refusal::corrupt, "JPEG: no scan");
      return f;
    }
  }
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) noexcept { return has_prefix(bytes, "\xff\xd8\xff"); }

description describe_jpeg(std::span<const std::byte> bytes) {
  marker_walk walk(bytes);
  description d;
  const frame f = read_head(walk, &d.orientation);
  d.kind = format::jpeg;
  d.width = f.width;
  d.height = f.height;
  d.channels = f.components;
  d.progressive = f.progressive;
  return d;
}

void check_jpeg_scans(std::span<const std::byte> bytes) {
  marker_walk walk(bytes);
  const frame f = read_head(walk, nullptr);
  std::size_t coded = 0;
  int scans = 0;
  for (unsigned marker = sos; marker != eoi; marker = walk.next()) {
    if (is_frame(marker)) refuse(refusal::corrupt, "JPEG: two frame headers");
    if (marker != sos) continue;
    if (++scans > most_scans)
      refuse(refusal::unsupported, fmt::format("JPEG: more than {} scans: each costs a pass over all blocks", most_scans));
    coded += walk.pass_scan();
  }
  const auto least = static_cast<std::size_t>((f.blocks + 7) / 8);  // a code has a bit or more
  if (coded < least)
    refuse(refusal::truncated,
           fmt::format("JPEG: {} x {} take {} bytes of codes or more, and there are {}", f.width, f.height, least, coded));
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
