// cuda_bench: products beside cuBLAS, and what a call costs the host.
#include "cuda_bench.hpp"

namespace bench {

// Beside cuBLAS with the same promise about partial sums, and as it comes.
void matmuls(direct_blas& blas) {
  for (const auto& p : products)
    for (const int n : {1024, 4096, 8192}) {
      if (quick && n > 4096) continue;
      const tensor a = random_on_device({n, n}).as(p.type);
      const tensor b = random_on_device({n, n}).as(p.type);
      const tensor c = sluice::matmul(a, b, "cuda", p.precision);
      tensor by_hand({n, n}, p.type, "cuda");
      void* to = raw<void>(by_hand);
      blas.multiply(p, raw<void>(a), raw<void>(b), to, n);
      device_done();
      const tensor x = c.slice(0, 0, 8).as(dtype::f64).to("cpu");
      const tensor y = by_hand.slice(0, 0, 8).as(dtype::f64).to("cpu");
      double difference = 0, size = 0;
      for (int i = 0; i < 8; ++i)
        for (int j = 0; j < n; ++j) {
          difference = std::max(difference, std::fabs(x.view<double, 2>()(i, j) - y.view<double, 2>()(i, j)));
          size = std::max(size, std::fabs(y.view<double, 2>()(i, j)));
        }
      must(difference <= 0.02 * size, std::string("matmul differs from cuBLAS's: ") + p.name);
      const int calls = n == 1024 ? 100 : n == 4096 ? 10 : 4;
      const auto t = time_turns({[&] { static_cast<void>(sluice::matmul(a, b, "cuda", p.precision)); },
                                 [&] {
                                   blas.set_mode(p.precision == sluice::precision::strict);
                                   blas.multiply(p, raw<void>(a), raw<void>(b), to, n);
                                 },
                                 [&] {
                                   blas.set_mode(false);
                                   blas.multiply(p, raw<void>(a), raw<void>(b), to, n);
                                 }},
                                calls, device_done, n == 8192 ? 9 : 15);
      const double flops = 2.0 * n * n * n;
      report({"matmul " + std::string(p.name) + ", n = " + std::to_string(n), "TFLOP/s", flops / t[0] * 1e-12,
              flops / t[1] * 1e-12, "cuBLAS, same promise", ">= 0.98 of it: " + std::to_string(last_ratio).substr(0, 5),
              flops / t[2] * 1e-12, "cuBLAS, its default"});
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
    const action multiply = [&] { blas.multiply(products[0], raw<void>(a), raw<void>(b), to, n); };
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

// Host time that a call takes, with few enough under way that nobody waits.
void wrapper_cost(direct_blas& blas) {
  const tensor a = random_on_device({8, 8});
  const tensor b = random_on_device({8, 8});
  tensor c({8, 8}, dtype::f32, "cuda");
  void* to = raw<void>(c);
  const float* pa = raw<float>(a);
  const float* pb = raw<float>(b);
  const auto enqueue_time = [](const action& f) {
    std::vector<double> times;
    for (int round = 0; round < 21; ++round) {
      device_done();
      const auto begin = steady::now();
      for (int i = 0; i < 100; ++i) f();
      times.push_back(std::chrono::duration<double>(steady::now() - begin).count() / 100);
    }
    std::nth_element(times.begin(), times.begin() + 10, times.end());
    return times[10] * 1e6;
  };
  const double ours = enqueue_time([&] { static_cast<void>(sluice::matmul(a, b, "cuda")); });
  const double theirs = enqueue_time([&] { blas.multiply(products[0], pa, pb, to, 8); });
  report({"matmul 8x8, host time a call", "us", ours, theirs, "cuBLAS directly",
          "<= 3 us more: " + std::to_string(ours - theirs).substr(0, 5)});
}

}  // namespace bench
