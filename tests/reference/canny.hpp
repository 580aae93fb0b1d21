// Canny's edges, pixel by pixel, written from the words of sluice/ops/canny.hpp.
//
//     reference::canny(image, out, {100, 200, 1});   // image (height, width[, channels]) with any strides -> out (height,
//     width)
#pragma once

#include <algorithm>
#include <cstdlib>

#include "reference.hpp"

namespace reference {

struct gradient {
  std::int64_t dx = 0;
  std::int64_t dy = 0;
  std::int64_t magnitude = 0;
};

class canny_image {
 public:
  canny_image(const sluice_array& image, const sluice_canny_options& options)
      : height_(image.extents[0]), width_(image.extents[1]), channels_(image.rank == 2 ? 1 : image.extents[2]) {
    for (const char* p : elements(image)) pixels_.push_back(load<std::uint8_t>(p));
    const auto threshold = [&](double x) {
      if (options.norm == 2) x = std::min(x, 32767.0);
      if (options.norm == 2 && x > 0) x *= x;
      return std::floor(x);
    };
    low_ = threshold(std::min(options.low, options.high));
    high_ = threshold(std::max(options.low, options.high));
    for (std::int64_t y = 0; y < height_; ++y)
      for (std::int64_t x = 0; x < width_; ++x) gradients_.push_back(gradient_at(y, x, options.norm));
  }

  [[nodiscard]] std::vector<std::uint8_t> edges() const {
    std::vector<std::uint8_t> out(gradients_.size(), 0);
    std::vector<std::int64_t> growing;
    const auto add = [&](std::int64_t y, std::int64_t x) {
      out[at(y, x)] = 255;
      growing.push_back(y * width_ + x);
    };
    for (std::int64_t y = 0; y < height_; ++y)
      for (std::int64_t x = 0; x < width_; ++x)
        if (out[at(y, x)] == 0 && candidate(y, x) && static_cast<double>(magnitude(y, x)) > high_) add(y, x);
    while (!growing.empty()) {
      const std::int64_t y = growing.back() / width_;
      const std::int64_t x = growing.back() % width_;
      growing.pop_back();
      for (std::int64_t v = std::max<std::int64_t>(0, y - 1); v <= std::min(height_ - 1, y + 1); ++v)
        for (std::int64_t u = std::max<std::int64_t>(0, x - 1); u <= std::min(width_ - 1, x + 1); ++u)
          if (out[at(v, u)] == 0 && candidate(v, u)) add(v, u);
    }
    return out;
  }

 private:
  [[nodiscard]] std::size_t at(std::int64_t y, std::int64_t x) const { return static_cast<std::size_t>(y * width_ + x); }

  // The border is repeated.
  [[nodiscard]] std::int64_t pixel(std::int64_t y, std::int64_t x, std::int64_t channel) const {
    y = std::clamp<std::int64_t>(y, 0, height_ - 1);
    x = std::clamp<std::int64_t>(x, 0, width_ - 1);
    return pixels_[at(y, x) * static_cast<std::size_t>(channels_) + static_cast<std::size_t>(channel)];
  }

  [[nodiscard]] gradient gradient_at(std::int64_t y, std::int64_t x, std::int32_t norm) const {
    gradient best;
    for (std::int64_t c = 0; c < channels_; ++c) {
      gradient g;
      for (const int k : {-1, 0, 1}) {
        g.dx += (2 - std::abs(k)) * (pixel(y + k, x + 1, c) - pixel(y + k, x - 1, c));
        g.dy += (2 - std::abs(k)) * (pixel(y + 1, x + k, c) - pixel(y - 1, x + k, c));
      }
      g.magnitude = norm == 2 ? g.dx * g.dx + g.dy * g.dy : std::abs(g.dx) + std::abs(g.dy);
      if (c == 0 || g.magnitude > best.magnitude) best = g;
    }
    return best;
  }

  [[nodiscard]] std::int64_t magnitude(std::int64_t y, std::int64_t x) const {
    return y < 0 || y >= height_ || x < 0 || x >= width_ ? 0 : gradients_[at(y, x)].magnitude;
  }

  [[nodiscard]] bool candidate(std::int64_t y, std::int64_t x) const {
    const gradient& g = gradients_[at(y, x)];
    const std::int64_t m = g.magnitude;
    if (!(static_cast<double>(m) > low_)) return false;
    const std::int64_t across = std::abs(g.dx) * 13573;
    const std::int64_t down = std::abs(g.dy) * 32768;
    if (down < across) return m > magnitude(y, x - 1) && m >= magnitude(y, x + 1);
    if (down > across + 2 * 32768 * std::abs(g.dx)) return m > magnitude(y - 1, x) && m >= magnitude(y + 1, x);
    const int s = (g.dx < 0) != (g.dy < 0) ? -1 : 1;
    return m > magnitude(y - 1, x - s) && m > magnitude(y + 1, x + s);
  }

  std::int64_t height_;
  std::int64_t width_;
  std::int64_t channels_;
  double low_ = 0;
  double high_ = 0;
  std::vector<std::uint8_t> pixels_;
  std::vector<gradient> gradients_;
};

inline void canny(const sluice_array& image, const sluice_array& out, const sluice_canny_options& options) {
  const auto edges = canny_image(image, options).edges();
  const auto to = elements(out);
  for (std::size_t i = 0; i < to.size(); ++i) store(to[i], edges[i]);
}

}  // namespace reference
