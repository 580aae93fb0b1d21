// The CUDA backend beside its ceilings and peers, in one run: cuBLAS and CUB called directly, copies by hand. Answers are
// compared before anything is timed; the figure is the median of rounds in which the sides take turns. Times are wall times
// over many calls that end with a wait.
//
//     cuda_bench [--json FILE] [--quick]
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
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <cub/cub.cuh>

#include "sluice/sluice.hpp"

namespace {

using sluice::dtype;
using sluice::tensor;
using steady = std::chrono::steady_clock;

void must(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "cuda_bench: %s\n", what.c_str());
  std::exit(1);
}
void must(cudaError_t e) { must(e == cudaSuccess, cudaGetErrorString(e)); }
void must(cublasStatus_t s) { must(s == CUBLAS_STATUS_SUCCESS, cublasGetStatusString(s)); }

struct figure {
  std::string name, unit;
  double ours, peer;
  std::string peer_name, target;
};
std::vector<figure> figures;
bool quick = false;

void report(figure f) {
  std::printf("%-50s %10.4g %-8s %10.4g %-22s %s\n", f.name.c_str(), f.ours, f.unit.c_str(), f.peer, f.peer_name.c_str(),
              f.target.c_str());
  std::fflush(stdout);
  figures.push_back(std::move(f));
}

using action = std::function<void()>;

double median(std::vector<double> t) {
  std::nth_element(t.begin(), t.begin() + t.size() / 2, t.end());
  return t[t.size() / 2];
}

// Median of the times of side 1 over those of side 0 next to them, so that the clocks' drift cancels out.
double last_ratio = 0;

