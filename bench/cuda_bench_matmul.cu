// cuda_bench: products beside cuBLAS, and what a call costs the host.
#include "cuda_bench.hpp"

namespace bench {

namespace {

void agree(const tensor& ours, const tensor& theirs, const product& p) {
  const tensor x = ours.slice(0, 0, std::min<std::int64_t>(8, ours.extent(0))).as(dtype::f64).to("cpu");
  const tensor y = theirs.slice(0, 0, std::min<std::int64_t>(8, ours.extent(0))).as(dtype::f64).to("cpu");
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < x.extent(0); ++i)
    for (std::int64_t j = 0; j < x.extent(1); ++j) {
      difference = std::max(difference, std::fabs(x.view<double, 2>()(i, j) - y.view<double, 2>()(i, j)));
      size = std::max(size, std::fabs(y.view<double, 2>()(i, j)));
    }
  must(difference <= 0.02 * size, std::string("matmul differs from cuBLAS's: ") + p.name);
}

// Microseconds of the host for a call, few enough under way that nobody waits.
double enqueue_time(const action& f, int calls) {
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    device_done();
    const auto begin = steady::now();
    for (int i = 0; i < calls; ++i) f();
    times.push_back(std::chrono::duration<double>(steady::now() - begin).count() / calls);
  }
  return median(times) * 1e6;
}

}  // namespace

// Products beside cuBLAS with the same promise about partial sums (strict ones: with that of fast), and as it comes.
void matmuls(direct_blas& blas) {
  for (const auto& p : products)
    for (const int n : {1024, 4096, 8192}) {
      if (quick && n > 4096) continue;
      const extents e{n, n, n};
      const tensor a = random_on_device({n, n}).as(p.type);
      const tensor b = random_on_device({n, n}).as(p.type);
      tensor by_hand({n, n}, p.type, "cuda");
      void* to = raw<void>(by_hand);
      blas.multiply(p, raw<void>(a), raw<void>(b), to, e);
      device_done();
      agree(sluice::matmul(a, b, "cuda", p.precision), by_hand, p);
      const int calls = n == 1024 ? 100 : n == 4096 ? 10 : 4;
      const auto t = time_turns({[&] { static_cast<void>(sluice::matmul(a, b, "cuda", p.precision)); },
                                 [&] {
                                   blas.set_mode(p.precision != sluice::precision::tensor_core);
                                   blas.multiply(p, raw<void>(a), raw<void>(b), to, e);
                                 },
                                 [&] {
                                   blas.set_mode(false);
                                   blas.multiply(p, raw<void>(a), raw<void>(b), to, e);
                                 }},
                                calls, device_done, n == 8192 ? 9 : 15);
      const double flops = 2.0 * n * n * n;
      report({"matmul " + std::string(p.name) + ", n = " + std::to_string(n), "TFLOP/s", flops / t[0] * 1e-12,
              flops / t[1] * 1e-12,
              p.precision == sluice::precision::strict ? "cuBLAS, as for fast" : "cuBLAS, same promise",
              ">= 0.98 of it: " + std::to_string(last_ratio).substr(0, 5), flops / t[2] * 1e-12, "cuBLAS, its default"});
    }
}

// Strict products, beside cuBLAS's default called directly and beside fast; and the host's time for each.
void strict_products(direct_blas& blas) {
  std::vector<extents> shapes;
  for (const int n : {8, 16, 32, 64, 128, 256, 512, 768, 1024, 2048, 4096}) shapes.push_back({n, n, n});
  shapes.insert(shapes.end(), {{1, 1024, 1024}, {1024, 1024, 8}, {64, 4096, 64}, {300, 3000, 200}, {4096, 4096, 16}});
  for (const auto& p : products) {
    if (p.precision != sluice::precision::strict) continue;
    for (const auto& e : shapes) {
      if (quick && e.flops() > 1e10) continue;
      const tensor a = random_on_device({e.m, e.k}).as(p.type);
      const tensor b = random_on_device({e.k, e.n}).as(p.type);
      tensor by_hand({e.m, e.n}, p.type, "cuda");
      void* to = raw<void>(by_hand);
      const action strict = [&] { static_cast<void>(sluice::matmul(a, b, "cuda")); };
      const action direct = [&] { blas.multiply(p, raw<void>(a), raw<void>(b), to, e); };
      const action fast = [&] { static_cast<void>(sluice::matmul(a, b, "cuda", sluice::precision::fast)); };
      blas.set_mode(false);
      direct();
      for (int call = 0; call < 3; ++call) {  // the third by what a check of the second found
        device_done();
        agree(sluice::matmul(a, b, "cuda"), by_hand, p);
      }
      const int calls = e.flops() < 1e9 ? 200 : e.flops() < 2e10 ? 40 : 8;
      const auto t = time_turns({strict, direct, fast}, calls, device_done, 11);
      const std::string name = "matmul " + std::string(p.name) + " " + std::to_string(e.m) + "x" + std::to_string(e.k) +
                               "x" + std::to_string(e.n);
      report({name, "us", t[0] * 1e6, t[1] * 1e6, "cuBLAS, its default", "ratio " + std::to_string(last_ratio).substr(0, 5),
              t[2] * 1e6, "fast"});
      if (e.flops() < 2e10)
        report({name + ", host", "us", enqueue_time(strict, 20), enqueue_time(direct, 20), "cuBLAS directly", "",
                enqueue_time(fast, 20), "fast"});
    }
  }
}

// Whether wall times over many calls and one wait are the device's own: cuBLAS's product by both.
void clocks(direct_blas& blas) {
  cudaEvent_t begin, end;
  must(cudaEventCreate(&begin));
  must(cudaEventCreate(&end));
  for (const int n : {1024, 4096}) {
    const tensor a = random_on_device({n, n});
    const tensor b = random_on_device({n, n});
    tensor c({n, n}, dtype::f32, "cuda");
    void* to = raw<void>(c);
    const int calls = n == 1024 ? 100 : 10;
    const action multiply = [&] { blas.multiply(products[0], raw<void>(a), raw<void>(b), to, {n, n, n}); };
    std::vector<double> by_events;
    const auto record = [&] {
      must(cudaEventRecord(begin, blas.stream));
      for (int i = 0; i < calls; ++i) multiply();
      must(cudaEventRecord(end, blas.stream));
      must(cudaEventSynchronize(end));
      float milliseconds = 0;
      must(cudaEventElapsedTime(&milliseconds, begin, end));
      by_events.push_back(milliseconds * 1e3 / calls);
    };
    const double by_clock = time_turns({multiply}, calls, device_done)[0] * 1e6;
    for (int round = 0; round < 7; ++round) record();
    report({"clock beside CUDA events, n = " + std::to_string(n), "us", by_clock, median(by_events), "CUDA events", ""});
  }
  must(cudaEventDestroy(begin));
  must(cudaEventDestroy(end));
}

void wrapper_cost(direct_blas& blas) {
  const tensor a = random_on_device({8, 8});
  const tensor b = random_on_device({8, 8});
  tensor c({8, 8}, dtype::f32, "cuda");
  void* to = raw<void>(c);
  const float* pa = raw<float>(a);
  const float* pb = raw<float>(b);
  const double ours = enqueue_time([&] { static_cast<void>(sluice::matmul(a, b, "cuda")); }, 100);
  const double theirs = enqueue_time([&] { blas.multiply(products[0], pa, pb, to, {8, 8, 8}); }, 100);
  report({"matmul 8x8, host time a call", "us", ours, theirs, "cuBLAS directly",
          "<= 3 us more: " + std::to_string(ours - theirs).substr(0, 5)});
}

}  // namespace bench
