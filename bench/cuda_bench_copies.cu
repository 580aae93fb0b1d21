// cuda_bench: copies between host and device, products there and back, and what copies, converts and fills on the device.
#include <thrust/execution_policy.h>
#include <thrust/fill.h>
#include <thrust/transform.h>

#include "cuda_bench.hpp"

namespace bench {

namespace {

void wait(const tensor& t) { static_cast<void>(t.data()); }

}  // namespace

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
      blas.multiply(products[0], da, db, dc, {n, n, n});
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

namespace {

struct to_bf16 {
  __device__ std::uint16_t operator()(float x) const {
    const auto bits = __float_as_uint(x);
    return static_cast<std::uint16_t>(x == x ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16 : bits >> 16 | 0x40u);
  }
};
struct from_bf16 {
  __device__ float operator()(std::uint16_t x) const { return __uint_as_float(static_cast<unsigned>(x) << 16); }
};

}  // namespace

// Copies, conversions, fills and gathers on the device, beside the driver's own copy and Thrust. Bytes are those that memory
// must move, read and written: of every second column, whole lines.
void element_wise() {
  const long long n = quick ? 1ll << 12 : 1ll << 14;
  const tensor a = random_on_device({n, n});
  const tensor b = random_on_device({n, n});
  tensor half({n, n}, dtype::bf16, "cuda");
  tensor out({n, n}, dtype::f32, "cuda");
  const double count = static_cast<double>(n) * static_cast<double>(n);
  void* to = raw<void>(out);
  const void* from = raw<void>(a);
  float* floats = raw<float>(out);
  auto* halves = raw<std::uint16_t>(half);
  const auto policy = thrust::cuda::par_nosync.on(cudaStreamPerThread);
  const auto line = [&](const std::string& name, double bytes, const action& ours, const action& by_thrust) {
    std::vector<action> sides{ours, [&] { must(cudaMemcpyAsync(to, from, a.bytes(), cudaMemcpyDeviceToDevice)); }};
    if (by_thrust) sides.push_back(by_thrust);
    const auto t = time_turns(sides, 10, device_done, 5);
    report({name, "GB/s", bytes / t[0] * 1e-9, 8 * count / t[1] * 1e-9, "cudaMemcpy", ">= 0.9 of it",
            by_thrust ? bytes / t[2] * 1e-9 : 0, by_thrust ? "Thrust" : ""});
  };
  line(
      "f32 to bf16", 6 * count, [&] { half.assign(a); },
      [&] { thrust::transform(policy, raw<float>(a), raw<float>(a) + n * n, halves, to_bf16{}); });
  line(
      "bf16 to f32", 6 * count, [&] { out.assign(half); },
      [&] { thrust::transform(policy, halves, halves + n * n, floats, from_bf16{}); });
  line(
      "fill f32", 4 * count,
      [&] {
        static_cast<void>(tensor::full({n, n}, 1.5, dtype::f32, "cuda"));
      },
      [&] { thrust::fill(policy, floats, floats + n * n, 1.5f); });
  line(
      "fill bf16", 2 * count,
      [&] {
        static_cast<void>(tensor::full({n, n}, 1.5, dtype::bf16, "cuda"));
      },
      [&] { thrust::fill(policy, halves, halves + n * n, std::uint16_t{0x3fc0}); });
  line("transposed copy f32", 8 * count, [&] { out.assign(a.transpose()); }, {});
  line("every second column, f32", 6 * count, [&] { static_cast<void>(a.slice(1, 0, n, 2).clone()); }, {});
  line("the rows' first half, f32", 4 * count, [&] { static_cast<void>(a.slice(1, 0, n / 2).clone()); }, {});
  line("the rows' first half, bf16", 2 * count, [&] { static_cast<void>(half.slice(1, 0, n / 2).clone()); }, {});
}

}  // namespace bench
