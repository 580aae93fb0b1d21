// Images of another size on every device, against the slow reference; resize_pillow_test.py compares them with Pillow's.
#include "resize.hpp"

#include "sluice/ops/resize.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::resize_order;
using sluice::resize_window;

namespace {

std::int64_t channels_of(const tensor& image) { return image.rank() == 2 ? 1 : image.extent(2); }

// image is (H, W) or (H, W, C).
tensor by_reference(const tensor& image, std::int64_t height, std::int64_t width,
                    resize_order order = resize_order::automatic) {
  const std::int64_t h = image.extent(0), w = image.extent(1), c = channels_of(image);
  const bool height_first = order == resize_order::automatic && h > height && h - height > 2 * (w - width);
  const reference::picture all = reference::resized({bytes_of(image), h, w, c}, height, width, height_first);
  return tensor::of<std::uint8_t>(image.rank() == 2 ? shape{height, width} : shape{height, width, c}, all.samples);
}

// Noise; of every third seed black and white only, whose sums are at their ends.
tensor picture(std::int64_t height, std::int64_t width, std::int64_t channels, std::uint64_t seed) {
  numbers n(seed);
  const shape s = channels == 1 && seed % 2 == 0 ? shape{height, width} : shape{height, width, channels};
  return made(s, dtype::u8, [&](std::int64_t) -> reference::real {
    const auto sample = n.next() % 256;
    return seed % 3 == 0 ? (sample < 128 ? 0 : 255) : static_cast<double>(sample);
  });
}

}  // namespace

TEST_CASE("images of every size, enlarged and shrunk, have the samples of the reference") {
  std::uint64_t seed = 0;
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t height : {1, 2, 15, 70})
      for (const std::int64_t width : {1, 5, 16, 33, 130})
        for (const std::int64_t to_height : {1, 3, 64, 70, 71})
          for (const std::int64_t to_width : {1, 4, 16, 23, 65, 130}) {
            const std::int64_t channels = ++seed % 5 < 2 ? 1 : 3;
            const tensor image = picture(height, width, channels, seed);
            INFO(where.str(), ": ", image.shape().str(), " to ", to_height, " x ", to_width);
            CHECK(same_bits(sluice::resize(image.to(where), to_height, to_width).to("cpu"),
                            by_reference(image, to_height, to_width)));
          }
}

TEST_CASE("large images, tall ones and wide ones") {
  struct {
    std::int64_t height, width, to_height, to_width;
  } const all[] = {{700, 900, 256, 329}, {900, 700, 329, 256}, {1500, 300, 256, 51}, {300, 1500, 51, 256},
                   {90, 60, 700, 500},   {3000, 7, 5, 7},      {7, 3000, 7, 5},      {2000, 3, 8, 900},
                   {3, 2000, 900, 8},    {512, 512, 512, 100}, {512, 512, 100, 512}, {640, 480, 640, 480}};
  for (const auto& where : one_of_each_backend())
    for (const auto& e : all)
      for (const std::int64_t channels : {1, 3})
        for (const auto order : {resize_order::automatic, resize_order::width_first}) {
          const tensor image = picture(e.height, e.width, channels, static_cast<std::uint64_t>(e.height + channels));
          INFO(where.str(), ": ", image.shape().str(), " to ", e.to_height, " x ", e.to_width);
          CHECK(same_bits(sluice::resize(image.to(where), e.to_height, e.to_width, {.order = order}).to("cpu"),
                          by_reference(image, e.to_height, e.to_width, order)));
        }
}

TEST_CASE("the order of passes changes samples") {
  const tensor image = picture(300, 20, 3, 7);
  const tensor now = sluice::resize(image, 30, 10);
  CHECK(!same_bits(now, sluice::resize(image, 30, 10, {.order = resize_order::width_first})));
  CHECK(same_bits(sluice::resize(image, 300, 10), sluice::resize(image, 300, 10, {.order = resize_order::width_first})));
}

TEST_CASE("a direction a hundred thousand times as long") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor wide = picture(1, 300'001, 3, 1);
    CHECK(same_bits(sluice::resize(wide.to(where), 1, 2).to("cpu"), by_reference(wide, 1, 2)));
    CHECK(same_bits(sluice::resize(wide.to(where), 3, 1, {.window = {1, 0, 1, 1}}).to("cpu"),
                    by_reference(wide, 3, 1).slice(0, 1, 2)));
    const tensor high = picture(300'001, 1, 1, 2);
    CHECK(same_bits(sluice::resize(high.to(where), 3, 2).to("cpu"), by_reference(high, 3, 2)));
    const tensor point = picture(1, 1, 3, 3);
    CHECK(same_bits(sluice::resize(point.to(where), 1, 100'000).to("cpu"), by_reference(point, 1, 100'000)));
  }
}

