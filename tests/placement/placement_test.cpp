// Which device a piece of work goes to, and why.
#include "sluice/placement.hpp"

#include "sluice/parallel.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::device;
using sluice::place;
using sluice::why;

namespace {

sluice::work work_on(std::initializer_list<std::pair<device, std::int64_t>> operands) {
  sluice::work w;
  w.operation = "matmul";
  for (const auto& [where, bytes] : operands)
    w.operands[static_cast<std::size_t>(w.operand_count++)] = {where, bytes, false};
  return w;
}

}  // namespace

TEST_CASE("work is what the operation will do") {
  const tensor a = tensor::zeros({4, 30, 50});
  const tensor b = tensor::zeros({50, 70});
  const auto m = sluice::work_of(sluice::matmul_op(), {a, b});
  CHECK(m.operation == "matmul");
  CHECK(m.dtype == dtype::f32);
  CHECK(m.flops == 2.0 * 4 * 30 * 50 * 70);
  CHECK(m.result_bytes == 4 * 30 * 70 * 4);
  CHECK(m.bytes == (4 * 30 * 50 + 50 * 70 + 4 * 30 * 70) * 4);
  CHECK(m.operand_count == 2);
  CHECK(m.operands[1].bytes == 50 * 70 * 4);
  const auto s = sluice::work_of(sluice::rowsum_op(), {tensor::zeros({30, 50}, dtype::u8)});
  CHECK(s.operation == "rowsum");
  CHECK(s.flops == 30 * 50);
  CHECK(s.result_bytes == 30 * 8);
  CHECK(s.bytes == 30 * 50 + 30 * 8);
}

TEST_CASE("a named device is taken as it is") {
  const auto d = place(work_on({{"cuda:0", 100}}), "cuda:3");
  CHECK(d.where == device("cuda:3"));
  CHECK(d.because == why::requested);
  CHECK(d.reason() == "cuda:3: the caller named it");
}

TEST_CASE("work goes to where most bytes of its operands are, if that is no CPU") {
  const auto at = [](std::initializer_list<std::pair<device, std::int64_t>> operands) { return place(work_on(operands)); };
  CHECK(at({{"cpu", 100}, {"cpu", 100}}).where == device::cpu);
  CHECK(at({{"cpu", 100}, {"cpu", 100}}).because == why::operands_there);
  CHECK(at({{"cpu", 1000}, {"cuda:1", 10}}).where == device("cuda:1"));
  CHECK(at({{"cuda:0", 10}, {"cuda:1", 20}}).where == device("cuda:1"));
  CHECK(at({{"cuda:0", 30}, {"cuda:1", 20}, {"cuda:1", 20}}).where == device("cuda:1"));
  CHECK(at({{"cuda:2", 0}}).where == device("cuda:2"));
  CHECK(at({{"cuda:2", 0}}).reason() == "cuda:2: the operands are there");
  CHECK(at({}).where == device::cpu);
  CHECK(at({}).because == why::default_device);
  CHECK(at({}).reason() == "cpu: nothing speaks for another device");
}

TEST_CASE("only candidates are taken, and each has its estimate") {
  const device two[] = {"cuda:0", "cuda:1"};
  const auto d = place(work_on({{"cpu", 100}}), two);
  CHECK(d.where == device("cuda:0"));
  CHECK(d.because == why::default_device);
  CHECK(d.estimate_count == 2);
  CHECK(d.estimates[1].where == device("cuda:1"));
  CHECK_REFUSED(place(work_on({}), std::span<const device>()), invalid_argument, "[place]", "matmul");
  CHECK(place(work_on({}), std::span<const device>(), "cuda").where == device("cuda:0"));
  std::vector<device> many;
  for (int i = 0; i < 40; ++i) many.emplace_back("cuda", i);
  CHECK(place(work_on({{"cuda:39", 1}}), many).where == device("cuda:39"));
  CHECK(place(work_on({{"cuda:39", 1}}), many).estimate_count == 16);
}

TEST_CASE("operations say what is wrong with their operands") {
  const tensor a = tensor::zeros({2, 3});
  CHECK_REFUSED(sluice::matmul(a, tensor::zeros({4, 5})), invalid_argument, "[matmul] a is f32 (2, 3), b is f32 (4, 5)",
                "a.extent(1) must equal b.extent(0)");
  CHECK_REFUSED(sluice::matmul(tensor::zeros({7, 2, 3}), tensor::zeros({7, 4, 5})), invalid_argument,
                "a.extent(2) must equal b.extent(1)");
  CHECK_REFUSED(sluice::matmul(a, tensor::zeros({3})), invalid_argument, "b is f32 (3)", "two dimensions");
  CHECK_REFUSED(sluice::matmul(tensor::zeros({3}), a), invalid_argument, "a is f32 (3)", "two dimensions");
  CHECK_REFUSED(sluice::matmul(a, tensor::zeros({3, 2}, dtype::f64)), invalid_argument, "f32 (2, 3)", "f64 (3, 2)", "same");
  CHECK_REFUSED(sluice::matmul(tensor::zeros({2, 3}, dtype::i32), tensor::zeros({3, 2}, dtype::i32)), invalid_argument,
                "i32", "f64, f32, f16 or bf16");
  CHECK_REFUSED(sluice::matmul(tensor::zeros({2, 2, 3}), tensor::zeros({5, 3, 2})), invalid_argument, "(2, 2, 3)",
                "(5, 3, 2)", "leading extents 2 and 5");
  CHECK_REFUSED(sluice::rowsum(tensor::zeros({})), invalid_argument, "[rowsum]", "()");
  CHECK_REFUSED(sluice::rowsum(a, "nosuch"), unavailable, "nosuch:0");
}

TEST_CASE("work that was measured as a whole goes by its times, and other devices are not considered") {
  sluice::work w = work_on({{"cuda:1", 1 << 20}});
  w.operation = "resnet18";
  w.add_measured("cpu", 0.02);
  CHECK(place(w).reason() == "cpu: 20 ms there, as measured");
  w.add_measured("cuda:0", 0.002);
  const auto d = place(w);
  CHECK(d.because == why::soonest);
  CHECK(d.predicted() == 0.002);
  CHECK(d.reason() == "cuda:0: 2 ms there, 20 ms on cpu, as measured");
  CHECK(place(w, "cpu").reason() == "cpu: the caller named it");
  CHECK(place(w, sluice::prefer("cuda:1")).where == device("cuda:0"));
  CHECK(place(w, sluice::prefer("cpu")).reason() == "cpu: the caller prefers it; 20 ms there, 2 ms on cuda:0, as measured");
  const std::array others{device("cuda:1")};
  CHECK_REFUSED(place(w, others), invalid_argument, "resnet18 was measured on none of the devices");
}

TEST_CASE("calls of measured work keep a device busy, and of the CPU one core") {
  sluice::work w;
  w.operation = "resnet18";
  w.add_measured("cuda:4", 0.002);
  w.add_measured("cpu", 0.02);
  CHECK(predict(w, "cpu").busy == 0.02 / sluice::parallel_size());
  CHECK(predict(w, "cuda:4").busy == 0.002);
  CHECK(std::isnan(predict(w, "cuda:5").seconds));
  const auto first = place(w);
  {
    const sluice::call_account open(w, first);
    CHECK(place(w).estimates[0].waiting == doctest::Approx(0.002));
    CHECK(place(w).reason() == "cuda:4: 4 ms, 2 ms of it waiting, there, 20 ms on cpu, as measured");
  }
  CHECK(place(w).estimates[0].waiting == 0);
}
