// What a decision costs, and what an operation pays for it. What decisions are worth is placement_regret's.
#include "running.hpp"
#include "sluice/sluice.hpp"

namespace {

// Every device of the process is calibrated by "calibrate", once; only the cost of reading the figures counts.
void decide(benchmark::State& state, const sluice::work& w) {
  measure(
      state, {}, by_run(10, 1000, 1000), [&] { benchmark::DoNotOptimize(sluice::place(w)); }, [] {});
}

void product(benchmark::State& state, const sluice::device& where) {
  const auto a = sluice::tensor::full({8, 8}, 1);
  measure(
      state, {}, by_run(10, 1000, 1000), [&] { benchmark::DoNotOptimize(sluice::matmul(a, a, where)); }, [] {});
}

void register_all() {
  using sluice::device;
  using sluice::dtype;
  add("decision", "sluice", "cpu", "f32", "not calibrated, matmul 64", [](benchmark::State& s) {
    decide(s, sluice::work_of(sluice::matmul_op(), {{dtype::f32, {64, 64}}, {dtype::f32, {64, 64}}}));
  });
  add("matmul, device named", "sluice", "cpu", "f32", "8x8x8", [](benchmark::State& s) { product(s, device::cpu); });
  add("matmul, placed, not calibrated", "sluice", "cpu", "f32", "8x8x8",
      [](benchmark::State& s) { product(s, device::automatic); });
  add("calibration", "sluice", "cpu", "f32", "all devices", [](benchmark::State& s) {
    static double seconds = 0;
    for (auto _ : s) {
      const auto start = clock_type::now();
      if (seconds == 0) sluice::calibrate({.save = false}), seconds = seconds_since(start);
      s.SetIterationTime(seconds);
    }
  });
  const std::string devices = std::to_string(sluice::devices().size()) + " devices, ";
  for (const std::int64_t n : {64, 1024})
    add("decision", "sluice", "cpu", "f32", devices + "matmul " + std::to_string(n), [=](benchmark::State& s) {
      decide(s, sluice::work_of(sluice::matmul_op(), {{dtype::f32, {n, n}}, {dtype::f32, {n, n}}}));
    });
  add("decision", "sluice", "cpu", "f32", devices + "rowsum 1024", [](benchmark::State& s) {
    decide(s, sluice::work_of(sluice::rowsum_op(), {{dtype::f32, {1024, 1024}}}));
  });
  add("matmul, placed", "sluice", "cpu", "f32", "8x8x8", [](benchmark::State& s) { product(s, device::automatic); });
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
