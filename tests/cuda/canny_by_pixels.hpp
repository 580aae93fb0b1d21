// Canny's edges computed pixel by pixel and by a flood with a stack, and images that are hard for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "sluice/impl/base/canny.hpp"

namespace canny_by_pixels {

struct picture {
  int height, width, channels;
  std::vector<std::uint8_t> bytes;
};
using bitmap = std::vector<std::uint8_t>;  // a byte a pixel

// Candidates and strong pixels, one by one.
inline std::pair<bitmap, bitmap> edges_by_pixels(const picture& p, const sluice::base::canny_thresholds& t) {
  const int h = p.height, w = p.width;
  const auto at = [&](int y, int x, int c) {
    y = std::clamp(y, 0, h - 1), x = std::clamp(x, 0, w - 1);
    return static_cast<int>(p.bytes[static_cast<std::size_t>((y * w + x) * p.channels + c)]);
  };
  const auto pixels = static_cast<std::size_t>(h) * static_cast<std::size_t>(w);
  std::vector<int> xs(pixels), ys(pixels), ms(pixels);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x)
      for (int c = 0; c < p.channels; ++c) {
        int dx = 0, dy = 0;
        for (int k = -1; k <= 1; ++k) {
          dx += (2 - k * k) * (at(y + k, x + 1, c) - at(y + k, x - 1, c));
          dy += (2 - k * k) * (at(y + 1, x + k, c) - at(y - 1, x + k, c));
        }
        const int m = t.squared ? dx * dx + dy * dy : std::abs(dx) + std::abs(dy);
        const auto i = static_cast<std::size_t>(y * w + x);
        if (c == 0 || m > ms[i]) xs[i] = dx, ys[i] = dy, ms[i] = m;
      }
  const auto m = [&](int y, int x) {
    return y < 0 || y >= h || x < 0 || x >= w ? 0 : ms[static_cast<std::size_t>(y * w + x)];
  };
  bitmap candidates(pixels), strong(pixels);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      const auto i = static_cast<std::size_t>(y * w + x);
      const int dx = std::abs(xs[i]), dy = std::abs(ys[i]) << 15, low = dx * sluice::base::canny_tan, v = ms[i];
      bool is = v > t.low;
      if (dy < low)
        is = is && v > m(y, x - 1) && v >= m(y, x + 1);
      else if (dy > low + (dx << 16))
        is = is && v > m(y - 1, x) && v >= m(y + 1, x);
      else {
        const int s = (xs[i] ^ ys[i]) < 0 ? -1 : 1;
        is = is && v > m(y - 1, x - s) && v > m(y + 1, x + s);
      }
      candidates[i] = is;
      strong[i] = is && v > t.high;
    }
  return {candidates, strong};
}

inline bitmap flood_by_stack(const bitmap& candidates, const bitmap& strong, int h, int w) {
  bitmap to = strong;
  std::vector<int> stack;
  for (int i = 0; i < h * w; ++i)
    if (strong[static_cast<std::size_t>(i)] != 0) stack.push_back(i);
  while (!stack.empty()) {
    const int i = stack.back();
    stack.pop_back();
    for (int y = std::max(i / w - 1, 0); y <= std::min(i / w + 1, h - 1); ++y)
      for (int x = std::max(i % w - 1, 0); x <= std::min(i % w + 1, w - 1); ++x) {
        const auto n = static_cast<std::size_t>(y * w + x);
        if (candidates[n] != 0 && to[n] == 0) to[n] = 1, stack.push_back(y * w + x);
      }
  }
  return to;
}

// A line one pixel wide that winds inwards, `gap` pixels from its last turn.
inline bitmap spiral(int h, int w, int gap) {
  bitmap b(static_cast<std::size_t>(h * w));
  const auto inside = [&](int y, int x) { return y >= 0 && y < h && x >= 0 && x < w; };
  const auto taken = [&](int y, int x) { return inside(y, x) && b[static_cast<std::size_t>(y * w + x)] != 0; };
  for (int y = 0, x = 0, dy = 0, dx = 1, turns = 0; turns < 2;) {
    b[static_cast<std::size_t>(y * w + x)] = 1;
    if (inside(y + dy, x + dx) && !taken(y + gap * dy, x + gap * dx)) {
      y += dy, x += dx, turns = 0;
    } else {
      dy = std::exchange(dx, -dy);
      ++turns;
    }
  }
  return b;
}

}  // namespace canny_by_pixels
