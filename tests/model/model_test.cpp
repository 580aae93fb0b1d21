// Models that load: what they take and give, batches and their splits, several threads. SLUICE_TEST_MODELS: the folder that
// write_models.py filled.
#include <array>
#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "model_testing.hpp"

using namespace testing;
using sluice::model;

namespace {

// Rows [begin, end) of the results that `m` gives for these rows alone.
void check_rows(const model& m, const tensor& x, const tensor& all, std::int64_t begin, std::int64_t end) {
  CAPTURE(begin);
  CHECK(same_bits(m.run({x.slice(0, begin, end)}).front(), all.slice(0, begin, end)));
}

}  // namespace

TEST_CASE("fields say what the file has") {
  const auto two = model::load(model_file("two.onnx"));
  REQUIRE(two.inputs().size() == 2);
  REQUIRE(two.outputs().size() == 2);
  CHECK(two.inputs()[0].name == "a");
  CHECK(two.inputs()[0].dtype == dtype::f32);
  CHECK(two.inputs()[0].extents == std::vector<std::int64_t>{-1, 3});
  CHECK(two.inputs()[1].name == "b");
  CHECK(two.inputs()[1].dtype == dtype::i64);
  CHECK(two.outputs()[1].name == "square");
  CHECK(two.outputs()[1].dtype == dtype::i64);
  CHECK(two.is_batched());
  CHECK(two.largest_batch() == 32);
  CHECK(two.where() == sluice::device::cpu);
  CHECK(model::load(model_file("two.onnx"), {.largest_batch = 5}).largest_batch() == 5);
}

TEST_CASE("a model is batched when inputs and outputs have rows in common") {
  for (const char* name : {"mlp.onnx", "unnamed.onnx", "renamed.onnx", "two.onnx", "resnet18.onnx"}) {
    CAPTURE(name);
    CHECK(model::load(model_file(name)).is_batched());
  }
  for (const char* name : {"fixed.onnx", "strangers.onnx", "scalar.onnx", "shapeless.onnx", "flat.onnx"}) {
    CAPTURE(name);
    const auto m = model::load(model_file(name), {.largest_batch = 8});
    CHECK_FALSE(m.is_batched());
    CHECK(m.largest_batch() == 1);
  }
}

TEST_CASE("every dtype passes bit for bit, in any strides") {
  for (const auto type : every_dtype) {
    CAPTURE(text(type));
    const auto m = model::load(model_file("dtype/" + text(type) + ".onnx"));
    tensor bits({40, 2}, type);  // NaN and denormals among them
    numbers n(5);
    for (std::size_t i = 0; i < bits.bytes(); ++i)
      static_cast<std::uint8_t*>(bits.data())[i] = static_cast<std::uint8_t>(n.next());
    for (const tensor& x : {bits, bits.slice(0, 3, 4), bits.slice(0, 0, 40, 3), bits.slice(0, 1, 3).transpose(),
                            bits.slice(0, 7, 8).broadcast_to({9, 2})}) {
      CAPTURE(x.shape().str());
      const auto y = m.run({x});
      REQUIRE(y.size() == 1);
      CHECK(same_bits(y.front(), x));
      CHECK(y.front().is_contiguous());
    }
  }
}

TEST_CASE("rows above the largest batch are split and their results joined") {
  const tensor x = random({70, 4}, dtype::f32);
  for (const char* name : {"mlp.onnx", "unnamed.onnx", "renamed.onnx"}) {
    CAPTURE(name);
    const auto m = model::load(model_file(name));
    dirty({70, 3}, dtype::f32);
    const tensor all = m.run({x}).front();
    CHECK(all.shape() == shape{70, 3});
    check_rows(m, x, all, 0, 32);
    check_rows(m, x, all, 32, 64);
    check_rows(m, x, all, 64, 70);
  }
  const auto two = model::load(model_file("two.onnx"), {.largest_batch = 3});
  const tensor a = random({7, 3}, dtype::f32), b = tensor::full({7, 3}, -4, dtype::i64);
  const auto y = two.run({a, b});
  REQUIRE(y.size() == 2);
  for (std::int64_t i = 0; i < 7; ++i)
    for (std::int64_t j = 0; j < 3; ++j) {
      CHECK(y[0].view<float, 2>()(i, j) == a.view<float, 2>()(i, j) - 4);
      CHECK(y[1].view<std::int64_t, 2>()(i, j) == 16);
    }
}

