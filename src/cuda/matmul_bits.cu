// Kernels on the bits of results: the one NaN and the one zero, operands for a check, and the check.
#include <algorithm>

#include "matmul_chain.cuh"
#include "matmul_strict.hpp"

namespace sluice::cuda {
namespace {

constexpr int threads = 256;
constexpr int vectors_each = 4;

template <class T>
__device__ bool is_canonical(T x) {
  using bits = typename base::patterns<T>::bits;
  constexpr bits negative_zero = bits{1} << (8 * sizeof(bits) - 1);
  return x == x && bits_as<bits>(x) != negative_zero;
}

// Reads everything, and writes where there is a NaN or a -0.
template <class T>
__global__ void __launch_bounds__(threads) canonical_results(T* data, std::int64_t count) {
  constexpr int lanes = lanes_of<T>;
  using vector = pack<T, lanes>;
  auto* const all = reinterpret_cast<vector*>(data);
  const std::int64_t whole = count / lanes;
  const std::int64_t first = blockIdx.x * std::int64_t{threads * vectors_each} + threadIdx.x;
  vector v[vectors_each];
#pragma unroll
  for (int i = 0; i < vectors_each; ++i)
    if (first + i * threads < whole) v[i] = all[first + i * threads];
#pragma unroll
  for (int i = 0; i < vectors_each; ++i) {
    if (first + i * threads >= whole) break;
    bool all_are = true;
#pragma unroll
    for (int l = 0; l < lanes; ++l) all_are = all_are && is_canonical(v[i].at[l]);
    if (all_are) continue;
#pragma unroll
    for (int l = 0; l < lanes; ++l) v[i].at[l] = finished<T>(v[i].at[l]);
    all[first + i * threads] = v[i];
  }
  const std::int64_t rest = whole * lanes + threadIdx.x;
  if (blockIdx.x == 0 && rest < count) data[rest] = finished<T>(data[rest]);
}

// Element p of a row of a or a column of b. A few in 64 show what random numbers do not.
template <class T>
__device__ double marked(double x, std::int64_t line, std::int64_t p) {
  constexpr bool wide = std::is_same_v<T, double>;
  switch (line % 64) {
    // Both: denormal sums.
    case 3: return ldexp(x, wide ? -528 : -72);
    // Denormal operands.
    case 5: return ldexp(x, wide ? -1064 : -140);
    // A kernel that pads k of one operand alone may multiply zero by what lies behind the run before.
    case 7: return p == 0 ? bits_as<double>(base::patterns<double>::infinity) : x;
    // Sums that are zero, and -0 before +0 is added: in each block the first product is negative and rounds to -0, and the
    // others are -0.
    case 9: return p % chain_block == 0 ? ldexp(fabs(x), wide ? -560 : -90) : 0.0;
    case 11: return -ldexp(fabs(x), wide ? -560 : -90);
    default: return x;
  }
}

template <class T>
__global__ void __launch_bounds__(threads) random_elements(const stored_operand to, unsigned seed) {
  const std::int64_t step = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = blockIdx.x * std::int64_t{threads} + threadIdx.x; i < to.count; i += step) {
    std::uint64_t z = (static_cast<std::uint64_t>(i) + (std::uint64_t{seed} << 40)) * 0x9e3779b97f4a7c15u;  // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    const double unit = static_cast<double>(static_cast<std::int64_t>(z)) * 0x1p-63;
    const double x = ldexp(unit, static_cast<int>(z % 17) - 8);
    const std::int64_t run = i / to.leading;
    const std::int64_t in_run = i % to.leading;
    static_cast<T*>(to.data)[i] = convert<T>(in_run >= to.inner ? bits_as<double>(base::patterns<double>::infinity)
                                             : to.along_k       ? marked<T>(x, run, in_run)
                                                                : marked<T>(x, in_run, run));
  }
}

__global__ void __launch_bounds__(threads)
    compare_words(const unsigned* x, const unsigned* y, std::int64_t count, unsigned* work, unsigned* verdict) {
  const std::int64_t step = std::int64_t{gridDim.x} * threads;
  bool same = true;
  for (std::int64_t i = blockIdx.x * std::int64_t{threads} + threadIdx.x; i < count; i += step) same = same && x[i] == y[i];
  if (__syncthreads_and(same) == 0 && threadIdx.x == 0) atomicExch(work, 1u);
  if (!last_of(work + 1, static_cast<int>(gridDim.x)) || threadIdx.x != 0) return;
  *static_cast<volatile unsigned*>(verdict) = static_cast<unsigned>(atomicOr(work, 0u) == 0 ? bits::same : bits::different);
  __threadfence_system();
}

unsigned blocks(std::int64_t count, std::int64_t each) {
  return static_cast<unsigned>(std::max<std::int64_t>(1, (count + each - 1) / each));
}

}  // namespace

cudaError_t make_canonical(std::int32_t dtype, void* data, std::int64_t count, cudaStream_t stream) {
  constexpr std::int64_t each = threads * vectors_each;
  if (dtype == SLUICE_F64)
    canonical_results<<<blocks(count, each * 2), threads, 0, stream>>>(static_cast<double*>(data), count);
  else
    canonical_results<<<blocks(count, each * 4), threads, 0, stream>>>(static_cast<float*>(data), count);
  return cudaGetLastError();
}

cudaError_t write_random(std::int32_t dtype, const stored_operand& to, unsigned seed, cudaStream_t stream) {
  const unsigned grid = std::min(blocks(to.count, threads), 1024u);
  switch (dtype) {
    case SLUICE_F64: random_elements<double><<<grid, threads, 0, stream>>>(to, seed); break;
    case SLUICE_F32: random_elements<float><<<grid, threads, 0, stream>>>(to, seed); break;
    case SLUICE_F16: random_elements<f16><<<grid, threads, 0, stream>>>(to, seed); break;
    default: random_elements<bf16><<<grid, threads, 0, stream>>>(to, seed); break;
  }
  return cudaGetLastError();
}

cudaError_t compare_bits(const void* x, const void* y, std::size_t bytes, unsigned* work, unsigned* verdict,
                         cudaStream_t stream) {
  const auto count = static_cast<std::int64_t>(bytes / sizeof(unsigned));
  compare_words<<<std::min(blocks(count, threads), 1024u), threads, 0, stream>>>(
      static_cast<const unsigned*>(x), static_cast<const unsigned*>(y), count, work, verdict);
  return cudaGetLastError();
}

}  // namespace sluice::cuda
