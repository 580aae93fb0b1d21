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
