// Images of another size, sample by sample, written from the words of sluice/ops/resize.hpp.
//
//     reference::resized({pixels, height, width, channels}, 30, 40, false)   // whether the height is first is the caller's
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace reference {

struct picture {
  std::vector<std::uint8_t> samples;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 1;

  [[nodiscard]] std::size_t at(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return static_cast<std::size_t>((y * width + x) * channels + c);
  }
};

// The weights of pixels `first`, first + 1, ... of `in` for pixel `i` of `out`, times 2^22.
struct resize_weights {
  std::int64_t first = 0;
  std::vector<std::int64_t> weights;

  resize_weights(std::int64_t in, std::int64_t out, std::int64_t i) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double support = std::max(scale, 1.0);
    const volatile double center = (static_cast<double>(i) + 0.5) * scale;  // volatile: no fused products
    first = std::max<std::int64_t>(0, static_cast<std::int64_t>(center - support + 0.5));
    const std::int64_t end = std::min<std::int64_t>(in, static_cast<std::int64_t>(center + support + 0.5));
    std::vector<double> shares;
    double sum = 0;
    for (std::int64_t x = first; x < end; ++x) {
      const volatile double distance = (static_cast<double>(x) - center + 0.5) * (1.0 / support);
      shares.push_back(std::max(0.0, 1.0 - std::abs(distance)));
      sum += shares.back();
    }
    for (const double share : shares) weights.push_back(static_cast<std::int64_t>(0.5 + share / sum * 4194304.0));  // exact
  }
};

// One pass.
inline picture resized(const picture& in, bool of_height, std::int64_t extent) {
  picture out{{}, of_height ? extent : in.height, of_height ? in.width : extent, in.channels};
  if (extent == (of_height ? in.height : in.width)) return in;
  out.samples.resize(static_cast<std::size_t>(out.height * out.width * out.channels));
  for (std::int64_t i = 0; i < extent; ++i) {
    const resize_weights w(of_height ? in.height : in.width, extent, i);
    for (std::int64_t j = 0; j < (of_height ? in.width : in.height); ++j)
      for (std::int64_t c = 0; c < in.channels; ++c) {
        std::int64_t sum = 1 << 21;
        for (std::size_t k = 0; k < w.weights.size(); ++k) {
          const std::int64_t x = w.first + static_cast<std::int64_t>(k);
          sum += w.weights[k] * in.samples[of_height ? in.at(x, j, c) : in.at(j, x, c)];
        }
        out.samples[of_height ? out.at(i, j, c) : out.at(j, i, c)] =
            static_cast<std::uint8_t>(std::min<std::int64_t>(255, sum >> 22));
      }
  }
  return out;
}

inline picture resized(const picture& in, std::int64_t height, std::int64_t width, bool height_first) {
  return height_first ? resized(resized(in, true, height), false, width) : resized(resized(in, false, width), true, height);
}

}  // namespace reference
