// An experiment: f32 products with one rounding, from exact int8 tensor-core products (the residue scheme, Ozaki scheme II).
//
// Row i of a becomes the integers A = rint(a * 2^(La - ea)), |a| < 2^ea in that row, and column j of b likewise with Lb
// bits. |sum A B| <= k 2^(La + Lb) < P / 2, where P is the product of N pairwise coprime moduli <= 256, so the residues of
// the sum determine it: one s8 x s8 -> s32 product per modulus, exact while k < 131,072. The Chinese remainder theorem gives
// the sum, which is scaled and rounded once. The result is therefore the correctly rounded product of operands that were
// rounded to La (Lb) bits below their row's (column's) maximum, whatever the order of additions.
//
// nvcc -O3 -std=c++20 -arch=sm_90 bench/exact_products.cu -o exact_products -lcublasLt -lcublas
// exact_products host: the arithmetic without a GPU, against __int128. exact_products: times and errors.

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exact_kernels.cuh"
#include "exact_reference.hpp"

namespace {

using namespace exact;

constexpr size_t workspace_bytes = size_t{64} << 20;

// c_t = a_t bt_t^T for every plane t: row-major, so for cuBLAS bt is the first operand (T) and a the second (N).
struct int8_products {
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t op{};
  cublasLtMatrixLayout_t first{}, second{}, out{};
  cublasLtMatmulHeuristicResult_t choices[8]{};  // no vector of it: nvcc 13.0 stops with an internal error
  int found = 0, batch;

  int8_products(cublasLtHandle_t h, int n, int planes, int in_one_call) : handle(h), batch(in_one_call) {
    check(cublasLtMatmulDescCreate(&op, CUBLAS_COMPUTE_32I, CUDA_R_32I), "cublasLtMatmulDescCreate");
    cublasOperation_t const transposed = CUBLAS_OP_T;
    check(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed), "TRANSA");
    int64_t const stride = static_cast<int64_t>(n) * n;
    int32_t const count = batch;
    for (auto* layout : {&first, &second, &out}) {
      check(cublasLtMatrixLayoutCreate(layout, layout == &out ? CUDA_R_32I : CUDA_R_8I, n, n, n),
            "cublasLtMatrixLayoutCreate");
      check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
            "BATCH_COUNT");
      check(cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
            "STRIDE");
    }
    cublasLtMatmulPreference_t preference;
    check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                               sizeof workspace_bytes),
          "WORKSPACE");
    if (cublasLtMatmulAlgoGetHeuristic(handle, op, first, second, out, out, preference, 8, choices, &found) != 0) found = 0;
    cublasLtMatmulPreferenceDestroy(preference);
    planes_ = planes;
  }
  ~int8_products() {
    for (auto layout : {first, second, out}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(op);
  }
  int8_products(int8_products const&) = delete;

  int call(int choice, int8_t const* a, int8_t const* bt, int32_t* c, size_t plane, void* workspace) const {
    int32_t const one = 1, zero = 0;
    int status = 0;
    for (int t = 0; t < planes_ && status == 0; t += batch)
      status = cublasLtMatmul(handle, op, &one, bt + t * plane, first, a + t * plane, second, &zero, c + t * plane, out,
                              c + t * plane, out, &choices[choice].algo, workspace, workspace_bytes, nullptr);
    return status;
  }

 private:
  int planes_;
};

float median(std::vector<float> x) {
  std::sort(x.begin(), x.end());
  return x[x.size() / 2];
}

struct timer {
  cudaEvent_t events[4];
  timer() {
    for (auto& e : events) check(cudaEventCreate(&e), "cudaEventCreate");
  }
  void mark(int i) { check(cudaEventRecord(events[i]), "cudaEventRecord"); }
  float between(int i, int j) {
    check(cudaEventSynchronize(events[j]), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, events[i], events[j]), "cudaEventElapsedTime");
    return ms;
  }
  float of(int repetitions, std::function<void()> const& f) {
    f();
    std::vector<float> times;
    for (int i = 0; i < repetitions; ++i) {
      mark(0), f(), mark(1);
      times.push_back(between(0, 1));
    }
    return median(times);
  }
};

template <class T>
T* allocate(size_t count) {
  void* p = nullptr;
  check(cudaMalloc(&p, count * sizeof(T)), "cudaMalloc");
  return static_cast<T*>(p);
}

struct stage_times {
  float slicing, products, reconstruction, all;
};

struct bench {
  int most_n, most_count;
  float *a, *b, *c;
  int8_t *slices_a, *slices_b;
  int32_t* sums;
  int *scales_a, *scales_b, *maxima;
  void* workspace;
  cublasLtHandle_t lt{};
  cublasHandle_t blas{};
  timer clock;
  std::map<std::pair<int, int>, std::pair<std::function<void()>, bool>> chosen;

