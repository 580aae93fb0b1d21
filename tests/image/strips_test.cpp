// Files whose strips several threads encode: the pixels of one strip, and the same bytes by any number of threads.
#include "image_testing.hpp"

#include "jpeg.hpp"
#include "png.hpp"
#include "sluice/parallel.hpp"

using namespace sluice;

namespace {

std::vector<std::uint8_t> noise(std::int64_t count, bool edges) {
  std::vector<std::uint8_t> all(static_cast<std::size_t>(count));
  std::uint32_t x = 1;
  for (auto& value : all) {
    x = x * 1664525u + 1013904223u;
    value = static_cast<std::uint8_t>(edges ? ((x >> 24) > 200 ? 255 : 0) : x >> 24);
  }
  return all;
}

bool same(const tensor& a, const tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

template <class F>
std::vector<std::byte> by_one_thread(F encode) {
  const parallel_alone alone(true);
  return encode();
}

std::size_t count_of(const std::vector<std::byte>& file, int marker) {
  std::size_t n = 0;
  for (std::size_t i = 0; i + 1 < file.size(); ++i)
    n += file[i] == std::byte{0xff} && file[i + 1] == static_cast<std::byte>(marker) ? 1 : 0;
  return n;
}

}  // namespace

TEST_CASE("a JPEG of strips has the pixels of one") {
  struct extents {
    std::int64_t rows, columns;
    std::size_t strips;
  };
  for (const auto& e : {extents{1, 1, 1}, extents{256, 40, 1}, extents{257, 33, 2}, extents{1080, 190, 5},
                        extents{2817, 17, 12}, extents{200, 65'500, 4}})
    for (const int channels : {1, 3}) {
      CAPTURE(e.rows);
      CAPTURE(channels);
      const auto pixels = noise(e.rows * e.columns * channels, channels == 1);
      const auto encoded = [&] { return image::encode_jpeg(pixels.data(), e.columns, e.rows, channels, 90); };
      const auto file = encoded();
      const auto whole = image::encode_jpeg_strip(pixels.data(), e.columns, e.rows, channels, 90);
      CHECK(file == by_one_thread(encoded));
      CHECK(same(image::decode(file), image::decode(whole)));
      std::size_t restarts = 0;
      for (int m = 0xd0; m < 0xd8; ++m) restarts += count_of(file, m);
      if (e.columns < 60'000) CHECK(restarts == e.strips - 1);
      CHECK(count_of(file, 0xdd) == (restarts == 0 ? 0 : 1));
    }
}

TEST_CASE("a PNG of one bit has every pixel of any width and height") {
  for (const std::int64_t columns : {1, 7, 8, 9, 64, 1000, 300'000})
    for (const std::int64_t rows : {1, 2, 5, columns > 1000 ? 3 : 3000}) {
      CAPTURE(columns);
      CAPTURE(rows);
      auto pixels = noise(rows * columns, true);
      const auto encoded = [&] { return image::encode_bilevel_png(pixels.data(), columns, rows); };
      const auto file = encoded();
      CHECK(file == by_one_thread(encoded));
      const auto back = image::decode(file);
      CHECK(back.shape() == shape{rows, columns, 1});
      CHECK(std::memcmp(back.data(), pixels.data(), pixels.size()) == 0);
      CHECK(file[24] == std::byte{1});
    }
}
