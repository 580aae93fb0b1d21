// Pictures as models take them: resize() computes the samples of the crop, and a table turns each into its f32.
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "sluice/image.hpp"
#include "sluice/ops/resize.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

constexpr std::int64_t most_extent = 1 << 24;  // as resize() has it

[[noreturn]] void not_prepared(const std::string& sentence) {
  throw error(error_code::invalid_argument, "[image] " + sentence);
}

void check(const preparation& how) {
  if (how.channels != 1 && how.channels != 3)
    not_prepared(fmt::format("a picture of {} channels cannot be prepared: 1 and 3 are possible", how.channels));
  for (const std::int64_t extent : {how.resize_short, how.crop})
    if (extent < 0 || extent > most_extent)
      not_prepared(
          fmt::format("resize_short is {} and crop {}: 0 to {} are possible", how.resize_short, how.crop, most_extent));
  if (!std::isfinite(how.scale)) not_prepared(fmt::format("scale is {}, and must be finite", how.scale));
  for (std::size_t c = 0; c < 3; ++c)
    if (!std::isfinite(how.mean[c]) || !std::isfinite(how.std[c]) || how.std[c] == 0)
      not_prepared(fmt::format("of channel {} mean is {} and std {}: both must be finite, and std not 0", c, how.mean[c],
                               how.std[c]));
}

void check(const tensor& picture, int channels) {
  const auto& s = picture.shape();
  const bool is_grey = s.rank() == 2 || (s.rank() == 3 && s[2] == 1);
  if (picture.dtype() != dtype::u8 || !(is_grey || (s.rank() == 3 && s[2] == 3)))
    not_prepared(fmt::format("{} {} is no picture: u8 of (H, W), (H, W, 1) or (H, W, 3) is one",
                             sluice::name_of(picture.dtype()), s.str()));
  if (s[0] < 1 || s[1] < 1) not_prepared(fmt::format("a picture of {} has no pixels", s.str()));
  if (channels == 1 && !is_grey)
    not_prepared(fmt::format("a picture of {} has 3 channels, and 1 is wanted: decode() makes grey ones", s.str()));
}

// Where one direction of the resized picture is in the result.
struct placed_extent {
  std::int64_t first;   // of the resized picture
  std::int64_t count;   // pixels
  std::int64_t before;  // black pixels
  std::int64_t all;     // pixels of the result

  // As CenterCrop: half to even.
  placed_extent(std::int64_t resized, std::int64_t crop) : first(0), count(resized), before(0), all(resized) {
    if (crop == 0) return;
    all = crop;
    const std::int64_t half = std::abs(resized - crop) / 2;
    if (resized < crop) {
      before = half;
    } else {
      first = half + ((resized - crop) % 2 == 1 ? half % 2 : 0);
      count = crop;
    }
  }
};

// What a picture becomes.
struct plan {
  std::int64_t height;  // of the whole resized picture
  std::int64_t width;
  placed_extent rows;
  placed_extent columns;

  plan(const tensor& picture, const preparation& how)
      : plan(resized(picture.extent(0), picture.extent(1), how.resize_short), how.crop) {}

  [[nodiscard]] shape result(const preparation& how) const {
    return how.layout == layout::nchw ? shape{1, how.channels, rows.all, columns.all}
                                      : shape{1, rows.all, columns.all, how.channels};
  }

 private:
  plan(std::pair<std::int64_t, std::int64_t> extents, std::int64_t crop)
      : height(extents.first), width(extents.second), rows(height, crop), columns(width, crop) {}

  static std::pair<std::int64_t, std::int64_t> resized(std::int64_t height, std::int64_t width, std::int64_t shorter) {
    if (shorter == 0) return {height, width};
    if (height <= width) return {shorter, shorter * width / height};
    return {shorter * height / width, shorter};
  }
};

