// Rows that vectors do not fit: narrow ones, and those of odd widths or any strides.
#pragma once

#include <cuda_pipeline_primitives.h>

#include "rowsum_common.cuh"

namespace sluice::cuda {

// Rows of any strides: thread j of a warp is lane j. A warp takes `Units` short rows, or one block of a long one.
template <class T, int Units, int Steps>
__global__ void __launch_bounds__(rowsum_threads) lane_blocks(sum_rows<T> a, sum_sink out) {
  using A = sum_of<T>;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * rowsum_threads + threadIdx.x) / 32;
  const std::int64_t units = a.rows * a.parts;
  const std::int64_t begin = Units == 1 ? warp % a.parts * block_size : 0;  // several units: rows of one block
  const std::int64_t first_row = Units == 1 ? warp / a.parts : warp * Units;
  const int columns = static_cast<int>(a.columns - begin < block_size ? a.columns - begin : block_size);
  const T* p = a.data + first_row * a.row_stride + (begin + lane) * a.column_stride;
  A sums[Units];
#pragma unroll
  for (int u = 0; u < Units; ++u) sums[u] = nothing<A>();
  for (int i = lane; i - lane < columns; i += Steps * lane_count) {
    T x[Units][Steps];
#pragma unroll
    for (int u = 0; u < Units; ++u)
#pragma unroll
      for (int s = 0; s < Steps; ++s) {
        const bool there = first_row + u < a.rows && i + s * lane_count < columns;
        x[u][s] = load_element(p + u * a.row_stride + static_cast<std::int64_t>(i - lane + s * lane_count) * a.column_stride,
                               there);
      }
#pragma unroll
    for (int u = 0; u < Units; ++u)
#pragma unroll
      for (int s = 0; s < Steps; ++s) sums[u] += widen(x[u][s]);
  }
  int n = Units;
#pragma unroll
  for (int d = 16; d > 0; d /= 2) {
    if (n == 1) {
      sums[0] += __shfl_xor_sync(whole_warp, sums[0], d);
      continue;
    }
    const bool upper = (lane & d) != 0;
    n /= 2;
#pragma unroll
    for (int u = 0; u < n; ++u) {
      const A keep = upper ? sums[u + n] : sums[u];
      const A give = upper ? sums[u] : sums[u + n];
      sums[u] = keep + __shfl_xor_sync(whole_warp, give, d);
    }
  }
  const std::int64_t unit = warp * Units + lane / (32 / Units);
  if (lane % (32 / Units) == 0 && unit < units) out.store(unit, sums[0]);
}

// Lanes l, l + Step, ... below 32 of a row of at most 32 elements, folded.
template <int Step, int Lane, class T>
__device__ inline sum_of<T> fold_row(const T* x, int columns) {
  if constexpr (Step == lane_count) {
    return widen(x[Lane]);
  } else {
    sum_of<T> s = fold_row<2 * Step, Lane>(x, columns);
    if (Lane + Step < columns) s += fold_row<2 * Step, Lane + Step>(x, columns);
    return s;
  }
}

// The same of an array, of which `Most` may be there.
template <int Step, int Lane, class T, int Most>
__device__ inline sum_of<T> fold_array(const T (&x)[Most]) {
  if constexpr (Step == lane_count) {
    return widen(x[Lane]);
  } else {
    sum_of<T> s = fold_array<2 * Step, Lane>(x);
    if constexpr (Lane + Step < Most) s += fold_array<2 * Step, Lane + Step>(x);
    return s;
  }
}

