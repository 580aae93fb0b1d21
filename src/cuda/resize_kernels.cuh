// resize's kernels: one for the weights of both directions, and one for each pass. Sums are of integers, so their order does
// not matter; what decides bits are the weights, in double and without fused products (CMakeLists.txt).
#pragma once

#include <cstdint>

#include <cuda_runtime.h>

#include "sluice/impl/base/resize.hpp"

namespace sluice::cuda {

constexpr int weight_threads = 128;
constexpr int width_rows = 4;       // that a block of the width's pass resizes at once
constexpr int width_threads = 128;  // of it: a thread a pixel
constexpr int height_threads = 128;
constexpr unsigned staged_bytes = 48 << 10;  // most shared memory of a block without asking for more

// The weights of pixels [first, first + count) of a result.
struct weight_table {
  base::resize_axis axis;
  std::int64_t first;
  std::int64_t count;
  std::int64_t stride;      // taps there is room for
  std::int32_t* first_tap;  // of each pixel
  std::int32_t* taps;
  std::int32_t* weights;  // tap t of pixel i is at i * stride + t, or where by_tap at t * count + i
  bool by_tap;

  __device__ std::int32_t& weight(std::int64_t i, std::int64_t tap) const {
    return weights[by_tap ? tap * count + i : i * stride + tap];
  }
};

static __global__ void __launch_bounds__(weight_threads) find_weights(weight_table height, weight_table width) {
  const weight_table& t = blockIdx.y == 0 ? height : width;
  const std::int64_t i = std::int64_t{blockIdx.x} * weight_threads + threadIdx.x;
  if (i >= t.count) return;
  if (!t.axis.changes()) {
    t.first_tap[i] = static_cast<std::int32_t>(t.first + i);
    t.taps[i] = 1;
    t.weight(i, 0) = 1 << base::resize_bits;
    return;
  }
  const base::resize_taps taps = t.axis.taps(t.first + i);
  t.first_tap[i] = static_cast<std::int32_t>(taps.first);
  t.taps[i] = static_cast<std::int32_t>(taps.count);
  t.axis.for_each_weight(t.first + i, [&](std::int64_t tap, std::int32_t weight) { t.weight(i, tap) = weight; });
}

__device__ inline std::uint8_t rounded(unsigned sum) {
  const unsigned x = (sum + (1u << (base::resize_bits - 1))) >> base::resize_bits;
  return static_cast<std::uint8_t>(x < 255 ? x : 255);
}

// Rows of samples, of all images: those of an image follow each other, and `image_bytes` further are those of the next.
template <class T>
struct image_rows {
  T* data;
  std::int64_t pitch;
  std::int64_t image_bytes;

  __device__ T* row(std::int64_t image, std::int64_t r) const { return data + image * image_bytes + r * pitch; }
};

struct pass_arguments {
  image_rows<const std::uint8_t> from;
  image_rows<std::uint8_t> to;
  const std::uint8_t* end;  // of what may be read
  weight_table table;
  std::int64_t images;
  std::int64_t rows;       // of the result, of each image
  std::int64_t bytes;      // of a row of the result
  std::int64_t first_tap;  // which `from` begins with
};

// The columns of [from, from + bytes) of a row to shared memory, by 16 bytes; they begin where the 16 bytes do. Returns
// where the first is.
__device__ inline unsigned stage(std::uint8_t* to, const std::uint8_t* from, std::int64_t bytes, const std::uint8_t* end) {
  const auto skip = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(from) % 16);
  const std::uint8_t* const begin = from - skip;
  for (unsigned i = threadIdx.x * 16; i < skip + bytes; i += blockDim.x * 16) {
    if (i >= skip && begin + i + 16 <= end) {
      *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(begin + i);
      continue;
    }
    for (unsigned k = i < skip ? skip : i; k < i + 16 && k < skip + bytes; ++k) to[k] = begin[k];
  }
  return skip;
}

