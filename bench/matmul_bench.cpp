// matmul beside its ceilings, in one run: the processor's FMA peak, BLIS called directly on one thread and on all, and
// sluice on every device, with one caller and with eight. Answers are compared with a slow reference before any timing.
//
//     matmul_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
//         --benchmark_report_aggregates_only=true
//
// Counters: flop/s; of_peak, the share of the FMA peak of the threads in use, measured at start; and for eight callers, the
// median and the worst call in ms and their ratio.
#include <benchmark/benchmark.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "running.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/parallel.hpp"

namespace {

// Ceiling ------------------------------------------------------------------------------------------------------------------

// Twelve chains of f32 FMAs, which hide a latency of four cycles on two units; flop/s. Each chain starts from a value read
// apart, or the compiler would see that they are one.
template <class Vector>
[[gnu::always_inline]] inline double fma_chains() {
  volatile float seed = 1.0f;
  Vector x[12];
  for (int i = 0; i < 12; ++i) x[i] = Vector{} + seed;
  const Vector a = Vector{} + 0.999f * seed;
  const Vector b = Vector{} + 0.001f * seed;
  constexpr int steps = 4'000'000;
  const auto start = clock_type::now();
  for (int i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) x[j] = x[j] * a + b;
  }
  const double seconds = seconds_since(start);
  for (int i = 0; i < 12; ++i) seed = seed + x[i][0];
  return 2.0 * steps * 12 * (sizeof(Vector) / sizeof(float)) / seconds;
}

typedef float f32x4 __attribute__((vector_size(16)));

#if defined(__x86_64__)
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));
[[gnu::target("avx512f"), gnu::noinline]] double fma_avx512() { return fma_chains<f32x16>(); }
[[gnu::target("avx2,fma"), gnu::noinline]] double fma_avx2() { return fma_chains<f32x8>(); }
double fma_rate() {
  if (__builtin_cpu_supports("avx512f")) return fma_avx512();
  return __builtin_cpu_supports("fma") ? fma_avx2() : fma_chains<f32x4>();
}
#else
double fma_rate() { return fma_chains<f32x4>(); }
#endif

// The peak of `threads` threads at once, measured at the first call.
double peak(int threads) {
  static std::map<int, double> known;
  if (known.contains(threads)) return known[threads];
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::atomic<int> waiting{threads};
  const auto measure = [&](double& best) {
    for (--waiting; waiting > 0;) std::this_thread::yield();
    for (int turn = 0; turn < 5; ++turn) best = std::max(best, fma_rate());
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < rates.size(); ++i) others.emplace_back(measure, std::ref(rates[i]));
  measure(rates[0]);
  for (auto& t : others) t.join();
  return known[threads] = std::accumulate(rates.begin(), rates.end(), 0.0);
}

// BLIS, called directly --------------------------------------------------------------------------------------------------

// A copy of its own, so that its thread setting is nobody else's: SLUICE_BENCH_BLIS, else the path found when this was
// built.
struct blis {
  using gemm_function = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  gemm_function gemm = nullptr;
  void (*set_threads)(std::int64_t) = nullptr;

  static const blis& get() {
    static const blis found;
    return found;
  }

 private:
  blis() {
    const char* path = std::getenv("SLUICE_BENCH_BLIS");
#if defined(SLUICE_BENCH_BLIS_PATH)
    if (path == nullptr) path = SLUICE_BENCH_BLIS_PATH;
#endif
    void* library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == nullptr) return;
    gemm = reinterpret_cast<gemm_function>(dlsym(library, "cblas_sgemm"));
    set_threads = reinterpret_cast<void (*)(std::int64_t)>(dlsym(library, "bli_thread_set_num_threads"));
  }
};

// Products -----------------------------------------------------------------------------------------------------------------

struct extents {
  std::int64_t m;
  std::int64_t k;
  std::int64_t n;
  double flops() const { return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n); }
  std::string str() const { return std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n); }
};

struct operands {
  extents e;
  sluice::tensor a;
  sluice::tensor b;