TEST_CASE("an output whose first extent does not count rows is not split") {
  const auto m = model::load(model_file("flat.onnx"), {.largest_batch = 2});
  const tensor x = random({2, 4}, dtype::f32);
  CHECK(same_bits(m.run({x}).front(), x.reshape({8})));
  CHECK(m.run({random({3, 4}, dtype::f32)}).front().shape() == shape{12});
}

TEST_CASE("results outlive their model") {
  for (const char* name : {"mlp.onnx", "unnamed.onnx"}) {
    CAPTURE(name);
    std::optional<model> m = model::load(model_file(name));
    const model copy = *m;
    const tensor x = random({5, 4}, dtype::f32);
    tensor y = m->run({x}).front();
    m.reset();
    CHECK(same_bits(copy.run({x}).front(), y));
    y = y.clone();
  }
  tensor y = model::load(model_file("unnamed.onnx")).run({tensor::zeros({2, 4})}).front();
  CHECK(same_bits(y.clone(), y));
  y.view<float, 2>()(1, 2) = 7;  // the caller's alone
  CHECK(y[1][2].item<float>() == 7);
}

TEST_CASE("shapes that only the engine knows") {
  const auto m = model::load(model_file("shapeless.onnx"));
  const tensor x = tensor::of<float>({{0, 1, 0}, {2, 0, 3}});
  const tensor y = m.run({x}).front();
  CHECK(same_bits(y, tensor::of<std::int64_t>({{0, 1, 1}, {1, 0, 2}})));
  CHECK(m.run({tensor::zeros({2, 3})}).front().shape() == shape{2, 0});
  CHECK(model::load(model_file("scalar.onnx")).run({tensor::full({2, 2}, 3)}).front().item<float>() == 12);
  const auto strangers = model::load(model_file("strangers.onnx"));
  CHECK(strangers.run({random({2, 3}, dtype::f32), random({5, 3}, dtype::f32)}).front().shape() == shape{7, 3});
  CHECK(strangers.run({random({0, 3}, dtype::f32), random({1, 3}, dtype::f32)}).front().shape() == shape{1, 3});
}

TEST_CASE("NaN and infinities pass through") {
  const auto m = model::load(model_file("dtype/f32.onnx"));
  const tensor x = tensor::of<float>({{NAN, INFINITY}, {-INFINITY, -0.0f}});
  CHECK(same_bits(m.run({x}).front(), x));
}

TEST_CASE("several threads run one model at once") {
  const auto m = model::load(model_file("resnet18.onnx"), {.largest_batch = 2});
  std::array<tensor, 3> x, y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = random({static_cast<std::int64_t>(i) + 1, 3, 224, 224}, dtype::f32, i);
    y[i] = m.run({x[i]}).front();
  }
  std::atomic<int> same{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t, copy = m] {
      for (std::size_t k = 0; k < x.size(); ++k) {
        const std::size_t i = (k + static_cast<std::size_t>(t)) % x.size();
        same += same_bits(copy.run({x[i]}).front(), y[i]) ? 1 : 0;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(same == 18);
}

TEST_CASE("a session starts no thread") {
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  if (!std::filesystem::exists("/proc/self/task")) return;
  const tensor x = tensor::zeros({8, 3, 224, 224});  // by our own threads, which then are there
  static_cast<void>(sluice::find_model_engine());
  const auto before = threads();
  const auto m = model::load(model_file("resnet18.onnx"));
  static_cast<void>(m.run({x}));
  CHECK(threads() == before);
}

TEST_CASE("warm() times every batch size once") {
  const auto rows = [](const model& m) {
    std::vector<std::int64_t> sizes;
    for (const auto& t : m.warm()) {
      CHECK(t.seconds > 0);
      sizes.push_back(t.rows);
    }
    return sizes;
  };
  CHECK(rows(model::load(model_file("mlp.onnx"))) == std::vector<std::int64_t>{1, 2, 4, 8, 16, 32});
  CHECK(rows(model::load(model_file("mlp.onnx"), {.largest_batch = 6})) == std::vector<std::int64_t>{1, 2, 4, 6});
  CHECK(rows(model::load(model_file("two.onnx"), {.largest_batch = 1})) == std::vector<std::int64_t>{1});
  CHECK(rows(model::load(model_file("fixed.onnx"))) == std::vector<std::int64_t>{1});
  CHECK(rows(model::load(model_file("strangers.onnx"))) == std::vector<std::int64_t>{1});
}
