// canny's kernels: edges (canny_edges.hpp), and the three steps of hysteresis (canny_tiles.hpp).
//
// The steps are launches of their own, and need no more of the driver than order on a stream. One cooperative launch with a
// barrier between the steps is no faster: of a 4K image on an H200 it takes 24.9 us (natural), 17.9 (noise), 34.2
// (photographs) and 101.6 (spiral), three launches 23.9, 17.1, 35.4 and 93.0 (bench/results/canny.md).
#pragma once

#include "canny_device.cuh"

namespace sluice::cuda {

constexpr int edge_threads = 128;
constexpr int strip_rows = tile_side / 2;  // a thread's two strips are as high as a tile
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
    candidates[4 * (row + strip_rows)] = static_cast<std::uint8_t>(c >> 16);
    strong[4 * (row + strip_rows)] = static_cast<std::uint8_t>(s >> 16);
  }
};

// Blocks that a multiprocessor has at once: as many as leave a thread the registers that it needs.
constexpr int edge_blocks(int channels, int columns, bool aligned) {
  return channels == 3 ? 2 : columns == 8 || !aligned ? 3 : 4;
}

template <template <class> class Magnitudes, int C, int Columns, bool Aligned>
__global__ void __launch_bounds__(edge_threads, edge_blocks(C, Columns, Aligned)) canny_edges(edge_arguments a) {
  constexpr unsigned tile_groups = tile_side / Columns;
  const unsigned groups = a.grid.columns * tile_groups;
  unsigned index = blockIdx.x * edge_threads + threadIdx.x;
  if (index == 0) {
    *a.memory.pending_count = 0;
    a.memory.parents[0] = 0;
  }
  const unsigned threads = a.grid.count() * tile_groups;
  const bool there = index < threads;
  if (!there) index = threads - 1;  // the lanes of a warp stay together
  const unsigned group = index % groups;
  const unsigned tile_row = index / groups;  // of all images
  const unsigned image = tile_row / a.grid.rows;
  const std::size_t first_row = (static_cast<std::size_t>(tile_row) * a.grid.columns + group / tile_groups) * tile_side;
  const std::size_t byte = first_row * 4 + group % tile_groups * Columns / 8;
  edge_walk<device_pairs, Magnitudes<device_pairs>, C, Columns, strip_rows, Aligned> walk(
      a.image + image * a.width * a.height * C, a.width, a.height, std::int64_t{group} * Columns,
      std::int64_t{tile_row % a.grid.rows} * tile_side, a.low, a.high);
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

__device__ inline unsigned warp_of_grid() { return (blockIdx.x * hysteresis_threads + threadIdx.x) / 32; }

// The first step, a warp a tile.
template <bool Vectors>
__global__ void __launch_bounds__(hysteresis_threads) settle_tiles(hysteresis_arguments a) {
  const unsigned tile = warp_of_grid();
  if (tile >= a.grid.count()) return;
  device_parents parents(a.memory.parents);
  word rows;
  if (settle_tile<device_warp>(a.memory, tile, parents, rows)) write_tile<Vectors>(a, tile, rows);
}

// What a step does with each tile that the first one left; how many they are is known on the device alone.
template <class F>
__device__ inline void for_pending_tiles(const canny_memory& memory, const F& f) {
  const unsigned count = *memory.pending_count;
  const unsigned warps = gridDim.x * (hysteresis_threads / 32);
  for (unsigned i = warp_of_grid(); i < count; i += warps) f(memory.pending[i], memory.nodes[i]);
}

static __global__ void __launch_bounds__(hysteresis_threads) join_tiles(hysteresis_arguments a) {
  device_parents parents(a.memory.parents);
  for_pending_tiles(a.memory, [&](unsigned tile, unsigned) {
    tile_joints<device_warp, device_parents>(a.memory, a.grid, tile, parents).run();
  });
}

template <bool Vectors>
__global__ void __launch_bounds__(hysteresis_threads) finish_tiles(hysteresis_arguments a) {
  device_parents parents(a.memory.parents);
  for_pending_tiles(a.memory, [&](unsigned tile, unsigned nodes) {
    write_tile<Vectors>(a, tile, finish_tile<device_warp>(a.memory, tile, nodes, parents));
  });
}

}  // namespace sluice::cuda
