// The tag in its TIFF structure, and the eight ways of turning.
#include "orientation.hpp"

#include "image_testing.hpp"

using namespace testing;
using sluice::image::orientation_of;
using sluice::image::turn_upright;

namespace {

std::string little(std::uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string number(bool big, std::uint32_t value, int bytes) {
  auto out = little(value, bytes);
  if (big) std::reverse(out.begin(), out.end());
  return out;
}

struct entry {
  std::uint32_t tag = 0x0112, type = 3, count = 1, value = 6;
};

std::string tiff(bool big, const std::vector<entry>& entries, std::uint32_t directory = 8) {
  std::string out = big ? std::string("MM\0*", 4) : std::string("II*\0", 4);
  out += number(big, directory, 4) + std::string(directory - 8, 'x') +
         number(big, static_cast<std::uint32_t>(entries.size()), 2);
  for (const auto& e : entries)
    out += number(big, e.tag, 2) + number(big, e.type, 2) + number(big, e.count, 4) +
           (e.type == 3 ? number(big, e.value, 2) + std::string(2, '\0') : number(big, e.value, 4));
  return out + std::string(4, '\0');
}

int found(const std::string& bytes) { return orientation_of(bytes_of(bytes)); }

// Where the tag says that stored row y and column x are shown.
std::pair<std::int64_t, std::int64_t> shown(int orientation, std::int64_t y, std::int64_t x, std::int64_t height,
                                            std::int64_t width) {
  const std::int64_t up = height - 1 - y, left = width - 1 - x;
  switch (orientation) {
    case 2: return {y, left};
    case 3: return {up, left};
    case 4: return {up, x};
    case 5: return {x, y};
    case 6: return {x, up};
    case 7: return {left, up};
    case 8: return {left, y};
    default: return {y, x};
  }
}

}  // namespace

TEST_CASE("the tag is found in both byte orders, after other entries and at any offset") {
  for (const bool big : {false, true})
    for (std::uint32_t value = 1; value <= 8; ++value) {
      CHECK(found(tiff(big, {{.value = value}})) == static_cast<int>(value));
      CHECK(
          found(tiff(big, {{.tag = 0x010e, .type = 2, .count = 40, .value = 0xffffffff}, {.tag = 0x0110}, {.value = value}},
                     100)) == static_cast<int>(value));
    }
}

TEST_CASE("what does not parse is upright") {
  CHECK(found("") == 1);
  CHECK(found("II*") == 1);
  CHECK(found(std::string("II*\0\0\0\0", 7)) == 1);
  CHECK(found("II+\0" + tiff(false, {{}}).substr(4)) == 1);
  for (const bool big : {false, true}) {
    CHECK(found(tiff(big, {})) == 1);
    CHECK(found(tiff(big, {{.tag = 0x0113}})) == 1);
    for (const std::uint32_t value : {0u, 9u, 255u, 65535u}) CHECK(found(tiff(big, {{.value = value}})) == 1);
    CHECK(found(tiff(big, {{.type = 4}})) == 1);
    CHECK(found(tiff(big, {{.count = 2}})) == 1);
    CHECK(found(tiff(big, {{.count = 0xffffffff}})) == 1);
    CHECK(found(tiff(big, {{.value = 9}, {.value = 6}})) == 1);  // the first counts
    const auto whole = tiff(big, {{.tag = 0x0100}, {}});
    CHECK(found(whole) == 6);
    for (std::size_t size = 0; size < 8 + 2 + 2 * 12; ++size) CHECK(found(whole.substr(0, size)) == 1);
    for (const std::uint32_t directory : {0x7fffffffu, 0xffffffffu, 0xfffffff6u, static_cast<std::uint32_t>(whole.size())})
      CHECK(found(whole.substr(0, 4) + number(big, directory, 4) + whole.substr(8)) == 1);
    auto many = whole;  // claims 65,535 entries
    many.replace(8, 2, "\xff\xff");
    CHECK(found(many) == 6);
  }
}

TEST_CASE("each way of turning puts every pixel where the tag says") {
  for (const auto& [height, width] :
       {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 7}, {7, 1}, {2, 3}, {31, 33}, {64, 32}, {65, 100}})
    for (const int channels : {1, 3})
      for (int orientation = 1; orientation <= 8; ++orientation) {
        const auto stored = random({height, width, channels}, dtype::u8);
        const auto from = bytes_of(stored);
        std::vector<std::uint8_t> out(from.size()), expected(from.size());
        const auto across = orientation > 4 ? height : width;
        for (std::int64_t y = 0; y < height; ++y)
          for (std::int64_t x = 0; x < width; ++x) {
            const auto [row, column] = shown(orientation, y, x, height, width);
            for (int c = 0; c < channels; ++c)
              expected[static_cast<std::size_t>((row * across + column) * channels + c)] =
                  from[static_cast<std::size_t>((y * width + x) * channels + c)];
          }
        turn_upright({from.data(), width, height, channels}, orientation, out.data());
        CHECK(out == expected);
      }
}
