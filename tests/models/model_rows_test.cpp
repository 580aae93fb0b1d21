// The rows that a model makes, without a service: what a picture becomes, what scores become, and what calls take.
#include <doctest/doctest.h>

#include <numeric>

#include "files.hpp"
#include "folder.hpp"
#include "model_testing.hpp"
#include "rows.hpp"

namespace {

using namespace sluice::serving::models;
using sluice::tensor;

std::shared_ptr<const sessions> loaded(const std::string& file, std::int64_t largest_batch = 0) {
  return std::make_shared<const sessions>(testing::model_file(file),
                                          sessions::options{.where = {sluice::device::cpu}, .largest_batch = largest_batch});
}

std::vector<sluice::endpoint> rows(const std::string& name, const std::shared_ptr<const sessions>& on,
                                   found_version v = {}) {
  v.number = 7;
  const found_model m{name, {v}};
  return rows_of(m, v, on, pictures_of(m, v, on->first()));
}

}  // namespace

TEST_CASE("times lie on lines between what was measured") {
  const auto on = loaded("mlp.onnx", 4);
  const session s{on->first(), {{1, 1.0}, {2, 1.5}, {4, 2.0}}};
  CHECK(s.seconds(1) == 1.0);
  CHECK(s.seconds(2) == 1.5);
  CHECK(s.seconds(3) == 1.75);
  CHECK(s.seconds(4) == 2.0);
  CHECK(s.seconds(8) == 4.0);
  CHECK(s.seconds(9) == 5.0);
  CHECK(s.seconds(11) == 5.75);
}

TEST_CASE("a model's row has the file's inputs and outputs, and its batches' times") {
  const auto on = loaded("mlp.onnx", 4);
  const auto all = rows("mlp", on);
  REQUIRE(all.size() == 1);
  const auto& row = all[0];
  CHECK(row.name == "mlp");
  CHECK(row.version == "7");
  CHECK(row.platform == "onnxruntime_onnx");
  CHECK(row.inputs[0].name == "x");
  CHECK(row.inputs[0].extents == std::vector<std::int64_t>{-1, 4});
  CHECK(row.outputs[0].extents == std::vector<std::int64_t>{-1, 3});
  CHECK(row.gather.limit == 4);
  CHECK(row.gather.by == sluice::joining::rows);
  const auto x = tensor::full({6, 4}, 1);
  const auto work = row.estimate({&x, 1});
  CHECK(work.result_bytes == 6 * 3 * 4);
  CHECK(work.measured_count == 1);
  CHECK(work.measured_on("cpu") > 0);
  CHECK(row.results({&x, 1})[0].shape == sluice::shape{6, 3});
  const auto y = row.run({&x, 1}, {.where = "cpu"});
  CHECK(y[0].shape() == sluice::shape{6, 3});
}

TEST_CASE("a model that is not batched is not gathered") {
  const auto all = rows("fixed", loaded("fixed.onnx"));
  CHECK(all[0].gather.limit == 0);
  CHECK(all[0].inputs[0].extents == std::vector<std::int64_t>{2, 4});
}

TEST_CASE("pictures are taken by image.json, or by name where the shape is a ResNet's") {
  const auto resnet = loaded("resnet18.onnx", 1), mlp = loaded("mlp.onnx", 1);
  CHECK(rows("my-ResNet_18", resnet).size() == 2);
  CHECK(rows("classifier", resnet).size() == 1);
  CHECK(rows("resnet", mlp).size() == 1);
  const testing::folder folder;
  testing::write_file(folder / "image.json", "{}");
  CHECK(rows("classifier", resnet, {.file = {}, .image_json = folder / "image.json"}).size() == 2);
  CHECK_THROWS_WITH_AS(rows("mlp", mlp, {.file = {}, .image_json = folder / "image.json"}),
                       doctest::Contains("its inputs are x f32 (any, 4), and its image.json makes one (1, 3, 224, 224)"),
                       sluice::error);
  testing::write_file(folder / "labels.txt", "one\ntwo\n");
  CHECK_THROWS_WITH_AS(rows("resnet18", resnet, {.file = {}, .labels = folder / "labels.txt"}),
                       doctest::Contains("2 lines, and the model 1000 classes"), sluice::error);
}

TEST_CASE("a picture becomes the likeliest classes") {
  const auto all = rows("resnet18", loaded("resnet18.onnx", 2));
  REQUIRE(all.size() == 2);
  const auto& row = all[0];
  CHECK(all[1].name == "resnet18_raw");
  CHECK(all[1].gather.same == row.gather.same);
  CHECK(row.records == "predictions");
  const double top = 3;
  const sluice::call_context c{.where = "cpu", .parameters = {&top, 1}};
  const auto in = row.prepare({tensor::full({300, 400, 3}, 90, sluice::dtype::u8)}, c);
  REQUIRE(in.size() == 1);
  CHECK(in[0].shape() == sluice::shape{1, 3, 224, 224});
  CHECK(in[0].view<float, 4>()(0, 0, 5, 5) == doctest::Approx((90.0 / 255 - 0.485) / 0.229).epsilon(1e-5));
  const auto raw = row.run(in, c);
  const auto out = row.finish(raw, c);
  REQUIRE(out.size() == 3);
  CHECK(out[0].shape() == sluice::shape{3});
  const auto scores = raw[0].view<float, 2>();
  double sum = 0;
  for (std::int64_t i = 0; i < 1000; ++i) sum += std::exp(static_cast<double>(scores(0, i)));
  for (std::int64_t i = 0; i < 3; ++i) {
    const auto at = out[1].view<std::int64_t, 1>()(i);
    CHECK(out[0].view<std::int64_t, 1>()(i) == at);
    CHECK(out[2].view<float, 1>()(i) == doctest::Approx(std::exp(static_cast<double>(scores(0, at))) / sum).epsilon(1e-4));
  }
  for (const double wrong : {0.0, 1001.0, 2.5}) {
    const sluice::call_context asks{.where = "cpu", .parameters = {&wrong, 1}};
    CHECK_THROWS_WITH_AS(row.prepare({tensor::full({30, 40, 3}, 90, sluice::dtype::u8)}, asks),
                         doctest::Contains("1 to 1000"), sluice::error);
  }
}