  operands(const extents& of, sluice::dtype type) : e(of), a({of.m, of.k}), b({of.k, of.n}) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> values(-1, 1);
    for (sluice::tensor* t : {&a, &b}) {
      auto* data = static_cast<float*>(t->data());
      for (std::int64_t i = 0; i < t->count(); ++i) data[i] = values(random);
      *t = t->as(type);
    }
  }

  // Whether 64 elements of c agree with sums in f64, within what the dtype's rounding explains.
  bool right(const sluice::tensor& c) const {
    const auto x = a.as(sluice::dtype::f64);
    const auto y = b.as(sluice::dtype::f64);
    const auto z = c.to("cpu").as(sluice::dtype::f64);
    const auto xv = x.view<double, 2>();
    const auto yv = y.view<double, 2>();
    const auto zv = z.view<double, 2>();
    const double step = a.dtype() == sluice::dtype::f64 ? 2.3e-16 : 1.2e-7;
    const double last = sluice::size_of(a.dtype()) == 2 ? 4e-3 : 0;
    std::mt19937 random(2);
    for (int sample = 0; sample < 64; ++sample) {
      const auto i = static_cast<std::int64_t>(random()) % e.m;
      const auto j = static_cast<std::int64_t>(random()) % e.n;
      double sum = 0;
      double magnitudes = 0;
      for (std::int64_t p = 0; p < e.k; ++p) {
        sum += xv(i, p) * yv(p, j);
        magnitudes += std::fabs(xv(i, p) * yv(p, j));
      }
      const double allowed = step * static_cast<double>(e.k + 4) * magnitudes + last * std::fabs(sum) + 1e-30;
      if (!(std::fabs(zv(i, j) - sum) <= allowed)) return false;
    }
    return true;
  }
};

// A way to make the product: returns when it is made.
using way = std::function<sluice::tensor(const operands&)>;

way on_device(const sluice::device& where) {
  return [where](const operands& o) {
    const sluice::tensor c = sluice::matmul(o.a, o.b, where);
    if (!where.is_cpu()) (void)c.slice(0, 0, 1).slice(1, 0, 1).to("cpu");
    return c;
  };
}

way on_blis(int threads) {
  return [threads](const operands& o) {
    sluice::tensor c({o.e.m, o.e.n});
    constexpr int row_major = 101;
    constexpr int as_is = 111;
    const int m = static_cast<int>(o.e.m);
    const int k = static_cast<int>(o.e.k);
    const int n = static_cast<int>(o.e.n);
    blis::get().set_threads(threads);
    blis::get().gemm(row_major, as_is, as_is, m, n, k, 1, static_cast<const float*>(std::as_const(o.a).data()), k,
                     static_cast<const float*>(std::as_const(o.b).data()), n, 0, static_cast<float*>(c.data()), n);
    return c;
  };
}

void report(benchmark::State& state, double flops, double seconds, double ceiling) {
  state.counters["flop/s"] = rate_counter(flops / seconds, benchmark::Counter::kIs1000);
  if (ceiling > 0) state.counters["of_peak"] = flops / seconds / ceiling;
}

operands placed(const extents& e, sluice::dtype type, const sluice::device& where) {
  operands o(e, type);
  o.a = o.a.to(where);
  o.b = o.b.to(where);
  return o;
}

void one_caller(benchmark::State& state, const extents& e, sluice::dtype type, const way& make, const sluice::device& where,
                double ceiling) {
  const operands o = placed(e, type, where);
  if (!operands(e, type).right(make(o))) return state.SkipWithError("wrong answer");
  const auto start = clock_type::now();
  for (auto _ : state) benchmark::DoNotOptimize(make(o));
  report(state, e.flops() * static_cast<double>(state.iterations()), seconds_since(start), ceiling);
}

