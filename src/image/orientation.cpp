#include "orientation.hpp"

#include <algorithm>
#include <cstring>

#include "bytes.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr std::size_t entry_bytes = 12;
constexpr std::uint32_t orientation_tag = 0x0112;
constexpr std::uint32_t short_type = 3;

// Numbers in either byte order.
class tiff_reader {
 public:
  explicit tiff_reader(std::span<const std::byte> bytes, bool little) : bytes_(bytes), little_(little) {}

  [[nodiscard]] std::uint32_t u16(std::size_t at) const {
    return little_ ? byte_at(bytes_, at + 1) << 8 | byte_at(bytes_, at) : big16(bytes_, at);
  }
  [[nodiscard]] std::uint32_t u32(std::size_t at) const { return little_ ? u16(at + 2) << 16 | u16(at) : big32(bytes_, at); }

 private:
  std::span<const std::byte> bytes_;
  bool little_;
};

// Where stored pixel (0, 0) of the upright image is, and the steps from it along upright columns and rows, in pixels.
struct walk {
  std::int64_t first;
  std::int64_t column_step;
  std::int64_t row_step;
};

walk walk_of(const pixel_rows& from, int orientation) {
  const std::int64_t right = from.width - 1;
  const std::int64_t bottom = (from.height - 1) * from.width;
  switch (orientation) {
    case 2: return {right, -1, from.width};            // mirrored left to right
    case 3: return {bottom + right, -1, -from.width};  // turned by 180 degrees
    case 4: return {bottom, 1, -from.width};           // mirrored top to bottom
    case 5: return {0, from.width, 1};                 // transposed
    case 6: return {bottom, -from.width, 1};           // to be turned clockwise
    case 7: return {bottom + right, -from.width, -1};  // transposed along the other diagonal
    case 8: return {right, from.width, -1};            // to be turned anticlockwise
    default: return {0, 1, from.width};
  }
}

// In tiles: their source rows and result rows stay in the first cache, whichever way the walk goes.
template <int Channels>
void copy_along(const pixel_rows& from, const walk& way, std::int64_t width, std::int64_t height, std::uint8_t* out) {
  constexpr std::int64_t tile = 32;
  for (std::int64_t top = 0; top < height; top += tile)
    for (std::int64_t left = 0; left < width; left += tile) {
      const std::int64_t below = std::min(top + tile, height);
      const std::int64_t beyond = std::min(left + tile, width);
      for (std::int64_t y = top; y < below; ++y) {
        const std::uint8_t* source = from.data + (way.first + y * way.row_step + left * way.column_step) * Channels;
        std::uint8_t* target = out + (y * width + left) * Channels;
        for (std::int64_t x = left; x < beyond; ++x) {
          for (int c = 0; c < Channels; ++c) target[c] = source[c];
          target += Channels;
          if (x + 1 < beyond) source += way.column_step * Channels;
        }
      }
    }
}

}  // namespace

int orientation_of(std::span<const std::byte> tiff) noexcept {
  using namespace std::string_view_literals;
  const bool little = has_prefix(tiff, "II*\0"sv);
  if (!little && !has_prefix(tiff, "MM\0*"sv)) return 1;
  if (tiff.size() < 8) return 1;
  const tiff_reader read(tiff, little);
  const std::size_t directory = read.u32(4);
  if (directory > tiff.size() || tiff.size() - directory < 2) return 1;
  const std::size_t there = (tiff.size() - directory - 2) / entry_bytes;
  const std::size_t entries = std::min<std::size_t>(read.u16(directory), there);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * entry_bytes;
    if (read.u16(at) != orientation_tag) continue;
    if (read.u16(at + 2) != short_type || read.u32(at + 4) != 1) return 1;
    const auto value = static_cast<int>(read.u16(at + 8));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

void turn_upright(const pixel_rows& from, int orientation, std::uint8_t* out) noexcept {
  const walk way = walk_of(from, orientation);
  const std::int64_t width = orientation > 4 ? from.height : from.width;
  const std::int64_t height = orientation > 4 ? from.width : from.height;
  if (from.channels == 1)
    copy_along<1>(from, way, width, height, out);
  else
    copy_along<3>(from, way, width, height, out);
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
