// The products of matmul_bench by other libraries, called directly on all threads and on one: BLIS and OpenBLAS, opened at
// run time so that neither takes the other's names; oneDNN and Eigen where they were found when this was built.
//
//     matmul_peers_bench --benchmark_filter=BLIS        # a process a library: their idle threads spin
#include <dlfcn.h>

#include <cstdlib>

#include "../products.hpp"

#if SLUICE_BENCH_EIGEN
#include "eigen.hpp"
#endif
#if SLUICE_BENCH_ONEDNN
#include <dnnl.h>
#endif

namespace {

const float* data_of(const sluice::tensor& t) { return static_cast<const float*>(t.data()); }

// A CBLAS of its own, so that its thread setting is nobody else's: the path in `variable`, else the one found when this was
// built.
struct cblas {
  using gemm_function = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  gemm_function gemm = nullptr;
  std::function<void(int)> set_threads;

  cblas(const char* variable, const char* built_with, const char* threads_name) {
    const char* path = std::getenv(variable);
    if (path == nullptr) path = built_with;
    void* library = *path == '\0' ? nullptr : dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == nullptr) return;
    gemm = reinterpret_cast<gemm_function>(dlsym(library, "cblas_sgemm"));
    void* set = dlsym(library, threads_name);
    if (set == nullptr) gemm = nullptr;
    // BLIS counts threads in its own dim_t of 64 bits, OpenBLAS in an int: in a register both read the same.
    set_threads = [set](int threads) { reinterpret_cast<void (*)(std::int64_t)>(set)(threads); };
  }

  [[nodiscard]] way multiply() const {
    return [this](const operands& o) {
      sluice::tensor c({o.e.m, o.e.n});
      constexpr int row_major = 101, as_is = 111;
      const int m = static_cast<int>(o.e.m), k = static_cast<int>(o.e.k), n = static_cast<int>(o.e.n);
      gemm(row_major, as_is, as_is, m, n, k, 1, data_of(o.a), k, data_of(o.b), n, 0, static_cast<float*>(c.data()), n);
      return c;
    };
  }
};

void one_caller(benchmark::State& state, const std::string& name, const extents& e, const way& make, int threads) {
  const operands& o = made(e, sluice::dtype::f32);
  if (!answers_right(name, o, o, make)) return state.SkipWithError("wrong answer");
  measure(state, {.flops = e.flops(), .ceiling = ceilings::fma_peak(threads)}, [&] { benchmark::DoNotOptimize(make(o)); });
}

// `name`, on all threads; and on one where `set_threads` can.
void add_library(const std::string& name, const way& make, const std::function<void(int)>& set_threads) {
  const int all = sluice::parallel_size();
  for (const extents& e : product_extents())
    for (const int threads : {all, 1}) {
      if (threads == 1 && (!set_threads || all == 1)) continue;
      add("matmul", threads == all ? name : name + ", 1 thread", "cpu", "f32", e.str(), [=](benchmark::State& state) {
        if (set_threads) set_threads(threads);
        one_caller(state, name, e, make, threads);
      });
    }
  if (!set_threads) return;
  for (const std::int64_t n : {by_run(8, 256, 256), by_run(16, 1024, 1024)}) {
    const extents e{n, n, n};
    add("matmul, 8 callers", name + ", 1 thread a caller", "cpu", "f32", e.str(), [=](benchmark::State& state) {
      set_threads(1);
      eight_callers(state, made(e, sluice::dtype::f32), make, ceilings::fma_peak(all));
    });
  }
}

#if SLUICE_BENCH_EIGEN
sluice::tensor by_eigen(const operands& o) {
  sluice::tensor c({o.e.m, o.e.n});
  eigen_product_f32(data_of(o.a), data_of(o.b), static_cast<float*>(c.data()), o.e.m, o.e.k, o.e.n);
  return c;
}
#endif

#if SLUICE_BENCH_ONEDNN
sluice::tensor by_onednn(const operands& o) {
  sluice::tensor c({o.e.m, o.e.n});
  dnnl_sgemm('N', 'N', o.e.m, o.e.n, o.e.k, 1, data_of(o.a), o.e.k, data_of(o.b), o.e.n, 0, static_cast<float*>(c.data()),
             o.e.n);
  return c;
}
#endif

void register_all() {
  static const cblas blis("SLUICE_BENCH_BLIS", SLUICE_BENCH_BLIS_PATH, "bli_thread_set_num_threads");
  static const cblas openblas("SLUICE_BENCH_OPENBLAS", SLUICE_BENCH_OPENBLAS_PATH, "openblas_set_num_threads");
  if (blis.gemm != nullptr) add_library("BLIS", blis.multiply(), blis.set_threads);
  if (openblas.gemm != nullptr) add_library("OpenBLAS", openblas.multiply(), openblas.set_threads);
#if SLUICE_BENCH_ONEDNN
  add_library("oneDNN", by_onednn, {});
#endif
#if SLUICE_BENCH_EIGEN
  add_library("Eigen", by_eigen, eigen_threads);
#endif
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