// Eight threads that each make the product again and again.
void eight_callers(benchmark::State& state, const extents& e, const way& make, double ceiling) {
  constexpr int callers = 8;
  const operands o(e, sluice::dtype::f32);
  if (!o.right(make(o))) return state.SkipWithError("wrong answer");
  const auto calls = static_cast<std::size_t>(std::max(8.0, 1e10 / e.flops()));
  std::vector<double> seconds;
  double total = 0;
  for (auto _ : state) {
    std::vector<std::vector<double>> each(callers);
    std::atomic<int> waiting{callers};
    std::vector<std::thread> threads;
    std::atomic<std::int64_t> last{0};
    const auto origin = clock_type::now();
    std::atomic<std::int64_t> first{INT64_MAX};
    for (auto& mine : each) {
      threads.emplace_back([&] {
        mine.reserve(calls);
        make(o);
        for (--waiting; waiting > 0;) std::this_thread::yield();
        std::int64_t now = (clock_type::now() - origin).count();
        for (auto f = first.load(); now < f && !first.compare_exchange_weak(f, now);) continue;
        for (std::size_t i = 0; i < calls; ++i) {
          const auto start = clock_type::now();
          benchmark::DoNotOptimize(make(o));
          mine.push_back(seconds_since(start));
        }
        now = (clock_type::now() - origin).count();
        for (auto l = last.load(); now > l && !last.compare_exchange_weak(l, now);) continue;
      });
    }
    for (auto& t : threads) t.join();
    const double elapsed = std::chrono::duration<double>(clock_type::duration(last - first)).count();
    state.SetIterationTime(elapsed);
    total += elapsed;
    for (const auto& mine : each) seconds.insert(seconds.end(), mine.begin(), mine.end());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  report(state, e.flops() * static_cast<double>(seconds.size()), total, ceiling);
  state.counters["median_ms"] = median * 1e3;
  state.counters["worst_ms"] = seconds.back() * 1e3;
  state.counters["worst/median"] = seconds.back() / median;
}

void register_one(const std::string& name, const extents& e, sluice::dtype type, const way& make,
                  const sluice::device& where, double ceiling) {
  benchmark::RegisterBenchmark((name + "/" + e.str()).c_str(), one_caller, e, type, make, where, ceiling)->UseRealTime();
}

void register_all() {
  const int all = sluice::parallel_size();
  for (const int threads : {1, all}) {
    benchmark::RegisterBenchmark(("fma_peak/threads:" + std::to_string(threads)).c_str(), [threads](
                                                                                              benchmark::State& state) {
      for (auto _ : state) benchmark::DoNotOptimize(peak(threads));
      state.counters["flop/s"] = rate_counter(peak(threads), benchmark::Counter::kIs1000);
    })->Iterations(1);
  }
  const bool has_blis = blis::get().gemm != nullptr && blis::get().set_threads != nullptr;
  if (!has_blis) {
    benchmark::RegisterBenchmark("blis", [](benchmark::State& state) {
      for (auto _ : state) continue;
      state.SkipWithError("no BLIS: set SLUICE_BENCH_BLIS to its library");
    });
  }
  const auto devices = sluice::devices();
  const extents shapes[] = {{16, 16, 16},       {64, 64, 64},    {256, 256, 256}, {1024, 1024, 1024},
                            {2048, 2048, 2048}, {1, 1024, 1024}, {1024, 1024, 8}, {64, 4096, 64}};
  for (const extents& e : shapes) {
    if (has_blis) {
      register_one("blis/threads:1", e, sluice::dtype::f32, on_blis(1), "cpu", peak(1));
      register_one("blis/threads:" + std::to_string(all), e, sluice::dtype::f32, on_blis(all), "cpu", peak(all));
    }
    for (const auto& d : devices)
      register_one("sluice/" + d.where.str() + "/f32", e, sluice::dtype::f32, on_device(d.where), d.where,
                   d.where.is_cpu() ? peak(all) : 0);
  }
  for (const auto& d : devices) {
    for (const auto type : {sluice::dtype::f64, sluice::dtype::bf16, sluice::dtype::f16})
      register_one("sluice/" + d.where.str() + "/" + std::string(sluice::name_of(type)), {1024, 1024, 1024}, type,
                   on_device(d.where), d.where, d.where.is_cpu() ? peak(all) : 0);
  }
  for (const std::int64_t n : {std::int64_t{256}, std::int64_t{1024}}) {
    const extents e{n, n, n};
    if (has_blis)
      benchmark::RegisterBenchmark(("blis/threads:1/callers:8/" + e.str()).c_str(), eight_callers, e, on_blis(1), peak(all))
          ->Iterations(1)
          ->UseManualTime();
    for (const auto& d : devices)
      benchmark::RegisterBenchmark(("sluice/" + d.where.str() + "/callers:8/" + e.str()).c_str(), eight_callers, e,
                                   on_device(d.where), d.where.is_cpu() ? peak(all) : 0)
          ->Iterations(1)
          ->UseManualTime();
  }
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
