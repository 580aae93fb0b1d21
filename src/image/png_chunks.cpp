// The chunks of a PNG, walked before the library sees them: what is not decoded is refused by name, and a file that stops
// early before memory is taken for it. Checksums are the library's part.
#include <fmt/format.h>

#include "bytes.hpp"
#include "orientation.hpp"
#include "png.hpp"
#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr std::string_view signature = "\x89PNG\r\n\x1a\n";
constexpr std::int64_t most_extent = 1'000'000;       // libpng's own limit: rows of 8 MB
constexpr std::uint64_t most_bytes_of_a_byte = 1032;  // deflate: 258 bytes for 2 bits

struct header {
  std::int64_t width;
  std::int64_t height;
  unsigned bits;  // of a sample
  unsigned colour_type;
  bool interlaced;

  [[nodiscard]] bool is_coloured() const { return (colour_type & 2) != 0; }
  [[nodiscard]] unsigned samples() const { return (colour_type == 2 || colour_type == 6 ? 3u : 1u) + (colour_type >> 2); }
};

bool is_depth_of(unsigned bits, unsigned colour_type) {
  switch (colour_type) {
    case 0: return bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16;
    case 3: return bits == 1 || bits == 2 || bits == 4 || bits == 8;
    case 2:
    case 4:
    case 6: return bits == 8 || bits == 16;
    default: return false;
  }
}

header header_of(std::span<const std::byte> ihdr) {
  const auto width = big32(ihdr, 0), height = big32(ihdr, 4);
  const auto bits = byte_at(ihdr, 8), colour_type = byte_at(ihdr, 9), interlace = byte_at(ihdr, 12);
  if (width == 0 || height == 0 || width >> 31 != 0 || height >> 31 != 0)
    refuse(refusal::corrupt, fmt::format("PNG: size is {} x {}: 1 to 2147483647 are possible", width, height));
  if (!is_depth_of(bits, colour_type))
    refuse(refusal::corrupt, fmt::format("PNG: colour type {} with {} bits does not exist", colour_type, bits));
  if (byte_at(ihdr, 10) != 0 || byte_at(ihdr, 11) != 0 || interlace > 1)
    refuse(refusal::corrupt, fmt::format("PNG: compression {}, filter {} and interlace {}: only 0, 0 and 0 or 1 exist",
                                         byte_at(ihdr, 10), byte_at(ihdr, 11), interlace));
  if (width > most_extent || height > most_extent)
    refuse(refusal::too_large, fmt::format("PNG: size is {} x {}: {} columns and rows at most", width, height, most_extent));
  return {width, height, bits, colour_type, interlace == 1};
}

// What the chunks say, up to IEND.
struct summary {
  header head{};
  std::span<const std::byte> exif;
  std::uint64_t data_bytes = 0;  // of IDAT
};

std::string shown(std::string_view type) {
  for (const char c : type)
    if (c < ' ' || c > '~') return "with a name that is no letters";
  return std::string(type);
}

void check_order(std::string_view type, std::size_t length, bool is_first) {
  if ((type == "IHDR") != is_first || (is_first && length != 13))
    refuse(refusal::corrupt,
           fmt::format("PNG: chunk {} of {} bytes: IHDR, of 13 bytes, is the first and no other", shown(type), length));
  const bool is_critical = (static_cast<unsigned char>(type[0]) & 0x20) == 0;
  if (is_critical && type != "IHDR" && type != "PLTE" && type != "IDAT" && type != "IEND")
    refuse(refusal::unsupported, fmt::format("PNG: chunk {} is critical and not known", shown(type)));
}

summary summary_of(std::span<const std::byte> bytes) {
  summary s;
  for (std::size_t at = signature.size();;) {
    const auto ends = [&] { refuse(refusal::truncated, fmt::format("PNG: {} bytes end before IEND", bytes.size())); };
    if (bytes.size() - at < 12) ends();
    const std::size_t length = big32(bytes, at);
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    check_order(type, length, at == signature.size());
    if (length > bytes.size() - at - 12) ends();
    const auto content = bytes.subspan(at + 8, length);
    at += 12 + length;
    if (type == "IHDR")
      s.head = header_of(content);
    else if (type == "IDAT")
      s.data_bytes += length;
    else if (type == "eXIf" && s.exif.empty())
      s.exif = content;
    else if (type == "IEND")
      return s;
  }
}

}  // namespace

bool is_png(std::span<const std::byte> bytes) noexcept { return has_prefix(bytes, signature); }

description describe_png(std::span<const std::byte> bytes) {
  const auto s = summary_of(bytes);
  description d;
  d.kind = format::png;
  d.width = s.head.width;
  d.height = s.head.height;
  d.channels = s.head.is_coloured() ? 3 : 1;
  d.orientation = orientation_of(s.exif);
  d.progressive = s.head.interlaced;
  return d;
}

void check_png_data(std::span<const std::byte> bytes) {
  const auto s = summary_of(bytes);
  const auto bits =
      static_cast<std::uint64_t>(s.head.width) * static_cast<std::uint64_t>(s.head.height) * s.head.samples() * s.head.bits;
  const auto least = bits / 8 / most_bytes_of_a_byte;
  if (s.data_bytes < least)
    refuse(refusal::truncated, fmt::format("PNG: {} x {} take {} bytes of IDAT or more, and there are {}", s.head.width,
                                           s.head.height, least, s.data_bytes));
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
