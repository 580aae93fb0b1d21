// What a decision costs, and what an operation pays for it.
#include "running.hpp"
#include "sluice/sluice.hpp"

namespace {

using sluice::device;

// Every device of the process calibrated, in a tenth of the time: here only the cost of reading the figures counts.
void decide(benchmark::State& state, const sluice::work& w) {
  for (auto _ : state) benchmark::DoNotOptimize(sluice::place(w));
}

void register_all() {
  const auto all = sluice::devices();
  benchmark::RegisterBenchmark("place/not calibrated, 64x64", decide,
                               sluice::matmul_work({64, 64}, {64, 64}, sluice::dtype::f32));
  const auto a = sluice::tensor::full({8, 8}, 1);
  benchmark::RegisterBenchmark("matmul 8x8/cpu", [a](benchmark::State& s) {
    for (auto _ : s) benchmark::DoNotOptimize(sluice::matmul(a, a, device::cpu));
  });
  benchmark::RegisterBenchmark("matmul 8x8/automatic", [a](benchmark::State& s) {
    for (auto _ : s) benchmark::DoNotOptimize(sluice::matmul(a, a));
  });
  benchmark::RegisterBenchmark("calibrate",
                               [](benchmark::State& s) {
                                 for (auto _ : s) sluice::calibrate({.save = false});
                               })
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond);
  std::string name = std::to_string(all.size());
  name += " devices";
  for (const std::int64_t n : {64, 1024})
    benchmark::RegisterBenchmark(("place/calibrated, " + name + ", matmul " + std::to_string(n)).c_str(), decide,
                                 sluice::matmul_work({n, n}, {n, n}, sluice::dtype::f32));
  benchmark::RegisterBenchmark(("place/calibrated, " + name + ", rowsum 1024").c_str(), decide,
                               sluice::rowsum_work({1024, 1024}, sluice::dtype::f32));
  benchmark::RegisterBenchmark("matmul 8x8/automatic, calibrated", [a](benchmark::State& s) {
    for (auto _ : s) benchmark::DoNotOptimize(sluice::matmul(a, a));
  });
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
