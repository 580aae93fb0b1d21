// Batches through buffers that never move, as on a GPU, here on the CPU: padding, splits, several threads. Looks behind the
// public header.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "model_testing.hpp"
#include "runner.hpp"

using namespace testing;
namespace ort = sluice::ort;

namespace {

// A model in such buffers, of at most 8 rows.
struct bound {
  explicit bound(const std::string& file) : opened(file, ort::read_onnx_file(file)) {
    auto session = std::make_shared<ort::session_handle>();
    owner.call([&] {
      *session = opened.open();
      about = opened.read_signature(session->get());
    });
    const ort::place at{.where = "cpu", .memory = "Cpu", .graphs = false};
    runner =
        ort::make_bound_runner(opened.used(), owner, std::move(session), about, about.batched ? 8 : 1, at, opened.name());
  }

  std::vector<tensor> run(const std::vector<tensor>& inputs) const {
    std::vector<tensor> outputs;
    for (std::size_t i = 0; i < about.outputs.size(); ++i)
      outputs.emplace_back(about.shape_of_output(i, inputs.front().extent(0)), about.outputs[i].dtype);
    runner->run(inputs, outputs);
    return outputs;
  }

  ort::opener opened;
  ort::signature about;
  ort::owner_thread owner;
  std::unique_ptr<ort::runner> runner;
};

}  // namespace

TEST_CASE("rows are padded to the next batch size, and none of the padding is seen") {
  const bound b(model_file("mlp.onnx"));
  const auto m = sluice::model::load(model_file("mlp.onnx"));
  for (const std::int64_t rows : {8, 1, 3, 5, 2, 7, 4, 6, 8}) {  // larger ones before smaller ones
    CAPTURE(rows);
    const tensor x = random({rows, 4}, dtype::f32, static_cast<std::uint64_t>(rows));
    std::int64_t padded = 1;
    while (padded < rows) padded *= 2;
    tensor whole = tensor::full({padded, 4}, 5);
    whole.slice(0, 0, rows).assign(x);
    CHECK(same_bits(b.run({x}).front(), m.run({whole}).front().slice(0, 0, rows)));
    CHECK(same_bits(b.run({x.transpose().clone().transpose()}).front(), m.run({whole}).front().slice(0, 0, rows)));
  }
}

TEST_CASE("several inputs, and models without batches") {
  const bound two(model_file("two.onnx"));
  const tensor a = random({3, 3}, dtype::f32), b = tensor::full({3, 3}, 6, dtype::i64);
  const auto y = two.run({a, b});
  REQUIRE(y.size() == 2);
  CHECK(y[0][2][1].item<float>() == a[2][1].item<float>() + 6);
  CHECK(same_bits(y[1], tensor::full({3, 3}, 36, dtype::i64)));
  const bound fixed(model_file("fixed.onnx"));
  const tensor x = random({2, 4}, dtype::f32);
  CHECK(same_bits(fixed.run({x}).front(), sluice::model::load(model_file("fixed.onnx")).run({x}).front()));
}

TEST_CASE("several threads take turns") {
  const bound b(model_file("mlp.onnx"));
  std::atomic<int> same{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      const std::int64_t rows = t + 1;
      const tensor x = random({rows, 4}, dtype::f32, static_cast<std::uint64_t>(t));
      const tensor y = b.run({x}).front();
      for (int i = 0; i < 50; ++i) same += same_bits(b.run({x}).front(), y) ? 1 : 0;
    });
  for (auto& t : threads) t.join();
  CHECK(same == 300);
}

TEST_CASE("the owner's thread passes failures on and serves again") {
  ort::owner_thread owner;
  std::thread::id first, second;
  owner.call([&] { first = std::this_thread::get_id(); });
  CHECK(first != std::this_thread::get_id());
  CHECK_THROWS_AS(owner.call([] { throw std::runtime_error("x"); }), std::runtime_error);
  owner.call([&] { second = std::this_thread::get_id(); });
  CHECK(first == second);
}

TEST_CASE("an engine without CUDA says so") {
  // The device is asked for first: where there is none, that is why.
  const bool device = [] {
    for (const auto& d : sluice::devices())
      if (d.where.backend() == "cuda") return true;
    return false;
  }();
  if (device) return;
  CHECK_REFUSED(sluice::model::load(model_file("mlp.onnx"), {.where = "cuda:0"}), unavailable, "cuda:0");
}