// Median seconds a call of each, over rounds in which they take turns, each at the start as often. `done` waits for all
// work.
std::vector<double> time_turns(const std::vector<action>& sides, int calls, const action& done, int rounds = 7) {
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

void device_done() { must(cudaDeviceSynchronize()); }

// Device memory of a tensor, ready to be used by hand.
template <class T>
T* raw(const tensor& t) {
  return static_cast<T*>(const_cast<void*>(static_cast<const tensor&>(t).data()));
}

__global__ void randomize(float* p, long long n) {
  for (long long i = blockIdx.x * 256ll + threadIdx.x; i < n; i += gridDim.x * 256ll) {
    unsigned long long z = (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    p[i] = static_cast<float>(static_cast<int>((z ^ (z >> 31)) >> 32)) * 0x1p-31f;
  }
}

tensor random_on_device(const sluice::shape& extents) {
  tensor t(extents, dtype::f32, "cuda");
  randomize<<<4096, 256>>>(raw<float>(t), t.count());
  must(cudaGetLastError());
  device_done();
  return t;
}

bool same_bits(const tensor& a, const tensor& b) {
  const tensor x = a.to("cpu");
  const tensor y = b.to("cpu");
  return x.bytes() == y.bytes() &&
         std::memcmp(static_cast<const tensor&>(x).data(), static_cast<const tensor&>(y).data(), x.bytes()) == 0;
}

struct times_width {
  long long width;
  __host__ __device__ long long operator()(long long i) const { return i * width; }
};

void rowsums() {
  const long long all = quick ? 1ll << 27 : 1ll << 30;  // floats
  const tensor flat = random_on_device({all});
  float* sums = nullptr;
  must(cudaMalloc(&sums, static_cast<std::size_t>(all) * sizeof(float)));
  void* temporary = nullptr;
  std::size_t temporary_bytes = 0;
  must(cub::DeviceReduce::Sum(nullptr, temporary_bytes, raw<float>(flat), sums, all));
  must(cudaMalloc(&temporary, temporary_bytes + (64 << 20)));
  temporary_bytes += 64 << 20;
  const double ceiling = time_turns(
      {[&] { must(cub::DeviceReduce::Sum(temporary, temporary_bytes, raw<float>(flat), sums, all)); }}, 10, device_done)[0];
  report({"device read, sum of 4 GiB", "GB/s", 4e-9 * all / ceiling, 0, "(CUB, the ceiling)", ""});
  for (const long long width : {1ll, 3ll, 16ll, 17ll, 64ll, 100ll, 256ll, 1000ll, 1023ll, 1024ll, 4096ll, 65536ll, all}) {
    const long long rows = all / width;
    const tensor a = flat.slice(0, 0, rows * width).reshape({rows, width});
    const long long some = std::min<long long>(rows, 200);
    const tensor got = sluice::rowsum(a, "cuda");
    if (width < all || quick) {
      must(same_bits(got.slice(0, 0, some), sluice::rowsum(a.slice(0, 0, some).to("cpu"), "cpu")),
           "rowsum differs from the CPU's");
      must(same_bits(got.slice(0, rows - some, rows), sluice::rowsum(a.slice(0, rows - some, rows).to("cpu"), "cpu")),
           "rowsum differs from the CPU's");
    }
    const auto offsets = thrust::make_transform_iterator(thrust::make_counting_iterator(0ll), times_width{width});
    const auto cub_sums = [&] {
      must(cub::DeviceSegmentedReduce::Sum(temporary, temporary_bytes, raw<float>(flat), sums, rows, offsets, offsets + 1));
    };
    const auto t = time_turns({[&] { static_cast<void>(sluice::rowsum(a, "cuda")); }, cub_sums}, 5, device_done, 5);
    const double bytes = 4.0 * static_cast<double>(rows) * static_cast<double>(width) + 4.0 * static_cast<double>(rows);
    const bool wide = width == 16 || width == 64 || width == 256 || width == 1024 || width == 4096 || width == 65536;
    const bool odd = width == 17 || width == 100 || width == 1000 || width == 1023 || width == all;
    report({"rowsum f32, " + std::to_string(width) + " columns", "GB/s", bytes / t[0] * 1e-9, bytes / t[1] * 1e-9,
            "CUB segmented",
            wide  ? ">= 4200"
            : odd ? ">= 3800"
                  : ""});
  }
  must(cudaFree(sums));
  must(cudaFree(temporary));
}

// Layouts and dtypes beside the plain f32 rows: read at the speed of memory all the same.
void other_rowsums() {
  const long long all = quick ? 1ll << 25 : 1ll << 28;  // elements
  const auto line = [](const std::string& name, const tensor& a) {
    const tensor sums = sluice::rowsum(a, "cuda");
    must(same_bits(sums.slice(0, 0, std::min<std::int64_t>(a.extent(0), 64)),
                   sluice::rowsum(a.slice(0, 0, std::min<std::int64_t>(a.extent(0), 64)).contiguous().to("cpu"), "cpu")),
         "rowsum differs from the CPU's: " + name);
    const double t = time_turns({[&] { static_cast<void>(sluice::rowsum(a, "cuda")); }}, 10, device_done, 5)[0];
    const double bytes = static_cast<double>(a.bytes()) + static_cast<double>(sums.bytes());
    report({"rowsum " + name, "GB/s", bytes / t * 1e-9, 0, "", ""});
  };
  const tensor flat = random_on_device({all});
  for (const long long rows : {3ll, 8ll, 100ll, 1024ll, 65536ll, all / 16, all / 100})
    line("column totals, f32, " + std::to_string(rows) + " columns of " + std::to_string(all / rows),
         flat.slice(0, 0, all / rows * rows).reshape({all / rows, rows}).transpose());
  line("f32, 1000 columns of rows of 1024", flat.reshape({all / 1024, 1024}).slice(1, 0, 1000));
  line("f32, 1000 columns of rows of 1024, unaligned", flat.reshape({all / 1024, 1024}).slice(1, 7, 1007));
  line("f32, 20 columns of rows of 24", flat.slice(0, 0, all / 24 * 24).reshape({all / 24, 24}).slice(1, 1, 21));
  for (const long long width : {36ll, 68ll, 96ll, 128ll, 132ll, 160ll, 200ll, 300ll})
    line("f32, " + std::to_string(width) + " columns", flat.slice(0, 0, all / width * width).reshape({all / width, width}));
  for (const auto& [name, type] : {std::pair{"f16", dtype::f16},
                                   {"bf16", dtype::bf16},
                                   {"f64", dtype::f64},
                                   {"i64", dtype::i64},
                                   {"i32", dtype::i32},
                                   {"u8", dtype::u8}}) {
    tensor a({all}, type, "cuda");
    tensor scaled({all}, dtype::f32, "cuda");
    scaled.assign(flat);
    a.assign(scaled);
    for (const long long width : {3ll, 17ll, 100ll, 1024ll, 65536ll})
      line(std::string(name) + ", " + std::to_string(width) + " columns",
           a.slice(0, 0, all / width * width).reshape({all / width, width}));
    line(std::string(name) + ", column totals of 1024", a.reshape({all / 1024, 1024}).transpose());
  }
}

// Copies, conversions, fills and gathers on the device, bytes read and written, beside the driver's own copy.
void element_wise() {
  const long long n = quick ? 1ll << 12 : 1ll << 14;
  const tensor a = random_on_device({n, n});
  const tensor b = random_on_device({n, n});
  tensor half({n, n}, dtype::bf16, "cuda");
  tensor out({n, n}, dtype::f32, "cuda");
  const double count = static_cast<double>(n) * static_cast<double>(n);
  void* to = raw<void>(out);
  const void* from = raw<void>(a);
  const auto line = [&](const std::string& name, double bytes, const action& ours) {
    const auto t = time_turns({ours, [&] { must(cudaMemcpyAsync(to, from, a.bytes(), cudaMemcpyDeviceToDevice)); }}, 10,
                              device_done, 5);
    report({name, "GB/s", bytes / t[0] * 1e-9, 8 * count / t[1] * 1e-9, "cudaMemcpy", ""});
  };
  line("f32 to bf16", 6 * count, [&] { half.assign(a); });
  line("bf16 to f32", 6 * count, [&] { out.assign(half); });
  line("fill f32", 4 * count, [&] { static_cast<void>(tensor::full({n, n}, 1.5, dtype::f32, "cuda")); });
  line("transposed copy f32", 8 * count, [&] { out.assign(a.transpose()); });
  line("every second column, f32", 4 * count, [&] { static_cast<void>(a.slice(1, 0, n, 2).clone()); });
  line("the rows' first half, f32", 4 * count, [&] { static_cast<void>(a.slice(1, 0, n / 2).clone()); });
}

struct product {
  const char* name;
  dtype type;
  sluice::precision precision;
  cudaDataType cuda_type;
  cublasComputeType_t compute;
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
  void multiply(const product& p, const void* a, const void* b, void* c, int n) {
    const float one = 1, zero = 0;
    const double one64 = 1, zero64 = 0;
    const bool wide = p.type == dtype::f64;
    must(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, wide ? (const void*)&one64 : &one, b, p.cuda_type, n, a,
                      p.cuda_type, n, wide ? (const void*)&zero64 : &zero, c, p.cuda_type, n, p.compute,
                      CUBLAS_GEMM_DEFAULT));
  }
  cudaStream_t stream = nullptr;

 private:
  cublasHandle_t handle_ = nullptr;
};

const product products[] = {
    {"f32", dtype::f32, sluice::precision::strict, CUDA_R_32F, CUBLAS_COMPUTE_32F},
    {"TF32", dtype::f32, sluice::precision::tensor_core, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32},
    {"bf16", dtype::bf16, sluice::precision::strict, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
    {"bf16 tensor_core", dtype::bf16, sluice::precision::tensor_core, CUDA_R_16BF, CUBLAS_COMPUTE_32F},
    {"f16", dtype::f16, sluice::precision::strict, CUDA_R_16F, CUBLAS_COMPUTE_32F},
    {"f64", dtype::f64, sluice::precision::strict, CUDA_R_64F, CUBLAS_COMPUTE_64F},
};

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
                                 [&] { blas.multiply(p, raw<void>(a), raw<void>(b), to, n); }},
                                calls, device_done, n == 8192 ? 9 : 15);
      const double flops = 2.0 * n * n * n;
      report({"matmul " + std::string(p.name) + ", n = " + std::to_string(n), "TFLOP/s", flops / t[0] * 1e-12,
              flops / t[1] * 1e-12, "cuBLAS directly", ">= 0.98 of it: " + std::to_string(last_ratio).substr(0, 5)});
    }
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