  bench(int n, int count) : most_n(n), most_count(count) {
    size_t const plane = static_cast<size_t>(n) * n;
    a = allocate<float>(plane), b = allocate<float>(plane), c = allocate<float>(plane);
    slices_a = allocate<int8_t>(plane * count), slices_b = allocate<int8_t>(plane * count);
    sums = allocate<int32_t>(plane * count);
    scales_a = allocate<int>(n), scales_b = allocate<int>(n), maxima = allocate<int>(n);
    workspace = allocate<char>(workspace_bytes);
    check(cublasLtCreate(&lt), "cublasLtCreate");
    check(cublasCreate(&blas), "cublasCreate");
  }

  void operands_of(operands kind, int n) {
    fill<<<static_cast<unsigned>(static_cast<size_t>(n) * n / 256), 256>>>(a, n, kind, 1, false);
    fill<<<static_cast<unsigned>(static_cast<size_t>(n) * n / 256), 256>>>(b, n, kind, 2, true);
    check(cudaDeviceSynchronize(), "fill");
  }

  void sgemm(int n) {
    float const one = 1, zero = 0;
    check(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, b, CUDA_R_32F, n, a, CUDA_R_32F, n, &zero, c,
                       CUDA_R_32F, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmEx");
  }

  void slice(int n, scheme const& s) {
    size_t const plane = static_cast<size_t>(n) * n;
    slice_rows<<<n, 256>>>(a, n, reinterpret_cast<uint32_t*>(slices_a), plane, scales_a, s.bits_a(n), s.m);
    check(cudaMemsetAsync(maxima, 0, n * sizeof(int)), "cudaMemsetAsync");
    column_maxima<<<dim3(n / 128, n / 256), 256>>>(b, n, n, maxima);
    slice_columns<<<dim3(n / 32, n / 128), 256>>>(b, n, n, reinterpret_cast<uint32_t*>(slices_b), plane, maxima, scales_b,
                                                  s.bits_b(n), s.m);
    check(cudaGetLastError(), "slicing");
  }

  uint32_t digest_of(int n) {
    unsigned long long sum = 0, *on_device = reinterpret_cast<unsigned long long*>(maxima);
    check(cudaMemset(on_device, 0, sizeof sum), "cudaMemset");
    digest<<<static_cast<unsigned>(static_cast<size_t>(n) * n / 256), 256>>>(c, on_device);
    check(cudaMemcpy(&sum, on_device, sizeof sum, cudaMemcpyDeviceToHost), "digest");
    return static_cast<uint32_t>(sum >> 32);
  }

  void rebuild(int n, scheme const& s) {
    size_t const plane = static_cast<size_t>(n) * n;
    with_count(s.m.count, [&](auto size) {
      reconstruct<decltype(size)::value><<<dim3(n / 1024, n), 256>>>(sums, plane, n, scales_a, scales_b, c, s.t);
    });
    check(cudaGetLastError(), "reconstruct");
  }

  // The fastest of cublasLt's proposals, in one batched call or in a call a plane; tells whether the call is batched.
  std::function<void()> const& choose(int n, scheme const& s, bool& batched) {
    size_t const plane = static_cast<size_t>(n) * n;
    auto& [best, best_batched] = chosen[{n, s.m.count}];
    float least = 1e30f;
    if (best) return batched = best_batched, best;
    for (int const in_one : {s.m.count, 1}) {
      auto p = std::make_shared<int8_products>(lt, n, s.m.count, in_one);
      for (int i = 0; i < p->found; ++i) {
        if (p->call(i, slices_a, slices_b, sums, plane, workspace) != 0) continue;
        std::function<void()> f = [=, this] {
          check(p->call(i, slices_a, slices_b, sums, plane, workspace), "cublasLtMatmul");
        };
        float const ms = clock.of(n > 4096 ? 2 : 4, f);
        if (ms < least) least = ms, best = f, best_batched = in_one != 1;
      }
    }
    if (!best) check(-1, "no int8 product in cublasLt's proposals");
    return batched = best_batched, best;
  }

  stage_times time(int n, scheme const& s, std::function<void()> const& products, int repetitions) {
    std::vector<float> t[4];
    for (int i = -2; i < repetitions; ++i) {
      clock.mark(0), slice(n, s), clock.mark(1), products(), clock.mark(2), rebuild(n, s), clock.mark(3);
      float const all = clock.between(0, 3);
      if (i < 0) continue;
      t[0].push_back(clock.between(0, 1)), t[1].push_back(clock.between(1, 2));
      t[2].push_back(clock.between(2, 3)), t[3].push_back(all);
    }
    return {median(t[0]), median(t[1]), median(t[2]), median(t[3])};
  }
};

void times(bench& g, int n, std::vector<int> const& counts) {
  g.operands_of(operands::uniform, n);
  double const work = 2.0 * n * n * n;
  int const repetitions = n >= 8192 ? 7 : 15;
  float const before = g.clock.of(repetitions, [&] { g.sgemm(n); });
  std::vector<std::pair<int, stage_times>> rows;
  std::vector<bool> in_one;
  for (int const count : counts) {
    scheme const s(count);
    g.slice(n, s);
    bool batched = false;
    auto const& products = g.choose(n, s, batched);
    rows.emplace_back(count, g.time(n, s, products, repetitions));
    in_one.push_back(batched);
  }
  float const after = g.clock.of(repetitions, [&] { g.sgemm(n); }), sgemm = std::min(before, after);
  std::printf("n %d: SGEMM %.3f / %.3f ms (before/after), %.1f TFLOP/s\n", n, before, after, work / sgemm / 1e9);
  for (size_t i = 0; i < rows.size(); ++i) {
    auto const& [count, t] = rows[i];
    scheme const s(count);
    std::printf(" N %d L %d/%d: %.3f + %.3f (%.0f TOP/s%s) + %.3f = %.3f ms, %.1f TFLOP/s, x%.2f\n", count, s.bits_a(n),
                s.bits_b(n), t.slicing, t.products, work * count / t.products / 1e9, in_one[i] ? ", batched" : "",
                t.reconstruction, t.all, work / t.all / 1e9, sgemm / t.all);
  }
}

void errors(bench& g, int n, std::vector<int> const& counts) {
  constexpr int samples = 24;
  std::vector<float> rows(static_cast<size_t>(samples) * n), columns(rows.size()), out(samples * samples);
  auto const at = [&](int i) { return static_cast<size_t>(mixed(i + 100) % n); };
  size_t const line = static_cast<size_t>(n) * sizeof(float);
  for (int kind = 0; kind < 5; ++kind) {
    g.operands_of(operands(kind), n);
    int need_a = 0, need_b = 0;
    for (int i = 0; i < samples; ++i) {
      check(cudaMemcpy(&rows[static_cast<size_t>(i) * n], g.a + at(i) * n, line, cudaMemcpyDeviceToHost), "copy of a row");
      check(cudaMemcpy2D(&columns[static_cast<size_t>(i) * n], 4, g.b + at(i + samples), line, 4, n, cudaMemcpyDeviceToHost),
            "copy of a column");
      need_a = std::max(need_a, bits_needed(&rows[static_cast<size_t>(i) * n], n));
      need_b = std::max(need_b, bits_needed(&columns[static_cast<size_t>(i) * n], n));
    }
    std::vector<measure> reference;
    for (int i = 0; i < samples * samples; ++i)
      reference.push_back(
          reference_of(&rows[static_cast<size_t>(i / samples) * n], &columns[static_cast<size_t>(i % samples) * n], n));
    std::printf("%s n %d, needs %d/%d bits:", name_of[kind], n, need_a, need_b);
    for (int const count : counts) {  // 0: SGEMM
      scheme const s(std::max(count, 1));
      if (count == 0) {
        g.sgemm(n);
      } else {
        bool batched = false;
        g.slice(n, s);
        g.choose(n, s, batched)();
        check(cudaMemset(g.c, 0xff, line * n), "cudaMemset");
        g.rebuild(n, s);
      }
      for (int i = 0; i < samples; ++i)
        for (int j = 0; j < samples; ++j)
          check(cudaMemcpy(&out[i * samples + j], g.c + at(i) * n + at(j + samples), 4, cudaMemcpyDeviceToHost),
                "copy of c");
      double relative = 0, units = 0;
      int differ = 0, unlike = 0;
      for (int i = 0; i < samples * samples; ++i) {
        double const off = std::fabs(out[i] - reference[i].reference);
        relative = std::max(relative, std::isnan(off) ? INFINITY : off / reference[i].magnitude);
        units = std::max(units, off / unit_of(reference[i].reference));
        unlike += out[i] != static_cast<float>(reference[i].reference);
        if (count != 0)
          differ += out[i] != promised(&rows[static_cast<size_t>(i / samples) * n],
                                       &columns[static_cast<size_t>(i % samples) * n], n, s);
      }
      if (count == 0)
        std::printf(" SGEMM %.1e %.3g ulp %d", relative, units, unlike);
      else
        std::printf(" | N%d %.1e %.3g ulp %d, %d off", count, relative, units, unlike, differ);
      if (count != 0 && operands(kind) == operands::grid) std::printf(" #%08x", g.digest_of(n));
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "host") return host_checks();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  int const most = argc > 1 ? std::atoi(argv[1]) : 8192;
  std::printf(
      "%s, cublasLt %zu. Times: slicing + int8 products + reconstruction.\n"
      "Errors of 576 samples: largest |c - exact| / (|a| |b|); in ulps; samples unlike the rounded exact product; samples "
      "off\n"
      "the promise (must be 0); # digest of all of c (grid: must agree where the bits suffice)\n",
      properties.name, cublasLtGetVersion());
  bench g(most, most_moduli);
  for (int const n : {1024, 2048, 4096, 8192})
    if (n <= most) times(g, n, n < 4096 ? std::vector{8, 10, 12} : std::vector{8, 9, 10, 11, 12, 16}), std::fflush(stdout);
  for (int const n : {4096, 8192})
    if (n <= most)
      errors(g, n, n == 4096 ? std::vector{0, 8, 9, 10, 12, 16} : std::vector{0, 8, 10, 12}), std::fflush(stdout);
}
