// What the parts of cuda_bench share: figures, timing by turns, cuBLAS called directly.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "sluice/sluice.hpp"

namespace bench {

using sluice::dtype;
using sluice::tensor;
using steady = std::chrono::steady_clock;

inline void must(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "cuda_bench: %s\n", what.c_str());
  std::exit(1);
}
inline void must(cudaError_t e) { must(e == cudaSuccess, cudaGetErrorString(e)); }
inline void must(cublasStatus_t s) { must(s == CUBLAS_STATUS_SUCCESS, cublasGetStatusString(s)); }

struct figure {
  std::string name, unit;
  double ours, peer;
  std::string peer_name, target;
  double other = 0;  // a second peer
  std::string other_name = {};
};
inline std::vector<figure> figures;
inline bool quick = false;

inline std::string side(double figure, const std::string& name) {
  char text[64] = "";
  if (!name.empty()) std::snprintf(text, sizeof text, "%10.4g %s", figure, name.c_str());
  return text;
}

inline void report(figure f) {
  std::printf("%-50s %10.4g %-8s %-33s %-31s %s\n", f.name.c_str(), f.ours, f.unit.c_str(),
              side(f.peer, f.peer_name).c_str(), side(f.other, f.other_name).c_str(), f.target.c_str());
  std::fflush(stdout);
  figures.push_back(std::move(f));
}

using action = std::function<void()>;

inline double median(std::vector<double> t) {
  std::nth_element(t.begin(), t.begin() + t.size() / 2, t.end());
  return t[t.size() / 2];
}

// Median of the times of side 1 over those of side 0 next to them, so that the clocks' drift cancels out.
inline double last_ratio = 0;

// Median seconds a call of each, over rounds in which they take turns, each at the start as often. `done` waits for all
// work.
inline std::vector<double> time_turns(const std::vector<action>& sides, int calls, const action& done, int rounds = 7) {
  if (quick) rounds = 3;
  std::vector<std::vector<double>> times(sides.size());
  for (int round = -1; round < rounds; ++round)  // the first warms up
    for (std::size_t turn = 0; turn < sides.size(); ++turn) {
      const std::size_t i = round % 2 == 0 ? turn : sides.size() - 1 - turn;
      done();
      const auto begin = steady::now();
      for (int c = 0; c < calls; ++c) sides[i]();
      done();
      if (round >= 0) times[i].push_back(std::chrono::duration<double>(steady::now() - begin).count() / calls);
    }
  if (sides.size() > 1) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < times[0].size(); ++i) ratios.push_back(times[1][i] / times[0][i]);
    last_ratio = median(ratios);
  }
  std::vector<double> medians;
  for (const auto& t : times) medians.push_back(median(t));
  return medians;
}

inline void device_done() { must(cudaDeviceSynchronize()); }

// Device memory of a tensor, ready to be used by hand.
template <class T>
T* raw(const tensor& t) {
  return static_cast<T*>(const_cast<void*>(static_cast<const tensor&>(t).data()));
}

// Floats in [-1, 1).
tensor random_on_device(const sluice::shape& extents);

inline bool same_bits(const tensor& a, const tensor& b) {
  const tensor x = a.to("cpu");
  const tensor y = b.to("cpu");
  return x.bytes() == y.bytes() &&
         std::memcmp(static_cast<const tensor&>(x).data(), static_cast<const tensor&>(y).data(), x.bytes()) == 0;
}

struct product {
  const char* name;
  dtype type;
  sluice::precision precision;
  cudaDataType cuda_type;
  cublasComputeType_t compute;
};

struct extents {
  std::int64_t m, k, n;
  [[nodiscard]] double flops() const { return 2.0 * static_cast<double>(m * n * k); }
};

class direct_blas {
 public:
  direct_blas() {
    must(cublasCreate(&handle_));
    must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    must(cublasSetStream(handle_, stream));
    void* workspace = nullptr;
    must(cudaMalloc(&workspace, 32 << 20));
    must(cublasSetWorkspace(handle_, workspace, 32 << 20));
  }
  // `full`: partial sums are never rounded to 16 bits, as precision::fast promises.
  void set_mode(bool full) {
    must(cublasSetMathMode(
        handle_, full ? static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)
                      : CUBLAS_DEFAULT_MATH));
  }
  void multiply(const product& p, const void* a, const void* b, void* c, const extents& e) {
    const float one = 1, zero = 0;
    const double one64 = 1, zero64 = 0;
    const bool wide = p.type == dtype::f64;
    const int m = static_cast<int>(e.m), k = static_cast<int>(e.k), n = static_cast<int>(e.n);
    must(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, n, m, k, wide ? (const void*)&one64 : &one, b, p.cuda_type, n, a,
                      p.cuda_type, k, wide ? (const void*)&zero64 : &zero, c, p.cuda_type, n, p.compute,
                      CUBLAS_GEMM_DEFAULT));
  }
  cudaStream_t stream = nullptr;

 private:
  cublasHandle_t handle_ = nullptr;
};

inline const product products[] = {
    {"f32", dtype::f32, sluice::precision::strict, CUDA_R_32F, CUBLAS_COMPUTE_32F},
    {"f32 fast", dtype::f32, sluice::precision::fast, CUDA_R_32F, CUBLAS_COMPUTE_32F},
    {"TF32", dtype::f32, sluice::precision::tensor_core, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32},
    {"bf16", dtype::bf16, sluice::precision::strict, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
    {"bf16 fast", dtype::bf16, sluice::precision::fast, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
    {"bf16 tensor_core", dtype::bf16, sluice::precision::tensor_core, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
    {"f16", dtype::f16, sluice::precision::strict, CUDA_R_16F, CUBLAS_COMPUTE_32F},
    {"f16 fast", dtype::f16, sluice::precision::fast, CUDA_R_16F, CUBLAS_COMPUTE_32F},
    {"f64", dtype::f64, sluice::precision::strict, CUDA_R_64F, CUBLAS_COMPUTE_64F},
    {"f64 fast", dtype::f64, sluice::precision::fast, CUDA_R_64F, CUBLAS_COMPUTE_64F},
};

// The parts.
void wrapper_cost(direct_blas& blas);
void clocks(direct_blas& blas);
void round_trips(direct_blas& blas);
void copies(direct_blas& blas);
void rowsums();
void other_rowsums();
void element_wise();
void matmuls(direct_blas& blas);
void strict_products(direct_blas& blas);

}  // namespace bench