TEST_CASE("a window has the bits of the whole") {
  numbers n(5);
  for (const auto& where : one_of_each_backend())
    for (int i = 0; i < 120; ++i) {
      const tensor image = picture(1 + n.below(180), 1 + n.below(180), i % 2 == 0 ? 3 : 1, static_cast<std::uint64_t>(i));
      const std::int64_t height = i % 10 == 0 ? image.extent(0) : 1 + n.below(120);
      const std::int64_t width = i % 10 == 1 ? image.extent(1) : 1 + n.below(120);
      resize_window w{n.below(height), n.below(width), 0, 0};
      if (i % 7 != 0) w.height = 1 + n.below(height - w.top);
      if (i % 5 != 0) w.width = 1 + n.below(width - w.left);
      INFO(where.str(), ": ", image.shape().str(), " to ", height, " x ", width, ", from ", w.top, ", ", w.left);
      const tensor whole = by_reference(image, height, width);
      const tensor part = whole.slice(0, w.top, w.height != 0 ? w.top + w.height : height)
                              .slice(1, w.left, w.width != 0 ? w.left + w.width : width);
      CHECK(same_bits(sluice::resize(image.to(where), height, width, {.window = w}).to("cpu"), part));
    }
}

TEST_CASE("views and batches") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor image = picture(90, 120, 3, 4);
    const auto same = [&](const auto& view) {
      CHECK(same_bits(sluice::resize(view(image.to(where)), 31, 47).to("cpu"),
                      by_reference(view(image).contiguous(), 31, 47)));
    };
    same([](const tensor& t) { return t.slice(0, 11, 70).slice(1, 30, 101); });
    same([](const tensor& t) { return t.slice(0, 0, 90, 2).slice(1, 1, 120, 3); });
    same([](const tensor& t) { return t.slice(2, 1, 2); });
    same([](const tensor& t) { return t.transpose(0, 1); });
    for (const std::int64_t channels : {1, 3}) {
      const tensor images = random({2, 3, 33, 70, channels}, dtype::u8, 4);
      const tensor all = sluice::resize(images.to(where), 20, 90, {.window = {2, 3, 16, 80}}).to("cpu");
      CHECK(all.shape() == shape{2, 3, 16, 80, channels});
      for (std::int64_t i = 0; i < 2; ++i)
        for (std::int64_t j = 0; j < 3; ++j)
          CHECK(same_bits(all[i][j], by_reference(images[i][j], 20, 90).slice(0, 2, 18).slice(1, 3, 83)));
    }
    CHECK(sluice::resize(tensor(shape{0, 4, 5, 1}, dtype::u8).to(where), 2, 3).shape() == shape{0, 2, 3, 1});
  }
}

TEST_CASE("an extent of 0 is in proportion") {
  const tensor image = picture(108, 192, 3, 1);
  CHECK(sluice::resize(image, 25, 0).shape() == shape{25, 44, 3});
  CHECK(sluice::resize(image, 0, 45).shape() == shape{25, 45, 3});
  CHECK(sluice::resize(image, 0, 0).shape() == shape{256, 455, 3});
  CHECK(sluice::resize(image.transpose(0, 1), 0, 0).shape() == shape{455, 256, 3});
  CHECK(sluice::resize(picture(2, 100, 1, 1), 0, 3).shape() == shape{1, 3, 1});
  CHECK(same_bits(apply(sluice::resize_op(), {image}), by_reference(image, 256, 455)));
  CHECK(same_bits(sluice::resize(image, 25, 0), by_reference(image, 25, 44)));
}

TEST_CASE("what resize refuses") {
  const tensor image = tensor::zeros({4, 6, 3}, dtype::u8);
  CHECK_REFUSED(sluice::resize(tensor::zeros({4, 5}), 1, 2), invalid_argument, "[resize] image is f32 (4, 5)", "must be u8");
  CHECK_REFUSED(sluice::resize(tensor::zeros({7}, dtype::u8), 1, 2), invalid_argument, "u8 (7)", "(height, width)");
  CHECK_REFUSED(sluice::resize(tensor::zeros({4, 5, 2}, dtype::u8), 1, 2), invalid_argument, "extent(2)", "1 or 3");
  CHECK_REFUSED(sluice::resize(tensor({0, 5}, dtype::u8), 1, 2), invalid_argument, "u8 (0, 5)", "1 to 16777216");
  CHECK_REFUSED(sluice::resize(tensor({5, 0, 3}, dtype::u8), 1, 2), invalid_argument, "u8 (5, 0, 3)", "1 to 16777216");
  CHECK_REFUSED(sluice::resize(tensor::zeros({1}, dtype::u8).broadcast_to({1, 1 << 25}), 1, 2), invalid_argument,
                "16777216");
  CHECK_REFUSED(sluice::resize(image, -1, 2), invalid_argument, "-1 x 2", "0 to 16777216");
  CHECK_REFUSED(sluice::resize(image, 1, (1 << 24) + 1), invalid_argument, "1 x 16777217");
  CHECK_REFUSED(sluice::resize(image, 1 << 24, 0), invalid_argument, "16777216 x 25165824", "in proportion");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.window = {2, 3, 7, 1}}), invalid_argument,
                "window of 7 x 1 from row 2 and column 3", "8 x 9");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.window = {8, 0, 0, 0}}), invalid_argument, "from row 8", "8 x 9");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.window = {0, 0, 1, 10}}), invalid_argument, "1 x 10", "8 x 9");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.window = {-1, 0, 1, 1}}), invalid_argument, "row -1", "0 to 16777216");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.window = {0, 0, -1, 1}}), invalid_argument, "-1 x 1", "0 to 16777216");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.filter = static_cast<sluice::resize_filter>(2)}), invalid_argument,
                "filter is 2");
  CHECK_REFUSED(sluice::resize(image, 8, 9, {.order = static_cast<resize_order>(2)}), invalid_argument, "order is 2");
}