// The pixels of the crop on the CPU, contiguous: (rows.count, columns.count[, C]).
tensor samples_of(const tensor& picture, const plan& p) {
  const auto& [rows, columns] = std::tie(p.rows, p.columns);
  if (p.height == picture.extent(0) && p.width == picture.extent(1))
    return picture.slice(0, rows.first, rows.first + rows.count)
        .slice(1, columns.first, columns.first + columns.count)
        .to(device::cpu)
        .contiguous();
  const resize_options part{.window = {rows.first, columns.first, rows.count, columns.count}};
  return resize(picture, p.height, p.width, part, picture.device()).to(device::cpu).contiguous();
}

// What the 256 samples of a channel become, by Normalize(ToTensor(x)).
using channel_values = std::array<float, 256>;

channel_values values_of(const preparation& how, std::size_t channel) {
  channel_values values{};
  for (int x = 0; x < 256; ++x) {
    const auto scaled = static_cast<float>(x * how.scale);
    values[static_cast<std::size_t>(x)] = (scaled - how.mean[channel]) / how.std[channel];
  }
  return values;
}

// The elements of one channel: those of row r begin `row_stride` after those of the row before.
struct channel_target {
  float* first;
  std::int64_t row_stride;
  std::int64_t pixel_stride;

  [[nodiscard]] float* at(std::int64_t row, std::int64_t column) const {
    return first + row * row_stride + column * pixel_stride;
  }
};

void fill_channel(const tensor& samples, std::int64_t channel, const plan& p, const channel_values& values,
                  const channel_target& to) {
  const std::int64_t step = samples.rank() == 2 ? 1 : samples.extent(2);
  const auto* from = static_cast<const std::uint8_t*>(samples.data()) + channel;
  const auto fill = [&](std::int64_t row, std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) *to.at(row, i) = values[0];
  };
  const std::int64_t end = p.columns.before + p.columns.count;
  for (std::int64_t row = 0; row < p.rows.all; ++row) {
    if (row < p.rows.before || row >= p.rows.before + p.rows.count) {
      fill(row, 0, p.columns.all);
      continue;
    }
    fill(row, 0, p.columns.before);
    float* out = to.at(row, p.columns.before);
    for (std::int64_t i = 0; i < p.columns.count; ++i, from += step) out[i * to.pixel_stride] = values[*from];
    fill(row, end, p.columns.all);
  }
}

void fill_all(const tensor& picture, const preparation& how, const plan& p, float* to) {
  const tensor samples = samples_of(picture, p);
  const bool repeats = samples.rank() == 2 || samples.extent(2) == 1;
  for (std::int64_t c = 0; c < how.channels; ++c) {
    const std::int64_t channel = repeats ? 0 : how.bgr ? 2 - c : c;
    const channel_target planar{to + c * p.rows.all * p.columns.all, p.columns.all, 1};
    const channel_target interleaved{to + c, p.columns.all * how.channels, how.channels};
    fill_channel(samples, channel, p, values_of(how, static_cast<std::size_t>(c)),
                 how.layout == layout::nchw ? planar : interleaved);
  }
}

plan checked_plan(const tensor& picture, const preparation& how) {
  check(how);
  check(picture, how.channels);
  return {picture, how};
}

}  // namespace

tensor prepare(const tensor& picture, const preparation& how) {
  const plan p = checked_plan(picture, how);
  tensor out(p.result(how), dtype::f32);
  fill_all(picture, how, p, static_cast<float*>(out.data()));
  return out;
}

void prepare_into(tensor& out, const tensor& picture, const preparation& how) {
  const plan p = checked_plan(picture, how);
  const shape one = p.result(how);
  const shape& given = out.shape();
  const bool fits = given == one || given == shape{one[1], one[2], one[3]};
  if (out.dtype() != dtype::f32 || !fits || !out.is_contiguous() || !out.device().is_cpu())
    not_prepared(fmt::format("out is {} {} on {}{}, and f32 {} in contiguous host memory is needed",
                             sluice::name_of(out.dtype()), given.str(), out.device().str(),
                             out.is_contiguous() ? "" : " with gaps", one.str()));
  fill_all(picture, how, p, static_cast<float*>(out.data()));
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