void wait(const tensor& t) { static_cast<void>(t.data()); }

void copies(direct_blas& blas) {
  for (const long long bytes : {4ll << 10, 64ll << 10, 1ll << 20, 16ll << 20, 256ll << 20}) {
    const sluice::shape extents{bytes / 4};
    tensor pinned(extents, dtype::f32, "cuda", sluice::memory::pinned);
    tensor ordinary(extents, dtype::f32);
    auto* p = static_cast<float*>(pinned.data());
    for (long long i = 0; i < bytes / 4; ++i) p[i] = static_cast<float>(i);
    ordinary.assign(pinned);
    tensor there(extents, dtype::f32, "cuda");
    void* device = raw<void>(there);
    must(same_bits(pinned.to("cuda"), pinned) && same_bits(ordinary.to("cuda"), pinned), "a copy differs");
    const int calls = bytes > (16 << 20) ? 5 : 20;
    const auto up = time_turns({[&] { wait(pinned.to("cuda")); },
                                [&] {
                                  must(cudaMemcpyAsync(device, p, bytes, cudaMemcpyHostToDevice, blas.stream));
                                  must(cudaStreamSynchronize(blas.stream));
                                },
                                [&] { wait(ordinary.to("cuda")); }},
                               calls, device_done);
    const auto down = time_turns({[&] {
                                    pinned.assign(there);
                                    static_cast<void>(pinned.data());
                                  },
                                  [&] {
                                    must(cudaMemcpyAsync(p, device, bytes, cudaMemcpyDeviceToHost, blas.stream));
                                    must(cudaStreamSynchronize(blas.stream));
                                  },
                                  [&] {
                                    ordinary.assign(there);
                                    static_cast<void>(ordinary.data());
                                  }},
                                 calls, device_done);
    const std::string size = std::to_string(bytes >> 10) + " KiB";
    const double giga = static_cast<double>(bytes) * 1e-9;
    if (bytes < (1 << 20)) {
      report({"host to device, pinned, " + size, "us", up[0] * 1e6, up[1] * 1e6, "by hand", ""});
      report({"device to host, pinned, " + size, "us", down[0] * 1e6, down[1] * 1e6, "by hand", ""});
      continue;
    }
    report({"host to device, pinned, " + size, "GB/s", giga / up[0], giga / up[1], "by hand",
            bytes >= (16 << 20) ? ">= 0.95 of it" : ""});
    report({"host to device, ordinary, " + size, "GB/s", giga / up[2], giga / up[1], "by hand, pinned", ""});
    report({"device to host, pinned, " + size, "GB/s", giga / down[0], giga / down[1], "by hand",
            bytes >= (16 << 20) ? ">= 0.95 of it" : ""});
    report({"device to host, ordinary, " + size, "GB/s", giga / down[2], giga / down[1], "by hand, pinned", ""});
  }
}

