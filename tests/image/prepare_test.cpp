// Pictures as models take them: parts of batches, strides, and what is refused. pillow_test.py compares bits with Pillow's.
#include <limits>

#include "sluice/image.hpp"
#include "testing.hpp"

using namespace testing;
namespace image = sluice::image;

TEST_CASE("the crop has the bits of the whole") {
  for (const auto& extents : {shape{300, 400, 3}, shape{400, 300, 3}, shape{97, 257, 1}, shape{130, 41, 3}}) {
    INFO(extents.str());
    const tensor picture = random(extents, dtype::u8, 3);
    const tensor whole = image::prepare(picture, {.resize_short = 100, .crop = 0});
    const std::int64_t top = (whole.extent(2) - 64) / 2, left = (whole.extent(3) - 64) / 2;
    const tensor crop = image::prepare(picture, {.resize_short = 100, .crop = 64});
    CHECK(crop.shape() == shape{1, 3, 64, 64});
    CHECK(same_bits(crop, whole.slice(2, top, top + 64).slice(3, left, left + 64)));
  }
}

TEST_CASE("a batch is written picture by picture") {
  tensor batch = tensor::full({3, 3, 50, 50}, 7);
  const tensor picture = random({80, 90, 3}, dtype::u8, 1);
  const image::preparation how{.resize_short = 60, .crop = 50};
  const tensor one = image::prepare(picture, how);
  tensor second = batch[1];
  image::prepare_into(second, picture, how);
  CHECK(same_bits(batch.slice(0, 1, 2), one));
  CHECK(same_bits(batch[0], tensor::full({3, 50, 50}, 7)));
  CHECK(same_bits(batch[2], tensor::full({3, 50, 50}, 7)));
  tensor third = batch.slice(0, 2, 3);
  image::prepare_into(third, picture, how);
  CHECK(same_bits(batch[2], batch[1]));
  tensor pixels({50, 50, 3});
  image::prepare_into(pixels, picture, {.resize_short = 60, .crop = 50, .layout = image::layout::nhwc});
  CHECK(same_bits(pixels, one[0].transpose(0, 2).transpose(0, 1)));
}

TEST_CASE("views, and pictures on other devices") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor large = random({120, 150, 3}, dtype::u8, 2);
    const auto view = [](const tensor& t) { return t.slice(0, 10, 90, 2).slice(1, 3, 120); };
    for (const std::int64_t shorter : {0, 30}) {
      const image::preparation how{.resize_short = shorter, .crop = 20};
      CHECK(same_bits(image::prepare(view(large.to(where)), how), image::prepare(view(large).clone(), how)));
    }
  }
}

TEST_CASE("grey is repeated, and black surrounds what is smaller than the crop") {
  const tensor grey = random({20, 31}, dtype::u8, 5);
  const tensor made = image::prepare(grey, {.resize_short = 0, .crop = 40, .mean = {0, 0, 0}, .std = {1, 2, 4}});
  const auto v = made.view<float, 4>();
  CHECK(v(0, 0, 9, 20) == 0);
  CHECK(v(0, 0, 10, 4) == static_cast<float>(grey[0][0].item<int>()) / 255.0f);
  CHECK(v(0, 0, 29, 34) == static_cast<float>(grey[19][30].item<int>()) / 255.0f);
  CHECK(v(0, 0, 29, 35) == 0);
  CHECK(v(0, 0, 30, 20) == 0);
  CHECK(v(0, 1, 15, 15) == v(0, 0, 15, 15) / 2);
  CHECK(v(0, 2, 15, 15) == v(0, 0, 15, 15) / 4);
  CHECK(same_bits(image::prepare(grey, {.channels = 1}), image::prepare(grey).slice(1, 0, 1)));
}

TEST_CASE("what prepare refuses") {
  const tensor picture = tensor::zeros({30, 40, 3}, dtype::u8);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_REFUSED(image::prepare(tensor::zeros({30, 40, 3})), invalid_argument, "[image] f32 (30, 40, 3) is no picture");
  CHECK_REFUSED(image::prepare(tensor::zeros({30, 40, 4}, dtype::u8)), invalid_argument, "(30, 40, 4) is no picture");
  CHECK_REFUSED(image::prepare(tensor({0, 40, 3}, dtype::u8)), invalid_argument, "(0, 40, 3) has no pixels");
  CHECK_REFUSED(image::prepare(picture, {.channels = 1}), invalid_argument, "3 channels, and 1 is wanted");
  CHECK_REFUSED(image::prepare(picture, {.channels = 2}), invalid_argument, "2 channels", "1 and 3");
  CHECK_REFUSED(image::prepare(picture, {.resize_short = -1}), invalid_argument, "resize_short is -1");
  CHECK_REFUSED(image::prepare(picture, {.crop = 1 << 25}), invalid_argument, "crop 33554432", "16777216");
  CHECK_REFUSED(image::prepare(picture, {.scale = nan}), invalid_argument, "scale is nan");
  CHECK_REFUSED(image::prepare(picture, {.mean = {0, nan, 0}}), invalid_argument, "channel 1", "nan");
  CHECK_REFUSED(image::prepare(picture, {.std = {1, 1, 0}}), invalid_argument, "channel 2", "std 0");
  tensor out = tensor::full({3, 20, 20}, 7);
  const image::preparation how{.crop = 20};
  const auto refused = [&](tensor to, const char* named) {
    CHECK_REFUSED(image::prepare_into(to, picture, how), invalid_argument, named, "f32 (1, 3, 20, 20)");
  };
  refused(tensor({3, 20, 21}), "out is f32 (3, 20, 21)");
  refused(tensor({2, 3, 20, 20}), "f32 (2, 3, 20, 20)");
  refused(tensor({3, 20, 20}, dtype::f64), "f64");
  refused(tensor({3, 20, 40}).slice(2, 0, 40, 2), "with gaps");
  CHECK_REFUSED(image::prepare_into(out, tensor::zeros({2}, dtype::u8), how), invalid_argument, "no picture");
  CHECK(same_bits(out, tensor::full({3, 20, 20}, 7)));
}
