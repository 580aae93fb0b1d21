// The kernels of cuda_products.
#include "cuda_products.hpp"

#include "../src/cuda/matmul_chain.cuh"

using namespace sluice::cuda;

namespace {

// Mantissas at random, magnitudes over 2^-6 to 2^6.
template <class T>
__global__ void randomize(T* data, std::int64_t count, std::uint64_t seed) {
  for (std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    std::uint64_t z = (static_cast<std::uint64_t>(i) + seed * 0x51ed270b1ull) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    const double unit = static_cast<double>(z >> 11) * 0x1p-52 - 1;
    data[i] = convert<T>(ldexp(unit, static_cast<int>(z % 13) - 6));
  }
}

// The chain, one thread an element.
template <class T>
__global__ void slow_chain(chain_product p) {
  using S = chain_of<T>;
  const std::int64_t id = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x;
  if (id >= p.batch * p.m * p.n) return;
  const std::int64_t j = id % p.n, i = id / p.n % p.m, batch = id / p.n / p.m;
  const T* a = static_cast<const T*>(p.a.data) + batch * p.a.batch + i * p.a.row;
  const T* b = static_cast<const T*>(p.b.data) + batch * p.b.batch + j * p.b.column;
  S total = 0;
  for (std::int64_t begin = 0; begin < p.k; begin += 1024) {
    S block = 0;
    for (std::int64_t q = begin; q < p.k && q < begin + 1024; ++q)
      block = fused<S>(widened(a[q * p.a.column]), widened(b[q * p.b.row]), block);
    total = begin == 0 ? block : added(total, block);
  }
  T* out = static_cast<T*>(const_cast<void*>(p.out.data)) + batch * p.out.batch;
  out[i * p.out.row + j * p.out.column] = finished<T>(total);
}

template <class T>
__global__ void compare_all(const T* x, const T* y, std::int64_t count, unsigned* different) {
  for (std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x)
    if (x[i] != y[i]) atomicAdd(different, 1u);
}

// The order of one f64 tensor-core instruction: the sum of 4 (8, 16) products and c, beside chains in both directions.
template <int K>
__global__ void tensor_order(const double* a, const double* b, const double* c, double* out) {
  const int lane = threadIdx.x, group = lane / 4, in = lane % 4;
  if constexpr (K == 4) {
    double d0 = c[group * 8 + in * 2], d1 = c[group * 8 + in * 2 + 1];
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
                 : "+d"(d0), "+d"(d1)
                 : "d"(a[group * 4 + in]), "d"(b[in * 8 + group]));
    out[group * 8 + in * 2] = d0;
    out[group * 8 + in * 2 + 1] = d1;
  }
#if __CUDA_ARCH__ >= 900
  if constexpr (K == 16) {  // m16n8k16
    double d[4], x[8], y[4];
    for (int i = 0; i < 4; ++i) d[i] = c[(group + i / 2 * 8) * 8 + in * 2 + i % 2];
    for (int i = 0; i < 8; ++i) x[i] = a[(group + i % 2 * 8) * 16 + in + i / 2 * 4];
    for (int i = 0; i < 4; ++i) y[i] = b[(in + i * 4) * 8 + group];
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7,%8,%9,%10,%11}, {%12,%13,%14,%15}, "
        "{%0,%1,%2,%3};"
        : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
        : "d"(x[0]), "d"(x[1]), "d"(x[2]), "d"(x[3]), "d"(x[4]), "d"(x[5]), "d"(x[6]), "d"(x[7]), "d"(y[0]), "d"(y[1]),
          "d"(y[2]), "d"(y[3]));
    for (int i = 0; i < 4; ++i) out[(group + i / 2 * 8) * 8 + in * 2 + i % 2] = d[i];
  }
#endif
}

template <class T>
__global__ void canonical_nans(T* data, std::int64_t count) {
  constexpr int lanes = static_cast<int>(16 / sizeof(T));
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  auto* vectors = reinterpret_cast<pack<T, lanes>*>(data);
  const std::int64_t all = count / lanes;
  const std::int64_t base = blockIdx.x * std::int64_t{1024} + threadIdx.x;
  pack<T, lanes> v[4];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (base + i * 256 < all) v[i] = vectors[base + i * 256];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (base + i * 256 >= all) break;
    bool any = false;
#pragma unroll
    for (int l = 0; l < lanes; ++l) any = any || v[i].at[l] != v[i].at[l];
    if (!any) continue;
#pragma unroll
    for (int l = 0; l < lanes; ++l) v[i].at[l] = finished<T>(v[i].at[l]);
    vectors[base + i * 256] = v[i];
  }
}

}  // namespace

void fill_random(int dtype, void* data, std::int64_t count, int seed, cudaStream_t stream) {
  if (dtype == 0) randomize<<<512, 256, 0, stream>>>(static_cast<double*>(data), count, seed);
  if (dtype == 1) randomize<<<512, 256, 0, stream>>>(static_cast<float*>(data), count, seed);
  if (dtype == 2) randomize<<<512, 256, 0, stream>>>(static_cast<f16*>(data), count, seed);
  if (dtype == 3) randomize<<<512, 256, 0, stream>>>(static_cast<bf16*>(data), count, seed);
}
void run_slow(const chain_product& p, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>((p.batch * p.m * p.n + 127) / 128);
  if (p.dtype == 0) slow_chain<double><<<blocks, 128, 0, stream>>>(p);
  if (p.dtype == 1) slow_chain<float><<<blocks, 128, 0, stream>>>(p);
  if (p.dtype == 2) slow_chain<f16><<<blocks, 128, 0, stream>>>(p);
  if (p.dtype == 3) slow_chain<bf16><<<blocks, 128, 0, stream>>>(p);
}

void compare(const void* x, const void* y, std::int64_t bytes, unsigned* different, cudaStream_t stream) {
  compare_all<<<256, 256, 0, stream>>>(static_cast<const std::uint16_t*>(x), static_cast<const std::uint16_t*>(y), bytes / 2,
                                       different);
}
void tensor_order(int k, const double* a, const double* b, const double* c, double* out, cudaStream_t stream) {
  if (k == 4)
    tensor_order<4><<<1, 32, 0, stream>>>(a, b, c, out);
  else
    tensor_order<16><<<1, 32, 0, stream>>>(a, b, c, out);
}
cudaError_t canonical(float* data, std::int64_t count, bool overlapped, cudaStream_t stream) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>((count / 4 + 1023) / 1024));
  config.blockDim = dim3(256);
  config.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = overlapped ? 1 : 0;
  return cudaLaunchKernelEx(&config, canonical_nans<float>, data, count);
}