void round_trips(direct_blas& blas) {
  for (const int n : {8, 128, 256, 512, 1024, 2048}) {
    const sluice::shape extents{n, n};
    const std::size_t bytes = std::size_t(n) * n * 4;
    tensor a(extents, dtype::f32, "cuda", sluice::memory::pinned);
    tensor b(extents, dtype::f32, "cuda", sluice::memory::pinned);
    tensor c(extents, dtype::f32, "cuda", sluice::memory::pinned);
    auto* pa = static_cast<float*>(a.data());
    auto* pb = static_cast<float*>(b.data());
    auto* pc = static_cast<float*>(c.data());
    for (int i = 0; i < n * n; ++i) pa[i] = static_cast<float>(i % 7 - 3), pb[i] = static_cast<float>(i % 5 - 2);
    const tensor oa = a.clone();
    const tensor ob = b.clone();
    float *da, *db, *dc;
    must(cudaMalloc(&da, bytes));
    must(cudaMalloc(&db, bytes));
    must(cudaMalloc(&dc, bytes));
    const auto ours = [&] {
      c.assign(sluice::matmul(a.to("cuda"), b.to("cuda")));
      static_cast<void>(c.data());
    };
    const auto by_hand = [&] {
      must(cudaMemcpyAsync(da, pa, bytes, cudaMemcpyHostToDevice, blas.stream));
      must(cudaMemcpyAsync(db, pb, bytes, cudaMemcpyHostToDevice, blas.stream));
      blas.multiply(products[0], da, db, dc, n);
      must(cudaMemcpyAsync(pc, dc, bytes, cudaMemcpyDeviceToHost, blas.stream));
      must(cudaStreamSynchronize(blas.stream));
    };
    const auto ordinary = [&] { wait(sluice::matmul(oa.to("cuda"), ob.to("cuda")).to("cpu")); };
    by_hand();
    const tensor wanted = c.clone();
    std::memset(pc, 0xff, bytes);
    ours();
    must(same_bits(c, wanted), "a product from pinned memory differs");  // small integers: exact in any order
    must(same_bits(sluice::matmul(oa.to("cuda"), ob.to("cuda")), wanted), "a product from ordinary memory differs");
    const auto t = time_turns({ours, by_hand, ordinary}, n <= 512 ? 100 : 20, device_done);
    const std::string size = std::to_string(n) + "x" + std::to_string(n);
    report({"there and back, pinned, " + size, "us", t[0] * 1e6, t[1] * 1e6, "by hand",
            n == 8      ? "<= 25"
            : n == 1024 ? "<= 330"
                        : ""});
    report(
        {"there and back, ordinary, " + size, "us", t[2] * 1e6, t[1] * 1e6, "by hand, pinned", n == 1024 ? "<= 600" : ""});
    must(cudaFree(da));
    must(cudaFree(db));
    must(cudaFree(dc));
  }
}

