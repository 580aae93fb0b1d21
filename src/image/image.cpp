// The fronts: check, allocate, call.
#include <utility>

#include <fmt/format.h>

#include "jpeg.hpp"
#include "orientation.hpp"
#include "png.hpp"
#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr std::int64_t most_jpeg_extent = 65'500;  // libjpeg's
constexpr std::int64_t most_png_extent = 1'000'000;

[[noreturn]] void not_taken(const std::string& sentence) {
  throw error(error_code::invalid_argument, "[image] " + sentence);
}

void check(const decode_options& options, const device& where, memory kind) {
  if (kind == memory::device && where != device::cpu)
    not_taken(fmt::format("images are decoded to host memory: {} has memory::pinned for that", where.str()));
  if (options.channels != 0 && options.channels != 1 && options.channels != 3)
    not_taken(fmt::format("channels is {}: 0, 1 or 3 are possible", options.channels));
  if (options.most_pixels < 1) not_taken(fmt::format("most_pixels is {}: 1 is the least", options.most_pixels));
}

void check(const tensor& image, format kind, const encode_options& options) {
  const auto& shape = image.shape();
  const bool is_grey = image.rank() == 2 || (image.rank() == 3 && shape[2] == 1);
  if (image.dtype() != dtype::u8 || !(is_grey || (image.rank() == 3 && shape[2] == 3)))
    not_taken(fmt::format("{} {} is no image: u8 of (H, W), (H, W, 1) or (H, W, 3) is one", sluice::name_of(image.dtype()),
                          shape.str()));
  const auto most = kind == format::jpeg ? most_jpeg_extent : most_png_extent;
  if (shape[0] < 1 || shape[1] < 1 || shape[0] > most || shape[1] > most)
    not_taken(
        fmt::format("a {} of {} x {} cannot be written: 1 to {} are possible", name_of(kind), shape[1], shape[0], most));
  if (options.quality < 1 || options.quality > 100)
    not_taken(fmt::format("quality is {}: 1 to 100 are possible", options.quality));
  if (options.bilevel && (kind == format::jpeg || !is_grey))
    not_taken(fmt::format("bilevel is for a grey PNG, and this is a {} of {}", name_of(kind), shape.str()));
}

// Fills `out` with the pixels as stored.
void decode_stored(std::span<const std::byte> bytes, const description& about, int channels, tensor& out) {
  auto* rows = static_cast<std::uint8_t*>(out.data());
  if (about.kind == format::jpeg)
    decode_jpeg(bytes, about, channels, rows);
  else
    decode_png(bytes, about, channels, rows);
}

}  // namespace

description describe(std::span<const std::byte> bytes) {
  if (is_jpeg(bytes)) return describe_jpeg(bytes);
  if (is_png(bytes)) return describe_png(bytes);
  refuse(refusal::unrecognised, fmt::format("{} bytes that begin neither as a JPEG nor as a PNG", bytes.size()));
}

tensor decode(std::span<const std::byte> bytes, const decode_options& options, const device& where, memory kind) {
  check(options, where, kind);
  const auto about = describe(bytes);
  if (about.width > options.most_pixels / about.height)
    refuse(refusal::too_large, fmt::format("{} x {} are {} pixels: {} at most", about.width, about.height,
                                           about.width * about.height, options.most_pixels));
  if (about.kind == format::jpeg)
    check_jpeg_scans(bytes);
  else
    check_png_data(bytes);
  const int channels = options.channels == 0 ? about.channels : options.channels;
  const int orientation = options.orient ? about.orientation : 1;
  if (orientation == 1) {
    tensor out({about.height, about.width, channels}, dtype::u8, where, kind);
    decode_stored(bytes, about, channels, out);
    return out;
  }
  tensor stored({about.height, about.width, channels}, dtype::u8);
  decode_stored(bytes, about, channels, stored);
  const auto rows = orientation > 4 ? about.width : about.height;
  tensor out({rows, about.width * about.height / rows, channels}, dtype::u8, where, kind);
  turn_upright({static_cast<const std::uint8_t*>(std::as_const(stored).data()), about.width, about.height, channels},
               orientation, static_cast<std::uint8_t*>(out.data()));
  return out;
}

std::vector<std::byte> encode(const tensor& image, format kind, const encode_options& options) {
  check(image, kind, options);
  const tensor host = image.to(device::cpu).contiguous();
  const auto* rows = static_cast<const std::uint8_t*>(host.data());
  const int channels = image.rank() == 2 ? 1 : static_cast<int>(image.extent(2));
  if (kind == format::jpeg) return encode_jpeg(rows, image.extent(1), image.extent(0), channels, options.quality);
  if (options.bilevel) return encode_bilevel_png(rows, image.extent(1), image.extent(0));
  return encode_png(rows, image.extent(1), image.extent(0), channels);
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
