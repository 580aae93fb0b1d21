// canny's two kernels: edges (canny_edges.hpp) and hysteresis (canny_tiles.hpp).
#pragma once

#include <cooperative_groups.h>

#include "canny_device.cuh"

namespace sluice::cuda {

constexpr int edge_threads = 128;
constexpr int edge_rows = 8;  // of each of a thread's two strips
constexpr int hysteresis_threads = 512;

struct edge_arguments {
  const std::uint8_t* image;  // (images, height, width, channels), contiguous
  std::int64_t width;
  std::int64_t height;
  tile_grid grid;
  word low, high;  // of L1 f16 in both halves, of L2 integers
  canny_memory memory;
};

struct hysteresis_arguments {
  std::uint8_t* result;  // (images, height, width), contiguous
  std::int64_t width;
  std::int64_t height;
  tile_grid grid;
  canny_memory memory;
};

// A thread's two strips of a tile in the bitmaps, a byte a row and strip. Of 4 columns two neighbouring threads make a byte.
template <int Columns>
struct bitmap_sink {
  std::uint8_t* candidates;
  std::uint8_t* strong;
  bool there;

  __device__ void operator()(int row, word c, word s) const {
    bool writes = there;
    if constexpr (Columns == 4) {
      c |= __shfl_xor_sync(0xffffffffu, c, 1) << 4;
      s |= __shfl_xor_sync(0xffffffffu, s, 1) << 4;
      writes = there && threadIdx.x % 2 == 0;
    }
    if (!writes) return;
    candidates[4 * row] = static_cast<std::uint8_t>(c);
    strong[4 * row] = static_cast<std::uint8_t>(s);
    candidates[4 * (row + edge_rows)] = static_cast<std::uint8_t>(c >> 16);
    strong[4 * (row + edge_rows)] = static_cast<std::uint8_t>(s >> 16);
  }
};

template <template <class> class Magnitudes, int C, int Columns, bool Aligned>
__global__ void __launch_bounds__(edge_threads, C == 1 ? 4 : 2) canny_edges(edge_arguments a) {
  constexpr unsigned tile_groups = tile_side / Columns;
  constexpr unsigned pairs = tile_side / (2 * edge_rows);
  const unsigned groups = a.grid.columns * tile_groups;
  unsigned index = blockIdx.x * edge_threads + threadIdx.x;
  if (index == 0) {
    *a.memory.pending_count = 0;
    a.memory.parents[0] = 0;
  }
  const unsigned threads = a.grid.count() * tile_groups * pairs;
  const bool there = index < threads;
  if (!there) index = threads - 1;  // the lanes of a warp stay together
  const unsigned group = index % groups;
  const unsigned pair = index / groups % pairs;
  const unsigned tile_row = index / groups / pairs;  // of all images
  const unsigned image = tile_row / a.grid.rows;
  const std::size_t first_row =
      (static_cast<std::size_t>(tile_row) * a.grid.columns + group / tile_groups) * tile_side + pair * 2 * edge_rows;
  const std::size_t byte = first_row * 4 + group % tile_groups * Columns / 8;
  edge_walk<device_pairs, Magnitudes<device_pairs>, C, Columns, edge_rows, Aligned> walk(
      a.image + image * a.width * a.height * C, a.width, a.height, std::int64_t{group} * Columns,
      std::int64_t{tile_row % a.grid.rows} * tile_side + pair * 2 * edge_rows, a.low, a.high);
  walk.run(bitmap_sink<Columns>{reinterpret_cast<std::uint8_t*>(a.memory.candidates) + byte,
                                reinterpret_cast<std::uint8_t*>(a.memory.reached) + byte, there});
}

// Four bits to four bytes of 0 or 255.
__device__ inline word spread(word bits) { return ((bits & 15) * 0x00204081u & 0x01010101u) * 255u; }

// Writes a tile of the result. `Vectors`: rows begin on 16 bytes and are made of whole 16s.
template <bool Vectors>
__device__ inline void write_tile(const hysteresis_arguments& a, unsigned tile, word rows) {
  const unsigned lane = device_warp::lane();
  const tile_place place(tile, a.grid);
  std::uint8_t* const image = a.result + tile / (a.grid.columns * a.grid.rows) * a.width * a.height;
  const std::int64_t x = std::int64_t{place.column} * tile_side;
  const std::int64_t y = std::int64_t{place.row} * tile_side;
  if constexpr (Vectors) {
    const unsigned half = lane % 2 * 16;
#pragma unroll
    for (unsigned k = 0; k < 32; k += 16) {
      const unsigned row = lane / 2 + k;
      const word bits = __shfl_sync(0xffffffffu, rows, static_cast<int>(row)) >> half;
      if (y + row < a.height && x + half < a.width)
        *reinterpret_cast<uint4*>(image + (y + row) * a.width + x + half) =
            make_uint4(spread(bits), spread(bits >> 4), spread(bits >> 8), spread(bits >> 12));
    }
  } else {
    const auto height = static_cast<int>(a.height - y < tile_side ? a.height - y : tile_side);
    std::uint8_t* to = image + y * a.width + x + lane;
    for (int row = 0; row < height; ++row, to += a.width) {
      const word bits = __shfl_sync(0xffffffffu, rows, row);
      if (x + lane < a.width) *to = (bits >> lane & 1) != 0 ? 255 : 0;
    }
  }
}

// Its three steps, [first, last) of them; between two of them all blocks meet, so that they have to be resident together.
template <bool Vectors>
__global__ void __launch_bounds__(hysteresis_threads, 2048 / hysteresis_threads)
    canny_hysteresis(hysteresis_arguments a, int first, int last) {
  const unsigned warp = (blockIdx.x * hysteresis_threads + threadIdx.x) / 32;
  const unsigned warps = gridDim.x * (hysteresis_threads / 32);
  device_parents parents(a.memory.parents);
  for (int step = first;;) {
    if (step == 0) {
      for (unsigned tile = warp; tile < a.grid.count(); tile += warps) {
        word rows;
        if (settle_tile<device_warp>(a.memory, tile, parents, rows)) write_tile<Vectors>(a, tile, rows);
      }
    } else {
      const unsigned pending = *a.memory.pending_count;
      for (unsigned i = warp; i < pending; i += warps) {
        const unsigned tile = a.memory.pending[i];
        if (step == 1)
          tile_joints<device_warp, device_parents>(a.memory, a.grid, tile, parents).run();
        else
          write_tile<Vectors>(a, tile, finish_tile<device_warp>(a.memory, tile, a.memory.nodes[i], parents));
      }
    }
    if (++step == last) return;
    cooperative_groups::this_grid().sync();
  }
}

}  // namespace sluice::cuda
