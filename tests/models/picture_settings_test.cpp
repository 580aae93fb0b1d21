// image.json, and what becomes of a classifier's scores.
#include "image_json.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "prediction.hpp"

namespace {

using namespace sluice::serving::models;
using sluice::tensor;

picture_settings parse(std::string_view json) { return parse_picture_settings(json, "image.json"); }

std::vector<std::int64_t> indices(const top_classes& top) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < top.indices.extent(0); ++i) all.push_back(top.indices.view<std::int64_t, 1>()(i));
  return all;
}

float probability(const top_classes& top, std::int64_t i) { return top.probabilities.view<float, 1>()(i); }

}  // namespace

TEST_CASE("an empty object is ImageNet's") {
  const auto s = parse("{}");
  CHECK(s.prepare.resize_short == 256);
  CHECK(s.prepare.crop == 224);
  CHECK(s.prepare.scale == 1.0 / 255);
  CHECK(s.prepare.mean == std::array{0.485f, 0.456f, 0.406f});
  CHECK(s.prepare.std == std::array{0.229f, 0.224f, 0.225f});
  CHECK(s.prepare.channels == 3);
  CHECK_FALSE(s.prepare.bgr);
  CHECK(s.softmax);
}

TEST_CASE("every key is taken") {
  const auto s = parse(R"({"resize": 40, "crop": 32, "scale": 1, "mean": [1, 2, 3], "std": [4, 5, 6], "channels": "bgr",
                           "layout": "nhwc", "softmax": false})");
  CHECK(s.prepare.resize_short == 40);
  CHECK(s.prepare.crop == 32);
  CHECK(s.prepare.scale == 1);
  CHECK(s.prepare.mean == std::array{1.0f, 2.0f, 3.0f});
  CHECK(s.prepare.std == std::array{4.0f, 5.0f, 6.0f});
  CHECK(s.prepare.bgr);
  CHECK(s.prepare.layout == sluice::image::layout::nhwc);
  CHECK_FALSE(s.softmax);
  const auto grey = parse(R"({"channels": "grey", "mean": [0.5], "std": [0.25]})");
  CHECK(grey.prepare.channels == 1);
  CHECK(grey.prepare.mean[0] == 0.5f);
  CHECK(grey.prepare.std[0] == 0.25f);
}

TEST_CASE("what image.json cannot mean is refused, with the key") {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "a JSON object"},
      {R"({"resize": 256, "resize": 256})", "\"resize\" is there twice"},
      {R"({"size": 256})", "\"size\" is unknown"},
      {R"({"resize": -1})", "resize must be an integer, 0 to 8192"},
      {R"({"resize": 25.5})", "resize must be an integer"},
      {R"({"crop": 0})", "crop must be an integer, 1 to 8192"},
      {R"({"crop": "224"})", "crop must be an integer"},
      {R"({"scale": 0})", "scale is 0"},
      {R"({"scale": 1e300})", "scale must be a number"},
      {R"({"mean": 0.5})", "mean must be a list"},
      {R"({"mean": [0.5]})", "mean has 1 numbers, and there are 3 channels"},
      {R"({"std": [1, 1, 0]})", "std has a 0"},
      {R"({"std": [1, 1, "1"]})", "std must be a number"},
      {R"({"channels": "grey"})", "mean has 0 numbers, and there is 1 channel"},
      {R"({"channels": "grey", "mean": [0, 0, 0], "std": [1]})", "mean has 3 numbers, and there is 1 channel"},
      {R"({"channels": "rgba"})", "channels must be \"rgb\" or \"bgr\" or \"grey\""},
      {R"({"layout": "chwn"})", "layout must be \"nchw\" or \"nhwc\""},
      {R"({"softmax": 1})", "softmax must be true or false"},
  };
  for (const auto& [json, words] : wrong) {
    CAPTURE(json);
    CHECK_THROWS_WITH_AS(parse(json), doctest::Contains(words), sluice::error);
  }
}

TEST_CASE("scores become probabilities, the highest first") {
  const auto top = top_of(tensor::of<float>({{1, 3, 2}}), 3, true);
  CHECK(indices(top) == std::vector<std::int64_t>{1, 2, 0});
  const double sum = std::exp(-2.0) + std::exp(-1.0) + 1;
  CHECK(probability(top, 0) == doctest::Approx(1 / sum).epsilon(1e-6));
  CHECK(probability(top, 2) == doctest::Approx(std::exp(-2.0) / sum).epsilon(1e-6));
  const auto given = top_of(tensor::of<float>({{0.25, 0.5, 0.125}}), 2, false);
  CHECK(indices(given) == std::vector<std::int64_t>{1, 0});
  CHECK(probability(given, 1) == 0.25f);
}

TEST_CASE("large scores do not overflow, equal ones keep their order") {
  CHECK(probability(top_of(tensor::of<float>({{1e30f, -1e30f}}), 2, true), 0) == 1);
  CHECK(indices(top_of(tensor::of<float>({{7, 7, 8, 7}}), 4, true)) == std::vector<std::int64_t>{2, 0, 1, 3});
}

TEST_CASE("NaN comes last, and makes no probability") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(indices(top_of(tensor::of<float>({{nan, 1, nan, 2}}), 4, false)) == std::vector<std::int64_t>{3, 1, 0, 2});
  CHECK(std::isnan(probability(top_of(tensor::of<float>({{1, nan}}), 1, true), 0)));
}
