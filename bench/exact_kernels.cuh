// The kernels of exact_products.cu: integers and residues of the operands, the sums from their residues, operands to try.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "exact_reference.hpp"

namespace {

using namespace exact;

// Both operands are stored by k, and the four bytes of lane l of a chunk of 128 are k = l, l + 32, l + 64, l + 96: any order
// of k will do as long as both operands have it, and this one needs no exchange between lanes.

__device__ void store_residues(double const (&x)[4], moduli const& m, uint32_t* to, size_t plane) {
  bool const wide = m.count > 14;
#pragma unroll 2
  for (int t = 0; t < m.count; ++t) {
    double const p = m.value[t], inverse = m.inverse[t];
    int const r0 = residue(x[0], p, inverse, wide), r1 = residue(x[1], p, inverse, wide);
    int const r2 = residue(x[2], p, inverse, wide), r3 = residue(x[3], p, inverse, wide);
    to[t * plane] = __byte_perm(__byte_perm(r0, r1, 0x0040), __byte_perm(r2, r3, 0x0040), 0x5410);
  }
}

__global__ void __launch_bounds__(256)
    slice_rows(float const* a, int k, uint32_t* out, size_t plane, int* scales, int bits, const __grid_constant__ moduli m) {
  __shared__ float largest_of[8];
  float const* row = a + static_cast<size_t>(blockIdx.x) * k;
  int const lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float largest = 0;
  for (int i = threadIdx.x * 4; i < k; i += 1024) {
    float4 const v = *reinterpret_cast<float4 const*>(row + i);
    largest = fmaxf(fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fabsf(v.y), fabsf(v.z))), fabsf(v.w));
  }
  for (int d = 16; d > 0; d /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
  if (lane == 0) largest_of[warp] = largest;
  __syncthreads();
  for (int w = 0; w < 8; ++w) largest = fmaxf(largest, largest_of[w]);
  int const s = scale_of(largest, bits);
  if (threadIdx.x == 0) scales[blockIdx.x] = s;
  double const factor = power(s);
  for (int i = warp * 128; i < k; i += 1024) {
    double x[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] = rint(row[i + j * 32 + lane] * factor);
    store_residues(x, m, out + (static_cast<size_t>(blockIdx.x) * k + i) / 4 + lane, plane / 4);
  }
}

// 128 columns x 256 rows a block; bits of non-negative floats are ordered as the floats are.
__global__ void __launch_bounds__(256) column_maxima(float const* b, int k, int n, int* maxima) {
  alignas(16) __shared__ int partial[8][128];
  int const column = blockIdx.x * 128 + threadIdx.x % 32 * 4, first = blockIdx.y * 256 + threadIdx.x / 32;
  int4 largest{};
#pragma unroll 8
  for (int i = 0; i < 32; ++i) {
    int4 const v = *reinterpret_cast<int4 const*>(b + static_cast<size_t>(first + i * 8) * n + column);
    largest.x = max(largest.x, v.x & 0x7fffffff), largest.y = max(largest.y, v.y & 0x7fffffff);
    largest.z = max(largest.z, v.z & 0x7fffffff), largest.w = max(largest.w, v.w & 0x7fffffff);
  }
  *reinterpret_cast<int4*>(&partial[threadIdx.x / 32][threadIdx.x % 32 * 4]) = largest;
  __syncthreads();
  if (threadIdx.x < 128) {
    int all = 0;
    for (auto const& row : partial) all = max(all, row[threadIdx.x]);
    atomicMax(maxima + blockIdx.x * 128 + threadIdx.x, all);
  }
}

// A tile of 128 rows x 32 columns, transposed.
__global__ void __launch_bounds__(256)
    slice_columns(float const* b, int k, int n, uint32_t* out, size_t plane, int const* maxima, int* scales, int bits,
                  const __grid_constant__ moduli m) {
  __shared__ float tile[128][33];
  int const lane = threadIdx.x % 32, warp = threadIdx.x / 32, k0 = blockIdx.y * 128, column0 = blockIdx.x * 32;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    int const r = i * 32 + threadIdx.x / 8, c = threadIdx.x % 8 * 4;
    float4 const v = *reinterpret_cast<float4 const*>(b + static_cast<size_t>(k0 + r) * n + column0 + c);
    tile[r][c] = v.x, tile[r][c + 1] = v.y, tile[r][c + 2] = v.z, tile[r][c + 3] = v.w;
  }
  __syncthreads();
  for (int c = warp; c < 32; c += 8) {
    int const s = scale_of(__int_as_float(maxima[column0 + c]), bits);
    if (blockIdx.y == 0 && lane == 0) scales[column0 + c] = s;
    double const factor = power(s);
    double x[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] = rint(tile[j * 32 + lane][c] * factor);
    store_residues(x, m, out + (static_cast<size_t>(column0 + c) * k + k0) / 4 + lane, plane / 4);
  }
}

template <int N>
__global__ void __launch_bounds__(256) reconstruct(int32_t const* sums, size_t plane, int n, int const* scales_a,
                                                   int const* scales_b, float* c, const __grid_constant__ crt t) {
  int const row = blockIdx.y, column = (blockIdx.x * 256 + threadIdx.x) * 4;
  size_t const at = static_cast<size_t>(row) * n + column;
  accumulator<N> x[4];
#pragma unroll
  for (int i = 0; i < N; ++i) {
    int4 const v = __ldcs(reinterpret_cast<int4 const*>(sums + i * plane + at));
    x[0].add(t, i, v.x), x[1].add(t, i, v.y), x[2].add(t, i, v.z), x[3].add(t, i, v.w);
  }
  int const s = scales_a[row];
  int4 const sb = *reinterpret_cast<int4 const*>(scales_b + column);
  float4 const out{x[0].result(t, s + sb.x), x[1].result(t, s + sb.y), x[2].result(t, s + sb.z), x[3].result(t, s + sb.w)};
  __stcs(reinterpret_cast<float4*>(c + at), out);
}

// A sum over all elements that depends on every bit of each: results that are exact must agree in it, whatever the moduli.
__global__ void digest(float const* x, unsigned long long* sum) {
  size_t const i = static_cast<size_t>(blockIdx.x) * 256 + threadIdx.x;
  uint64_t part = mixed((i << 32) ^ __float_as_uint(x[i]));
  for (int d = 16; d > 0; d /= 2) part += __shfl_xor_sync(~0u, part, d);
  if (threadIdx.x % 32 == 0) atomicAdd(sum, part);
}

__global__ void fill(float* x, int columns, operands kind, uint64_t seed, bool second) {
  size_t const i = static_cast<size_t>(blockIdx.x) * 256 + threadIdx.x;
  x[i] = element(kind, seed, i, static_cast<int>(second ? i / columns : i % columns), second);
}

}  // namespace
