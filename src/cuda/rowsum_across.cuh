// Rows whose neighbours lie closer than their elements, such as those of a transposed matrix; and the joining of parts.
#pragma once

#include "rowsum_vector.cuh"

namespace sluice::cuda {

// `Side` elements of neighbouring rows that are read at once, absent ones where there are none.
template <class T, int Side>
__device__ inline vector_of<T, Side * sizeof(T)> load_side(const T* p, bool there) {
  if constexpr (Side == 1)
    return {load_element(p, there)};
  else
    return load_vector<T, Side* static_cast<int>(sizeof(T))>(p, there);
}

// Rows that lie closer than their elements, as those of a transposed matrix: neighbouring threads take `tile` neighbouring
// groups of `Side` rows (`tile` a power of two), the others share the lanes, `Lanes` a thread, and what is left over takes
// further blocks of the rows. Every thread has 16 loads in flight.
template <class T, int Lanes, int Side>
__global__ void __launch_bounds__(rowsum_threads, Side == 1 ? 5 : 3) cross_blocks(sum_rows<T> a, sum_sink out, int tile) {
  using A = std::conditional_t<sizeof(T) == 1, unsigned, sum_of<T>>;  // a block of bytes adds up to 18 bits
  constexpr int shares = lane_count / Lanes;                          // of a row's lanes
  constexpr int steps = 16 / Lanes;
  __shared__ A folded[Side][rowsum_threads];
  const int thread = static_cast<int>(threadIdx.x);
  const int x = thread % tile;
  const int share = thread / tile % shares;
  const int blocks = rowsum_threads / (tile * shares);  // of each row
  const std::int64_t tiles = (a.rows + tile * Side - 1) / (tile * Side);
  const std::int64_t row = (blockIdx.x % tiles * tile + x) * Side;
  const std::int64_t part = blockIdx.x / tiles * blocks + thread / (tile * shares);
  const std::int64_t begin = part * block_size;
  const std::int64_t left = row < a.rows ? a.columns - begin : 0;
  const int columns = static_cast<int>(left < block_size ? left : block_size);  // below 0 past the last part
  const T* p = a.data + row * a.row_stride + (begin + share) * a.column_stride;
  A sums[Side][Lanes];
#pragma unroll
  for (int r = 0; r < Side; ++r)
#pragma unroll
    for (int l = 0; l < Lanes; ++l) sums[r][l] = nothing<A>();
#pragma unroll 1
  for (int i = share; i - share < columns; i += steps * lane_count) {
    vector_of<T, Side * sizeof(T)> v[steps][Lanes];
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        const int at = s * lane_count + l * shares;
        v[s][l] = load_side<T, Side>(p + at * a.column_stride, i + at < columns);
      }
    p += steps * lane_count * a.column_stride;
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int l = 0; l < Lanes; ++l)
#pragma unroll
        for (int r = 0; r < Side; ++r) sums[r][l] += static_cast<A>(widen(v[s][l].x[r]));
  }
#pragma unroll
  for (int r = 0; r < Side; ++r) {
    fold_lanes<Lanes, 1>(sums[r]);
    folded[r][thread] = sums[r][0];
  }
  for (int half = shares / 2; half > 0; half /= 2) {
    __syncthreads();
    if (share < half)
#pragma unroll
      for (int r = 0; r < Side; ++r) folded[r][thread] += folded[r][thread + half * tile];
  }
  if (share == 0 && row < a.rows && part < a.parts)
#pragma unroll
    for (int r = 0; r < Side; ++r) out.store((row + r) * a.parts + part, static_cast<sum_of<T>>(folded[r][thread]));
}

// Joins up to 32 parts of each row: a warp a row.
template <class A>
__global__ void __launch_bounds__(rowsum_threads) join_few(const A* parts, std::int64_t rows, int count, sum_sink out) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * rowsum_threads + threadIdx.x) / 32;
  A s = row < rows && lane < count ? parts[row * count + lane] : nothing<A>();
#pragma unroll
  for (int d = 1; d < 32; d *= 2) s += __shfl_xor_sync(whole_warp, s, d);
  if (lane == 0 && row < rows) out.store(row, s);
}

// Joins each 1,024 neighbouring parts of a row: a thread block each.
template <class A>
__global__ void __launch_bounds__(join_threads)
    join_many(const A* parts, std::int64_t rows, std::int64_t count, sum_sink out) {
  __shared__ A warps[32];
  const std::int64_t groups = (count + join_threads - 1) / join_threads;
  const std::int64_t row = blockIdx.x / groups;
  const std::int64_t i = blockIdx.x % groups * join_threads + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  A s = i < count ? parts[row * count + i] : nothing<A>();
#pragma unroll
  for (int d = 1; d < 32; d *= 2) s += __shfl_xor_sync(whole_warp, s, d);
  if (lane == 0) warps[threadIdx.x / 32] = s;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  s = warps[lane];
#pragma unroll
  for (int d = 1; d < 32; d *= 2) s += __shfl_xor_sync(whole_warp, s, d);
  if (lane == 0) out.store(blockIdx.x, s);
}

}  // namespace sluice::cuda