// The sum of a row of at most `Most` elements that begins at `at`, in shared memory. Bytes are read in words: one by one
// they would keep shared memory busy for longer than memory. Halves are loaded all at once, for which their number must be
// nearly known.
template <int Most, class T>
__device__ inline sum_of<T> sum_shared(const T* tile, int at, int columns) {
  if constexpr (sizeof(T) == 1) {
    unsigned sum = 0;
    for (int i = at & ~3; i < at + columns; i += 4) {
      unsigned word = *reinterpret_cast<const unsigned*>(tile + i);
      if (i < at) word &= ~0u << (8 * (at - i));
      if (i + 4 > at + columns) word &= ~0u >> (8 * (i + 4 - at - columns));
      sum = sum_of_bytes(word, sum);
    }
    return sum;
  } else if constexpr (sizeof(T) == 2) {
    T x[Most];
#pragma unroll
    for (int l = 0; l < Most; ++l) x[l] = l < columns ? tile[at + l] : absent<T>();
    return fold_array<1, 0>(x);
  } else {
    return fold_row<1, 0>(tile + at, columns);
  }
}

// Rows of at most 32 elements with small gaps or none: tiles of them, gaps and all, pass through shared memory, and a thread
// sums a row. `height` rows of a tile for each thread; the rows begin `shift` elements behind 16 bytes.
template <class T, int Most>
__global__ void __launch_bounds__(narrow_threads) tile_rows(sum_rows<T> a, sum_sink out, int height, int shift) {
  extern __shared__ uint4 shared[];
  constexpr int size = vector_of<T>::size;
  const int columns = static_cast<int>(a.columns);
  const int pitch = static_cast<int>(a.row_stride);
  const int tile = narrow_threads * height;  // rows
  const int tile_vectors = tile * pitch / size + (shift != 0 ? 1 : 0);
  const std::int64_t tiles = (a.rows + tile - 1) / tile;
  const int thread = static_cast<int>(threadIdx.x);

  const auto fetch = [&](std::int64_t t, uint4* to) {
    if (t < tiles) {
      const std::int64_t rows_left = a.rows - t * tile;
      const int rows = static_cast<int>(rows_left < tile ? rows_left : tile);
      const int elements = shift + (rows - 1) * pitch + columns;
      const T* from = a.data - shift + t * tile * pitch;
      const int vectors = elements / size;
      for (int v = thread; v < vectors; v += narrow_threads) __pipeline_memcpy_async(to + v, from + v * size, sizeof(uint4));
      for (int i = vectors * size + thread; i < elements; i += narrow_threads) reinterpret_cast<T*>(to)[i] = from[i];
    }
    __pipeline_commit();
  };

  int stage = 0;
  fetch(blockIdx.x, shared);
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    fetch(t + gridDim.x, shared + (stage ^ 1) * tile_vectors);
    __pipeline_wait_prior(1);
    __syncthreads();
    const T* x = reinterpret_cast<const T*>(shared + stage * tile_vectors);
    for (int h = 0; h < height; ++h) {
      const int local = h * narrow_threads + thread;
      const std::int64_t row = t * tile + local;
      if (row < a.rows) out.store(row, sum_shared<Most>(x, shift + local * pitch, columns));
    }
    __syncthreads();
    stage ^= 1;
  }
}

// Rows of at most 32 elements and any strides: a thread takes a row.
template <class T>
__global__ void __launch_bounds__(narrow_threads) walk_rows(sum_rows<T> a, sum_sink out) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * narrow_threads + threadIdx.x;
  if (row >= a.rows) return;
  const T* p = a.data + row * a.row_stride;
  T x[lane_count];
#pragma unroll
  for (int l = 0; l < lane_count; ++l) x[l] = load_element(p + l * a.column_stride, l < a.columns);
  sum_of<T> sums[lane_count];
#pragma unroll
  for (int l = 0; l < lane_count; ++l) sums[l] = widen(x[l]);
  fold_lanes<lane_count, 1>(sums);
  out.store(row, sums[0]);
}

// Rows of one element: four for each thread.
template <class T>
__global__ void __launch_bounds__(rowsum_threads) lone_elements(sum_rows<T> a, sum_sink out) {
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (4 * rowsum_threads) + threadIdx.x;
  T x[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::int64_t row = first + i * rowsum_threads;
    x[i] = load_element(a.data + row * a.row_stride, row < a.rows);
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (const std::int64_t row = first + i * rowsum_threads; row < a.rows) out.store(row, widen(x[i]));
}

}  // namespace sluice::cuda
