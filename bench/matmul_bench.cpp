// matmul on every device beside the processor's FMA peak, in one run, with one caller and with eight. matmul_peers_bench has
// the same products by BLIS, OpenBLAS, oneDNN and Eigen; cuda_bench by cuBLAS. Answers are compared with a slow reference
// before any timing.
//
//     matmul_bench --benchmark_repetitions=5 [--run quick]
//
// "matmul" has its operands on the device; calls there run behind the caller's back, so they are timed in batches that end
// with a wait. "matmul from host" begins and ends in ordinary host memory. Counters: flop/s; share, of the FMA peak of all
// threads, measured at start; for eight callers the median and the worst call.
#include "products.hpp"

namespace {

using sluice::dtype;

// Its memory is ready on the host, so all before it is done.
void wait_for(const sluice::tensor& c) {
  if (!c.device().is_cpu()) static_cast<void>(c.data());
}

void resident(benchmark::State& state, const extents& e, dtype type, sluice::precision p, const sluice::device& where,
              double ceiling) {
  const operands& host = made(e, type);
  const operands o = host.to(where);
  const auto make = [&](const operands& x) { return sluice::matmul(x.a, x.b, where, p); };
  if (p == sluice::precision::strict && !answers_right("resident" + where.str(), host, o, make))
    return state.SkipWithError("wrong answer");
  const int calls = where.is_cpu() ? 1 : e.flops() < 1e9 ? 100 : 10;
  std::vector<sluice::tensor> made_now(
      static_cast<std::size_t>(calls));  // all are waited for: they may be on several queues
  std::size_t next = 0;
  measure(
      state, {.flops = e.flops(), .ceiling = ceiling}, calls, [&] { made_now[next++ % made_now.size()] = make(o); },
      [&] {
        for (const auto& c : made_now) wait_for(c);
      });
}

void from_host(benchmark::State& state, const extents& e, const sluice::device& where) {
  const operands& o = made(e, dtype::f32);
  const auto make = [&](const operands& x) { return sluice::matmul(x.a, x.b, where).to("cpu"); };
  if (!answers_right("from host" + where.str(), o, o, make)) return state.SkipWithError("wrong answer");
  measure(state, {.flops = e.flops()}, [&] {
    const sluice::tensor c = make(o);
    benchmark::DoNotOptimize(c.data());
  });
}

void add_device(const sluice::device& where) {
  const double ceiling = where.is_cpu() ? ceilings::fma_peak(sluice::parallel_size()) : 0;
  const auto on = [&](dtype type, sluice::precision p, const extents& e, std::string_view name) {
    // An f64 FMA unit does half as many; f16 and bf16 are multiplied as f32.
    const double of = type == dtype::f64 ? ceiling / 2 : ceiling;
    add("matmul", "sluice", where.str(), name, e.str(), [=](benchmark::State& s) { resident(s, e, type, p, where, of); });
  };
  const std::int64_t middle = by_run(8, 1024, 1024);
  for (const extents& e : product_extents()) {
    on(dtype::f32, sluice::precision::strict, e, "f32");
    add("matmul from host", "sluice", where.str(), "f32", e.str(), [=](benchmark::State& s) { from_host(s, e, where); });
  }
  for (const auto type : {dtype::f64, dtype::bf16, dtype::f16})
    on(type, sluice::precision::strict, {middle, middle, middle}, sluice::name_of(type));
  if (where.is_cpu()) return;
  for (const std::int64_t n : {std::int64_t{1024}, std::int64_t{4096}})
    if (running != run_size::tiny) on(dtype::f32, sluice::precision::tensor_core, {n, n, n}, "TF32");
}

void add_callers(const sluice::device& where) {
  for (const std::int64_t n : {by_run(8, 256, 256), by_run(16, 1024, 1024)}) {
    const extents e{n, n, n};
    add("matmul, 8 callers", "sluice", where.str(), "f32", e.str(), [=](benchmark::State& state) {
      const operands& host = made(e, dtype::f32);
      const way make = [&](const operands& o) {
        auto c = sluice::matmul(o.a, o.b, where);
        wait_for(c);
        return c;
      };
      eight_callers(state, host.to(where), make, where.is_cpu() ? ceilings::fma_peak(sluice::parallel_size()) : 0);
    });
  }
}

void register_all() {
  for (const int threads : {1, sluice::parallel_size()})
    add("FMA", "peak", "cpu", "f32", std::to_string(threads) + " threads", [threads](benchmark::State& state) {
      for (auto _ : state) state.SetIterationTime(1);
      show_rate(state, "flop/s", ceilings::fma_peak(threads));
    });
  for (const auto& d : first_devices()) add_device(d);
  for (const auto& d : first_devices()) add_callers(d);
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
