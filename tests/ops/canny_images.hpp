// Images for the tests of canny, the same on every machine, and the thresholds that they are tested with.
#pragma once

#include <iterator>

#include "sluice/ops/canny.hpp"
#include "testing.hpp"

namespace testing {

// Pixels that a function of (y, x, channel) gives.
template <class F>
tensor painted(std::int64_t height, std::int64_t width, std::int64_t channels, F value) {
  tensor t = channels == 1 ? tensor(shape{height, width}, dtype::u8) : tensor(shape{height, width, channels}, dtype::u8);
  auto* p = static_cast<std::uint8_t*>(t.data());
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x)
      for (std::int64_t c = 0; c < channels; ++c) *p++ = static_cast<std::uint8_t>(value(y, x, c));
  return t;
}

// A path `stroke` pixels wide that turns inwards, in a weak contrast but for its inner end: hysteresis has to go all its
// way.
inline tensor spiral(std::int64_t height, std::int64_t width, std::int64_t channels, std::int64_t stroke, int weak) {
  tensor t = painted(height, width, channels, [](auto...) { return 0; });
  auto* p = static_cast<std::uint8_t*>(t.data());
  const auto fill = [&](std::int64_t top, std::int64_t left, std::int64_t bottom, std::int64_t right, int value) {
    for (std::int64_t y = top; y < bottom; ++y)
      for (std::int64_t i = left * channels; i < right * channels; ++i)
        p[y * width * channels + i] = static_cast<std::uint8_t>(value - i % channels);
  };
  std::int64_t top = stroke, left = stroke, bottom = height - stroke, right = width - stroke, turns = 0;
  for (; right - left > 6 * stroke && bottom - top > 6 * stroke; ++turns) {
    fill(top, turns == 0 ? left : left - 2 * stroke, top + stroke, right, weak);
    fill(top, right - stroke, bottom, right, weak);
    fill(bottom - stroke, left, bottom, right, weak);
    top += 2 * stroke;
    fill(top, left, bottom, left + stroke, weak);
    left += 2 * stroke;
    right -= 2 * stroke;
    bottom -= 2 * stroke;
  }
  if (turns > 0) fill(top, left - 2 * stroke, top + stroke, left, 255);
  return t;
}

inline constexpr const char* image_kinds[] = {"noise", "sparse", "flat",   "lines", "spiral",
                                              "board", "waves",  "blocks", "steps"};

inline tensor image_of(std::string_view kind, std::int64_t height, std::int64_t width, std::int64_t channels,
                       std::uint64_t seed) {
  numbers n(seed);
  const auto paint = [&](auto value) { return painted(height, width, channels, value); };
  const auto grain = [&](int most) { return static_cast<int>(n.next() % static_cast<unsigned>(most)); };
  const std::int64_t size = 2 + n.below(9);
  if (kind == "noise") return paint([&](auto...) { return grain(256); });
  if (kind == "sparse") return paint([&](auto...) { return grain(24) == 0 ? grain(256) : 0; });
  if (kind == "flat") return paint([&](auto...) { return 77; });
  if (kind == "lines")  // of one pixel
    return paint([&](std::int64_t y, std::int64_t x, std::int64_t c) {
      const std::int64_t step = 3 * size;
      return x % step == c || y % step == 0 || (x + y) % (step + 1) == 0 || (x - 2 * y) % (step + 2) == 0 ? 30 + 22 * size
                                                                                                          : 9;
    });
  if (kind == "spiral") return spiral(height, width, channels, size, 40);
  if (kind == "board")  // checkers of one pixel up
    return paint(
        [&](std::int64_t y, std::int64_t x, std::int64_t c) { return (x / (size - 1) + y / (size - 1) + c) % 2 * 200; });
  if (kind == "waves")  // parabolas: gradients of all directions and lengths
    return paint([&](std::int64_t y, std::int64_t x, std::int64_t c) {
      return (x * x * size / 7 + y * y / size + (c + 1) * x * y / 16) / 8 % 256;
    });
  if (kind == "blocks") {  // of random values, under some grain: the nearest to a photograph
    return paint([&](std::int64_t y, std::int64_t x, std::int64_t c) {
      numbers block(seed + static_cast<std::uint64_t>((y + x / 3) / (4 * size) * 7919 + (x - y / 4 + 4096) / (5 * size)));
      return static_cast<int>(block.next() >> (8 * c) & 127) + 40 + grain(24);
    });
  }
  return paint([&](std::int64_t y, std::int64_t x, std::int64_t c) { return (x / 5 * 9 + y / 3 * 5 * (c + 1)) % 256; });
}

struct thresholds {
  double low;
  double high;
};

inline constexpr thresholds threshold_pairs[] = {
    {100, 200}, {50, 150},       {20.5, 400}, {-3, 10},      {200, 100},         {0, 0},           {10, 20},
    {1, 1},     {99.9, 200.9},   {-20, -10},  {0, 1530},     {1529.5, 1529.999}, {1530, 1530},     {255, 255},
    {300, 700}, {1020, 1019.99}, {0.5, 2000}, {40000, 0.25}, {32767, 40000},     {64, 64.0000001},
};
static_assert(std::size(threshold_pairs) == 20);

inline constexpr sluice::edge_norm both_norms[] = {sluice::edge_norm::l1, sluice::edge_norm::l2};

// The images of the digests in canny_digests.hpp.
struct digest_image {
  const char* kind;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
};

inline tensor image_of(const digest_image& d) {
  return image_of(d.kind, d.height, d.width, d.channels, static_cast<std::uint64_t>(d.height * 1000 + d.width));
}

// Adds the bytes of an image's edges.
inline void add_to_digest(std::uint64_t& hash, std::span<const std::uint8_t> bytes) {
  for (const auto byte : bytes) hash = (hash ^ byte) * 1099511628211u;  // FNV-1a
}
inline constexpr std::uint64_t empty_digest = 1469598103934665603u;

}  // namespace testing
