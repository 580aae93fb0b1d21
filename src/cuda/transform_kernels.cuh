// The kernels of transform.cu. A thread has several loads in flight before its first store: with one, a GPU's memory runs at
// two thirds of its speed.
#pragma once

#include "convert.cuh"
#include "cuda.hpp"

namespace sluice::cuda {

constexpr int transform_threads = 256;

// Offsets of element i, counted in row-major order, in target and source.
struct walk {
  int rank;
  std::int64_t count;
  std::int64_t extents[SLUICE_MAX_RANK];
  std::int64_t target[SLUICE_MAX_RANK];
  std::int64_t source[SLUICE_MAX_RANK];

  template <class I>
  __device__ void offsets(I i, std::int64_t& to, std::int64_t& from) const {
    to = 0;
    from = 0;
    for (int axis = rank - 1; axis > 0; --axis) {
      const I extent = static_cast<I>(extents[axis]);
      const I next = i / extent;
      const auto step = static_cast<std::int64_t>(i - next * extent);
      to += step * target[axis];
      from += step * source[axis];
      i = next;
    }
    to += static_cast<std::int64_t>(i) * target[0];
    from += static_cast<std::int64_t>(i) * source[0];
  }
};

// Any strides. I: 32 bits where the count allows, since 64-bit divisions take several times as long.
template <class T, class S, class I, int Each>
__global__ void __launch_bounds__(transform_threads) transform_kernel(T* target, const S* source, walk w) {
  const I first = static_cast<I>(blockIdx.x) * (transform_threads * Each) + threadIdx.x;
  std::int64_t to[Each];
  S x[Each];
#pragma unroll
  for (int e = 0; e < Each; ++e) {
    const I i = first + static_cast<I>(e * transform_threads);
    if (static_cast<std::int64_t>(i) < w.count) {
      std::int64_t from;
      w.offsets(i, to[e], from);
      x[e] = source[from];
    }
  }
#pragma unroll
  for (int e = 0; e < Each; ++e)
    if (static_cast<std::int64_t>(first + static_cast<I>(e * transform_threads)) < w.count) target[to[e]] = convert<T>(x[e]);
}

// N elements that are read or written at once.
template <class T, int N>
struct alignas(sizeof(T) * N) group_of {
  T x[N];
};

// How conversions of contiguous elements are cut: 16 bytes of the wider type at a time, and the more of them the more is
// read than written.
template <class T, class S>
struct conversion {
  static constexpr int group = 16 / static_cast<int>(sizeof(T) > sizeof(S) ? sizeof(T) : sizeof(S));
  static constexpr int each = sizeof(T) > sizeof(S)    ? 1
                              : sizeof(T) == sizeof(S) ? 2
                                                       : static_cast<int>(sizeof(S) / sizeof(T));
};

template <class T, class S>
__global__ void __launch_bounds__(transform_threads) convert_kernel(T* target, const S* source, std::int64_t count) {
  constexpr int n = conversion<T, S>::group;
  constexpr int each = conversion<T, S>::each;
  const std::int64_t groups = count / n;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * (transform_threads * each) + threadIdx.x;
  group_of<S, n> x[each];
#pragma unroll
  for (int e = 0; e < each; ++e)
    if (first + e * transform_threads < groups)
      x[e] = reinterpret_cast<const group_of<S, n>*>(source)[first + e * transform_threads];
#pragma unroll
  for (int e = 0; e < each; ++e) {
    group_of<T, n> y;
#pragma unroll
    for (int i = 0; i < n; ++i) y.x[i] = convert<T>(x[e].x[i]);
    if (first + e * transform_threads < groups) reinterpret_cast<group_of<T, n>*>(target)[first + e * transform_threads] = y;
  }
  if (first < count - groups * n) target[groups * n + first] = convert<T>(source[groups * n + first]);
}

template <class T, class I>
__global__ void __launch_bounds__(transform_threads) fill_kernel(T* target, T value, walk w) {
  const I i = static_cast<I>(blockIdx.x) * transform_threads + threadIdx.x;
  if (static_cast<std::int64_t>(i) >= w.count) return;
  std::int64_t to;
  std::int64_t from;
  w.offsets(i, to, from);
  target[to] = value;
}

// Contiguous memory that begins on 16 bytes; `pattern` is the value, repeated.
template <class T>
__global__ void __launch_bounds__(transform_threads)
    fill_whole_kernel(T* target, T value, uint4 pattern, std::int64_t count) {
  constexpr int n = 16 / sizeof(T);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * transform_threads + threadIdx.x;
  if (i < count / n) reinterpret_cast<uint4*>(target)[i] = pattern;
  if (i < count % n) target[count / n * n + i] = value;
}

// A transpose in tiles, so that both sides are read and written along their unit strides. T: as many bits as an element has.
constexpr int tile = 64;
constexpr int tile_threads = 512;

template <class T>
__global__ void __launch_bounds__(tile_threads) transpose_kernel(T* target, const T* source, walk w) {
  __shared__ T cells[tile][tile + 1];
  constexpr int step = tile_threads / tile;
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int y = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t across = (w.extents[0] + tile - 1) / tile;
  const std::int64_t i0 = blockIdx.x % across * tile;  // along the source's unit stride
  const std::int64_t j0 = blockIdx.x / across * tile;
  const T* from = source + i0 + x + (j0 + y) * w.source[1];
  T* to = target + (i0 + y) * w.target[0] + j0 + x;
  const std::int64_t from_step = step * w.source[1];
  const std::int64_t to_step = step * w.target[0];
  const int wide = static_cast<int>(w.extents[0] - i0 < tile ? w.extents[0] - i0 : tile);
  const int high = static_cast<int>(w.extents[1] - j0 < tile ? w.extents[1] - j0 : tile);
  T column[step];
  if (wide == tile && high == tile) {
#pragma unroll
    for (int k = 0; k < step; ++k) column[k] = from[k * from_step];
#pragma unroll
    for (int k = 0; k < step; ++k) cells[y + k * step][x] = column[k];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < step; ++k) to[k * to_step] = cells[x][y + k * step];
    return;
  }
  for (int k = 0; k < step; ++k)
    if (x < wide && y + k * step < high) cells[y + k * step][x] = from[k * from_step];
  __syncthreads();
  for (int k = 0; k < step; ++k)
    if (y + k * step < wide && x < high) to[k * to_step] = cells[x][y + k * step];
}

// Both begin on 16 bytes.
__global__ void __launch_bounds__(transform_threads) write_out_kernel(char* target, const char* source, unsigned bytes) {
  const unsigned i = blockIdx.x * transform_threads + threadIdx.x;
  if (i < bytes / 16) reinterpret_cast<uint4*>(target)[i] = reinterpret_cast<const uint4*>(source)[i];
  if (i < bytes % 16) target[bytes / 16 * 16 + i] = source[bytes / 16 * 16 + i];
}

}  // namespace sluice::cuda