// A block resizes blockDim.x pixels of width_rows rows.
template <int C, bool Staged>
__global__ void __launch_bounds__(width_threads) resize_width(pass_arguments a, unsigned row_bytes) {
  extern __shared__ uint4 shared[];
  const weight_table& t = a.table;
  const std::int64_t chunks = (t.count + blockDim.x - 1) / blockDim.x;
  const std::int64_t groups = (a.rows + width_rows - 1) / width_rows;
  for (std::int64_t block = blockIdx.x; block < a.images * groups * chunks; block += gridDim.x) {
    const std::int64_t first = block % chunks * blockDim.x;
    const std::int64_t first_row = block / chunks % groups * width_rows;
    const std::int64_t image = block / chunks / groups;
    const std::int64_t last = (first + blockDim.x < t.count ? first + blockDim.x : t.count) - 1;
    const std::int64_t block_tap = t.first_tap[first];
    const std::int64_t staged = (t.first_tap[last] + t.taps[last] - block_tap) * C;
    const std::int64_t i = first + threadIdx.x <= last ? first + threadIdx.x : last;
    const std::uint8_t* samples[width_rows];
    if constexpr (Staged) __syncthreads();  // all have read what is replaced
#pragma unroll
    for (int r = 0; r < width_rows; ++r) {
      const std::int64_t row = first_row + r < a.rows ? first_row + r : a.rows - 1;
      const std::uint8_t* const from = a.from.row(image, row) + (block_tap - a.first_tap) * C;
      samples[r] = from + (t.first_tap[i] - block_tap) * C;
      if constexpr (Staged) {
        std::uint8_t* const to = reinterpret_cast<std::uint8_t*>(shared) + r * row_bytes;
        samples[r] = to + stage(to, from, staged, a.end) + (t.first_tap[i] - block_tap) * C;
      }
    }
    if constexpr (Staged) __syncthreads();
    unsigned sums[width_rows][C] = {};
    const std::int32_t* weight = t.weights + i;
    for (std::int32_t tap = 0, at = 0; tap < t.taps[i]; ++tap, at += C, weight += t.count) {
      const auto w = static_cast<unsigned>(*weight);
#pragma unroll
      for (int r = 0; r < width_rows; ++r)
#pragma unroll
        for (int c = 0; c < C; ++c) sums[r][c] += w * samples[r][at + c];
    }
    if (first + threadIdx.x > last) continue;
#pragma unroll
    for (int r = 0; r < width_rows; ++r)
      if (first_row + r < a.rows)
#pragma unroll
        for (int c = 0; c < C; ++c) a.to.row(image, first_row + r)[i * C + c] = rounded(sums[r][c]);
  }
}

// A thread resizes 4 columns of samples of a row. `Words`: rows of both sides begin on 4 bytes, and those read have whole
// fours.
template <bool Words>
__global__ void __launch_bounds__(height_threads) resize_height(pass_arguments a) {
  const weight_table& t = a.table;
  const std::int64_t columns = (a.bytes + 3) / 4;
  const std::int64_t chunks = (columns + height_threads - 1) / height_threads;
  for (std::int64_t block = blockIdx.x; block < a.images * a.rows * chunks; block += gridDim.x) {
    const std::int64_t column = block % chunks * height_threads + threadIdx.x;
    const std::int64_t row = block / chunks % a.rows;
    const std::int64_t image = block / chunks / a.rows;
    if (column >= columns) continue;
    const int count = static_cast<int>(a.bytes - 4 * column < 4 ? a.bytes - 4 * column : 4);
    const std::uint8_t* from = a.from.row(image, t.first_tap[row] - a.first_tap) + 4 * column;
    unsigned sums[4] = {};
    for (std::int32_t tap = 0; tap < t.taps[row]; ++tap, from += a.from.pitch) {
      const auto w = static_cast<unsigned>(t.weights[row * t.stride + tap]);
      if constexpr (Words) {
        const uchar4 x = *reinterpret_cast<const uchar4*>(from);
        sums[0] += w * x.x;
        sums[1] += w * x.y;
        sums[2] += w * x.z;
        sums[3] += w * x.w;
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k)
          if (k < count) sums[k] += w * from[k];
      }
    }
    std::uint8_t* const to = a.to.row(image, row) + 4 * column;
    if (Words && count == 4) {
      *reinterpret_cast<uchar4*>(to) = make_uchar4(rounded(sums[0]), rounded(sums[1]), rounded(sums[2]), rounded(sums[3]));
      continue;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (k < count) to[k] = rounded(sums[k]);
  }
}

}  // namespace sluice::cuda