void write_json(const char* path) {
  std::FILE* f = std::fopen(path, "w");
  must(f != nullptr, std::string("cannot write ") + path);
  cudaDeviceProp properties{};
  must(cudaGetDeviceProperties(&properties, 0));
  std::fprintf(f, "{\"device\": \"%s\", \"cuda\": %d, \"figures\": [\n", properties.name, CUDART_VERSION);
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const auto& x = figures[i];
    std::fprintf(f,
                 "  {\"name\": \"%s\", \"unit\": \"%s\", \"ours\": %.6g, \"peer\": %.6g, \"peer_name\": \"%s\", \"reach\": "
                 "\"%s\"}%s\n",
                 x.name.c_str(), x.unit.c_str(), x.ours, x.peer, x.peer_name.c_str(), x.target.c_str(),
                 i + 1 < figures.size() ? "," : "");
  }
  std::fprintf(f, "]}\n");
  std::fclose(f);
}

}  // namespace

int main(int argc, char** argv) {
  const char* json = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0)
      quick = true;
    else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc)
      json = argv[++i];
    else
      must(false, std::string("unknown option ") + argv[i] + "; cuda_bench [--json FILE] [--quick]");
  }
  for (const auto& d : sluice::devices())
    if (d.where.backend() == "cuda") std::printf("%s: %s\n", d.where.str().c_str(), d.description.c_str());
  std::printf("%-50s %10s %-8s %10s %-22s %s\n", "", "sluice", "", "peer", "", "reach");
  try {
    direct_blas blas;
    wrapper_cost(blas);
    round_trips(blas);
    copies(blas);
    rowsums();
    other_rowsums();
    element_wise();
    matmuls(blas);
  } catch (const sluice::error& e) {
    must(false, e.what());
  }
  if (json != nullptr) write_json(json);
  return 0;
}
