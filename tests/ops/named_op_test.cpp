// An op that a backend finds by its name, and descriptors' defaults.
#include "sluice/ops/all.hpp"

#include "sluice/placement.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::op_descriptor;
using sluice::operand_spec;

namespace {

constexpr dtype only_f32[] = {dtype::f32};
constexpr sluice::op_field one_input[] = {{.name = "a", .dtypes = only_f32, .min_rank = 1, .max_rank = 2}};
constexpr op_descriptor scale{
    .name = "scale", .summary = "", .inputs = one_input, .result = {.name = "result", .dtypes = only_f32}};
constexpr op_descriptor absent{.name = "absent", .summary = "", .inputs = one_input, .result = scale.result};

}  // namespace

TEST_CASE("an op is found in the backend by its name, and gets contiguous operands and its options") {
  const tensor a = tensor::of<float>({1, 2, 3, 4, 5, 6}).slice(0, 0, 6, 2);
  const tensor twice = apply(scale, {a}, "fake:0");
  CHECK(twice.device() == sluice::device("fake:0"));
  CHECK(same_values(twice.to("cpu"), tensor::of<float>({2, 6, 10})));
  const float factor = 10;
  CHECK(same_values(apply(scale, {a.to("fake:1")}, "fake:1", factor).to("cpu"), tensor::of<float>({10, 30, 50})));
  CHECK(apply(scale, {tensor::zeros({0})}, "fake:0").count() == 0);
}

TEST_CASE("a device without the op is unsupported") {
  CHECK_REFUSED(apply(absent, {tensor::zeros({2})}, "fake:0"), unsupported, "[absent]", "fake");
  CHECK_REFUSED(apply(scale, {tensor::zeros({2})}, "cpu"), unsupported, "[scale]", "cpu");
}

TEST_CASE("without functions of its own a descriptor is that of an elementwise op") {
  const auto r = result_of(scale, {{dtype::f32, {2, 3}}});
  CHECK(r.dtype == dtype::f32);
  CHECK(r.shape == sluice::shape{2, 3});
  CHECK_REFUSED(result_of(scale, {{dtype::f64, {2}}}), invalid_argument, "[scale] a is f64 (2)", "f32");
  CHECK_REFUSED(result_of(scale, {{dtype::f32, {}}}), invalid_argument, "1 to 2 dimensions");
  CHECK_REFUSED(result_of(scale, std::span<const operand_spec>()), invalid_argument, "0 operands are given, and it takes 1");
  const auto w = work_of(scale, {{dtype::f32, {100}}});
  CHECK(w.flops == 100);
  CHECK(w.bytes == 800);
  CHECK(w.result_to.is_cpu());
  CHECK(place(w).where.is_cpu());
}

TEST_CASE("every op is listed once, is found by its name, and describes itself") {
  for (const auto* op : sluice::all_ops()) {
    CHECK(sluice::find_op(op->name) == op);
    CHECK_FALSE(op->summary.empty());
    CHECK_FALSE(op->result.dtypes.empty());
    for (const auto& f : op->inputs) CHECK_FALSE(f.dtypes.empty());
    // n x n operands suit every op: advice asks for them.
    const std::vector<operand_spec> square(op->inputs.size(), {op->inputs[0].dtypes[0], {8, 8}});
    CHECK(work_of(*op, square).flops > 0);
  }
  CHECK(sluice::find_op("nosuch") == nullptr);
}
