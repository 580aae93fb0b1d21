// Grey images that canny is timed on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace bench {

using grey = std::vector<std::uint8_t>;

// Numbers that look random and are the same everywhere (splitmix64).
inline std::uint64_t mixed(std::uint64_t i) {
  std::uint64_t z = (i + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
inline double unit(std::uint64_t i) { return static_cast<double>(mixed(i) >> 11) * 0x1p-53; }  // [0, 1)

inline grey noise(int height, int width) {
  grey p(static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = static_cast<std::uint8_t>(mixed(i));
  return p;
}

// Noise between points of a lattice, smooth, with contrast that falls as it becomes finer; discs and bars of even shades;
// and a camera's noise. About as many edges as a photograph has.
inline grey natural_like(int height, int width) {
  std::vector<float> light(static_cast<std::size_t>(height) * static_cast<std::size_t>(width), 110.0f);
  std::uint64_t seed = 0;
  for (const auto& [step, contrast] : {std::pair{256, 60.0}, {64, 40.0}, {16, 18.0}, {6, 8.0}}) {
    const int columns = width / step + 2;
    const auto point = [&](int y, int x) { return unit(seed + static_cast<std::uint64_t>(y * columns + x)) * 2 - 1; };
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const auto smooth = [](double t) { return t * t * (3 - 2 * t); };
        const int i = y / step, j = x / step;
        const double v = smooth(static_cast<double>(y % step) / step), u = smooth(static_cast<double>(x % step) / step);
        const double top = point(i, j) * (1 - u) + point(i, j + 1) * u;
        const double bottom = point(i + 1, j) * (1 - u) + point(i + 1, j + 1) * u;
        light[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)] +=
            static_cast<float>(contrast * (top * (1 - v) + bottom * v));
      }
    seed += 1u << 24;
  }
  const int shapes = height * width / 20000;
  for (int s = 0; s < shapes; ++s) {
    const auto draw = [&](int k) { return unit(seed + static_cast<std::uint64_t>(8 * s + k)); };
    const double cy = draw(0) * height, cx = draw(1) * width, r = 4 + 60 * draw(2) * draw(2), shade = (draw(3) - 0.5) * 140;
    const double slope = draw(4) * 3.14159265, thin = draw(5) < 0.4 ? 0.1 : 1;
    for (int y = std::max(0, static_cast<int>(cy - r)); y < std::min<double>(height, cy + r); ++y)
      for (int x = std::max(0, static_cast<int>(cx - r)); x < std::min<double>(width, cx + r); ++x) {
        const double along = (x - cx) * std::cos(slope) + (y - cy) * std::sin(slope);
        const double across = ((y - cy) * std::cos(slope) - (x - cx) * std::sin(slope)) / thin;
        if (along * along + across * across < r * r)
          light[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)] +=
              static_cast<float>(shade);
      }
  }
  grey p(light.size());
  for (std::size_t i = 0; i < p.size(); ++i)
    p[i] =
        static_cast<std::uint8_t>(std::clamp(light[i] + static_cast<float>((unit(seed * 2 + i) - 0.5) * 6), 0.0f, 255.0f));
  return p;
}

// A line one pixel wide that winds inwards, `gap` pixels from its last turn, and is faint but for its first pixels: what is
// reached is reached along the whole line.
inline grey spiral(int height, int width, int gap) {
  grey p(static_cast<std::size_t>(height) * static_cast<std::size_t>(width));
  const auto at = [&](int y, int x) -> std::uint8_t& {
    return p[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
  };
  const auto inside = [&](int y, int x) { return y >= 0 && y < height && x >= 0 && x < width; };
  int drawn = 0;
  for (int y = 0, x = 0, dy = 0, dx = 1, turns = 0; turns < 2;) {
    at(y, x) = drawn++ < 8 ? 255 : 40;
    if (inside(y + dy, x + dx) && at(y + dy, x + dx) == 0 &&
        !(inside(y + gap * dy, x + gap * dx) && at(y + gap * dy, x + gap * dx) != 0)) {
      y += dy;
      x += dx;
      turns = 0;
    } else {
      dy = std::exchange(dx, -dy);
      ++turns;
    }
  }
  return p;
}

}  // namespace bench
