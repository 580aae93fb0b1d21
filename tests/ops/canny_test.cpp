// Canny's edges on every device: against the slow reference, and against digests of what OpenCV gives.
#include "canny.hpp"

#include <limits>

#include "canny_digests.hpp"
#include "canny_images.hpp"

using namespace testing;
using sluice::edge_norm;

namespace {

tensor by_reference(const tensor& image, double low, double high, edge_norm norm) {
  tensor out({image.extent(0), image.extent(1)}, dtype::u8);
  static_cast<void>(out.data());
  reference::canny(sluice::core::array_of(image), sluice::core::array_of(out), {low, high, static_cast<std::int32_t>(norm)});
  return out;
}

std::int64_t edges_in(const tensor& t) {
  std::int64_t count = 0;
  for (const auto byte : bytes_of(t)) count += byte == 255 ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("images of every size have the edges of the reference") {
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t height : {1, 2, 3, 17, 40})
      for (const std::int64_t width : {1, 2, 3, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200})
        for (const std::int64_t channels : {1, 3})
          for (const char* kind : {"noise", "waves", "blocks"})
            for (const auto norm : both_norms) {
              INFO(where.str(), ": ", kind, " ", height, " x ", width, " x ", channels, ", norm ", static_cast<int>(norm));
              const tensor image = image_of(kind, height, width, channels, 5);
              CHECK(
                  same_bits(sluice::canny(image.to(where), 60, 150, {norm}).to("cpu"), by_reference(image, 60, 150, norm)));
            }
}

TEST_CASE("every kind of image, with every pair of thresholds, has the edges of the reference") {
  for (const auto& where : one_of_each_backend())
    for (const char* kind : image_kinds)
      for (const std::int64_t channels : {1, 3})
        for (const auto& t : threshold_pairs)
          for (const auto norm : both_norms) {
            INFO(where.str(), ": ", kind, " of ", channels, ", ", t.low, " and ", t.high, ", norm ", static_cast<int>(norm));
            const tensor image = image_of(kind, 61, 83, channels, 9);
            CHECK(same_bits(sluice::canny(image.to(where), t.low, t.high, {norm}).to("cpu"),
                            by_reference(image, t.low, t.high, norm)));
          }
}

TEST_CASE("digests of OpenCV's edges") {
  for (const auto& where : one_of_each_backend())
    for (const auto& [of, expected] : opencv_digests) {
      const auto& image = of;  // clang 14 captures no structured binding in INFO
      INFO(where.str(), ": ", image.kind, " ", image.height, " x ", image.width, " x ", image.channels);
      const tensor pixels = image_of(image).to(where);
      std::uint64_t hash = empty_digest;
      for (const auto norm : both_norms)
        for (const auto& t : std::span(threshold_pairs).first(4))
          add_to_digest(hash, bytes_of(sluice::canny(pixels, t.low, t.high, {norm})));
      CHECK(hash == expected);
    }
}

TEST_CASE("an edge that winds through the whole image is found from its one strong end") {
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t stroke : {3, 8}) {
      INFO(where.str(), ": stroke ", stroke);
      const tensor image = spiral(1100, 900, 1, stroke, 40);
      const tensor found = sluice::canny(image.to(where), 100, 600).to("cpu");
      CHECK(same_bits(found, by_reference(image, 100, 600, edge_norm::l1)));
      CHECK(edges_in(found) > 1100 * 900 / (2 * stroke));
      CHECK(edges_in(sluice::canny(image.to(where), 100, 1530)) == 0);
    }
}

TEST_CASE("views: the border of the view is repeated, whatever is around it") {
  for (const auto& where : one_of_each_backend()) {
    INFO(where.str());
    const tensor host = image_of("blocks", 90, 120, 3, 3);
    const tensor there = host.to(where);
    const auto same = [&](const tensor& view, const tensor& host_view) {
      CHECK(same_bits(sluice::canny(view, 50, 120).to("cpu"), by_reference(host_view, 50, 120, edge_norm::l1)));
    };
    const auto crop = [](const tensor& t) { return t.slice(0, 11, 70).slice(1, 30, 101); };
    same(crop(there), crop(host));
    const auto rows = [](const tensor& t) { return t.slice(0, 0, 90, 2); };
    same(rows(there), rows(host));
    const auto green = [](const tensor& t) { return t.slice(2, 1, 2); };
    same(green(there), green(host));
    const tensor grey = image_of("blocks", 90, 120, 1, 3);
    same(grey.to(where).transpose(), grey.transpose());
  }
}

TEST_CASE("a batch has the edges of its images") {
  for (const auto& where : one_of_each_backend())
    for (const std::int64_t channels : {1, 3}) {
      INFO(where.str(), ": ", channels, " channels");
      const tensor images = random({2, 3, 33, 70, channels}, dtype::u8, 4);
      const tensor all = sluice::canny(images.to(where), 300, 700, {edge_norm::l2});
      CHECK(all.shape() == shape{2, 3, 33, 70});
      for (std::int64_t i = 0; i < 2; ++i)
        for (std::int64_t j = 0; j < 3; ++j)
          CHECK(same_bits(all[i][j].to("cpu"), by_reference(images[i][j], 300, 700, edge_norm::l2)));
    }
}

TEST_CASE("no pixels give no edges") {
  for (const auto& where : one_of_each_backend()) {
    CHECK(sluice::canny(tensor(shape{0, 5}, dtype::u8).to(where), 1, 2).shape() == shape{0, 5});
    CHECK(sluice::canny(tensor(shape{5, 0, 3}, dtype::u8).to(where), 1, 2).shape() == shape{5, 0});
    CHECK(sluice::canny(tensor(shape{0, 4, 5, 1}, dtype::u8).to(where), 1, 2).shape() == shape{0, 4, 5});
  }
}

TEST_CASE("what canny refuses") {
  const auto image = [](const shape& s) { return tensor::zeros(s, dtype::u8); };
  CHECK_REFUSED(sluice::canny(tensor::zeros({4, 5}), 1, 2), invalid_argument, "[canny] image is f32 (4, 5)", "must be u8");
  CHECK_REFUSED(sluice::canny(image({7}), 1, 2), invalid_argument, "u8 (7)", "(height, width)");
  CHECK_REFUSED(sluice::canny(image({4, 5, 2}), 1, 2), invalid_argument, "(4, 5, 2)", "extent(2)", "1 or 3");
  CHECK_REFUSED(sluice::canny(image({4, 5, 3, 4}), 1, 2), invalid_argument, "extent(3)", "1 or 3");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_REFUSED(sluice::canny(image({4, 5}), nan, 2), invalid_argument, "nan", "finite");
  CHECK_REFUSED(sluice::canny(image({4, 5}), 1, infinity), invalid_argument, "1", "inf", "finite");
  CHECK_REFUSED(sluice::canny(image({4, 5}), -infinity, 1), invalid_argument, "-inf", "finite");
  CHECK_REFUSED(sluice::canny(image({4, 5}), 1, 2, {static_cast<edge_norm>(3)}), invalid_argument, "norm is 3", "1 or 2");
}

TEST_CASE("without options the thresholds are 100 and 200") {
  for (const auto& where : one_of_each_backend()) {
    const tensor image = image_of("blocks", 50, 60, 1, 2);
    const tensor edges = apply(sluice::canny_op(), {image.to(where)}).to("cpu");
    CHECK(same_bits(edges, by_reference(image, 100, 200, edge_norm::l1)));
    CHECK(edges_in(edges) > 0);
  }
}
