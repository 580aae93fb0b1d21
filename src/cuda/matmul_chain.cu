// The tiles that products in chains are cut into, and the choice of one.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "matmul_chain.cuh"

namespace sluice::cuda {
namespace {

using kernel = void (*)(chain_arguments);

// The last three are measured on an H200: cycles an element of k takes a tile by itself, and a tile on a multiprocessor that
// is full of them; and by how much both grow where operands are not read 16 bytes at a time.
struct tile_entry {
  const char* name;
  int bm, bn, bk, threads;
  double alone, among_others, strided_factor;
  kernel strided, vectors;
};

template <class T, class Tile>
constexpr tile_entry entry(const char* name, double alone, double among_others, double strided_factor) {
  return {name,
          Tile::bm,
          Tile::bn,
          Tile::bk,
          Tile::threads,
          alone,
          among_others,
          strided_factor,
          &multiply_in_chains<T, Tile, false>,
          &multiply_in_chains<T, Tile, true>};
}

#define TILE(T, cycles, ...) entry<T, chain_tile<__VA_ARGS__>>(#__VA_ARGS__, cycles)
#define CYCLES(...) __VA_ARGS__

// Each is the fastest of some 40 that were tried for some shape.
const tile_entry f32_tiles[] = {
    TILE(float, CYCLES(150.7, 115.7, 1.4), 128, 64, 16, 8, 4, 3, 256, 2),
    TILE(float, CYCLES(86.2, 68.9, 1.6), 64, 64, 16, 4, 4, 4, 256, 2),
    TILE(float, CYCLES(44.7, 36.0, 1.9), 32, 64, 32, 4, 4, 3, 128, 3),
    TILE(float, CYCLES(60.0, 21.7, 2.4), 32, 32, 32, 4, 4, 4, 128, 4),
    TILE(float, CYCLES(23.4, 14.5, 2.6), 16, 32, 32, 2, 2, 4, 128, 4),
    TILE(float, CYCLES(13.4, 11.2, 2.3), 16, 16, 64, 1, 2, 4, 128, 4),
    TILE(float, CYCLES(11.1, 6.7, 2.4), 8, 16, 64, 1, 2, 4, 128, 4),
    TILE(float, CYCLES(8.4, 5.2, 1.8), 8, 8, 128, 1, 1, 4, 128, 4),
    TILE(float, CYCLES(16.2, 7.6, 3.5), 1, 32, 64, 1, 1, 4, 128, 4),
    TILE(float, CYCLES(5.8, 3.5, 2.0), 1, 8, 256, 1, 1, 4, 128, 4),
    TILE(float, CYCLES(12.2, 7.6, 1.7), 32, 1, 64, 1, 1, 4, 128, 4),
    TILE(float, CYCLES(4.8, 2.7, 1.7), 8, 1, 256, 1, 1, 4, 128, 4),
};
const tile_entry f64_tiles[] = {
    TILE(double, CYCLES(150.7, 115.7, 1.4), 64, 64, 16, 4, 4, 2, 256, 2),
    TILE(double, CYCLES(71.6, 53.2, 1.8), 32, 32, 16, 2, 4, 4, 128, 4),
    TILE(double, CYCLES(49.3, 27.8, 1.8), 16, 32, 16, 2, 2, 4, 128, 4),
    TILE(double, CYCLES(16.2, 9.9, 1.8), 8, 8, 64, 1, 1, 4, 128, 4),
    TILE(double, CYCLES(12.2, 4.0, 2.0), 1, 4, 256, 1, 1, 4, 128, 4),
    TILE(double, CYCLES(12.0, 5.4, 1.7), 8, 1, 64, 1, 1, 8, 128, 4),
};
template <class T>
constexpr tile_entry half_tiles[] = {
    TILE(T, CYCLES(86.2, 31.7, 1.5), 16, 32, 32, 2, 2, 4, 128, 4),
    TILE(T, CYCLES(37.3, 11.2, 1.5), 8, 8, 128, 1, 1, 4, 128, 4),
    TILE(T, CYCLES(45.0, 6.7, 1.5), 1, 8, 256, 1, 1, 4, 128, 4),
    TILE(T, CYCLES(71.6, 5.9, 1.5), 8, 1, 256, 1, 1, 4, 128, 4),
};
#undef CYCLES
#undef TILE

struct tile_list {
  const tile_entry* first;
  int count;
  const tile_entry& operator[](int i) const { return first[i]; }
};

template <std::size_t N>
tile_list list(const tile_entry (&tiles)[N]) {
  return {tiles, static_cast<int>(N)};
}

tile_list tiles_of(std::int32_t dtype) {
  switch (dtype) {
    case 0: return list(f64_tiles);
    case 1: return list(f32_tiles);
    case 2: return list(half_tiles<f16>);
    default: return list(half_tiles<bf16>);
  }
}

std::size_t size_of(std::int32_t dtype) { return dtype == 0 ? 8 : dtype == 1 ? 4 : 2; }
std::int64_t up(std::int64_t x, std::int64_t y) { return (x + y - 1) / y; }
std::int64_t parts_of(const chain_product& p, chain_cut cut) { return cut.parallel ? up(p.k, chain_block) : 1; }

std::int64_t tiles_in(const chain_product& p, const tile_entry& t) { return up(p.m, t.bm) * up(p.n, t.bn) * p.batch; }

// Whether elements along the side of stride 1 may be read or written `lanes` at a time.
bool aligned(const chain_matrix& m, std::size_t element, std::int64_t pitch, std::int64_t along, std::int64_t lanes) {
  return along == 1 && pitch % lanes == 0 && m.batch % lanes == 0 &&
         reinterpret_cast<std::uintptr_t>(m.data) % (static_cast<std::size_t>(lanes) * element) == 0;
}

std::int64_t magnitude(std::int64_t x) { return x < 0 ? -x : x; }

// Whether both operands are read 16 bytes at a time.
bool vectors_for(const chain_product& p, const tile_entry& t) {
  const std::size_t element = size_of(p.dtype);
  const std::int64_t lanes = p.dtype == 0 ? 2 : 4;
  return aligned(p.a, element, p.m == 1 ? 0 : p.a.row, p.k == 1 ? 1 : p.a.column, lanes) &&
         (t.bn % lanes != 0 || aligned(p.b, element, p.k == 1 ? 0 : p.b.row, p.n == 1 ? 1 : p.b.column, lanes));
}

// Cycles, by estimate: 2 to 10% from what was measured.
double cycles_of(const chain_product& p, const tile_entry& t, std::int64_t parts, int multiprocessors) {
  double share = static_cast<double>(tiles_in(p, t) * parts) / multiprocessors;
  if (share < 8) share = std::ceil(share);
  const double k = static_cast<double>(parts > 1 ? chain_block : p.k);
  const double factor = vectors_for(p, t) ? 1 : t.strided_factor;
  return 2600 + 6.0 * t.bk + (parts > 1 ? 2000 : 0) + k * factor * std::max(t.alone, t.among_others * share);
}

}  // namespace

chain_cut choose_cut(const chain_product& p, int multiprocessors, std::size_t most_workspace) {
  chain_cut best;
  double least = std::numeric_limits<double>::infinity();
  const tile_list tiles = tiles_of(p.dtype);
  for (int tile = 0; tile < tiles.count; ++tile)
    for (const bool parallel : {false, true}) {
      const chain_cut cut{tile, parallel};
      if (parallel &&
          (p.k <= chain_block || chain_workspace(p, cut) > most_workspace || tiles_in(p, tiles[tile]) > most_counters))
        continue;
      if (!chain_tile_suits(p, cut)) continue;
      const double cycles = cycles_of(p, tiles[tile], parts_of(p, cut), multiprocessors);
      if (cycles >= least) continue;
      least = cycles;
      best = cut;
    }
  return best;
}

int chain_tiles(std::int32_t dtype) { return tiles_of(dtype).count; }
const char* chain_tile_name(std::int32_t dtype, int tile) { return tiles_of(dtype)[tile].name; }

bool chain_tile_suits(const chain_product& p, chain_cut cut) {
  if (size_of(p.dtype) == 2 && p.k > chain_block && !cut.parallel) return false;  // sums do not pass through 16 bits
  return tiles_in(p, tiles_of(p.dtype)[cut.tile]) * parts_of(p, cut) <= std::numeric_limits<int>::max();
}

std::size_t chain_workspace(const chain_product& p, chain_cut cut) {
  const std::int64_t parts = parts_of(p, cut);
  if (parts == 1) return 0;
  const tile_entry& t = tiles_of(p.dtype)[cut.tile];
  return static_cast<std::size_t>(tiles_in(p, t) * parts * t.bm * t.bn) * (p.dtype == 0 ? 8 : 4);
}

std::size_t chain_counters(const chain_product& p, chain_cut cut) {
  return parts_of(p, cut) == 1 ? 0 : static_cast<std::size_t>(tiles_in(p, tiles_of(p.dtype)[cut.tile]));
}

cudaError_t run_chain(const chain_product& p, chain_cut cut, void* workspace, unsigned* counters, cudaStream_t stream) {
  const tile_entry& t = tiles_of(p.dtype)[cut.tile];
  const std::size_t element = size_of(p.dtype);
  const std::int64_t lanes = p.dtype == 0 ? 2 : 4;
  const std::int64_t parts = parts_of(p, cut);
  const chain_arguments o{p.a.data,
                          p.b.data,
                          const_cast<void*>(p.out.data),
                          p.a.batch,
                          p.a.row,
                          p.a.column,
                          p.b.batch,
                          p.b.row,
                          p.b.column,
                          p.out.batch,
                          p.out.row,
                          p.out.column,
                          p.m,
                          p.n,
                          p.k,
                          static_cast<int>(up(p.m, t.bm)),
                          static_cast<int>(up(p.n, t.bn)),
                          static_cast<int>(parts),
                          magnitude(p.a.column) <= magnitude(p.a.row) || p.m == 1,
                          magnitude(p.b.column) <= magnitude(p.b.row) && p.n > 1,
                          aligned(p.out, element, p.m == 1 ? 0 : p.out.row, p.n == 1 ? 1 : p.out.column, lanes),
                          workspace,
                          counters};
  const auto blocks = static_cast<unsigned>(tiles_in(p, t) * parts);
  void* arguments[] = {const_cast<chain_arguments*>(&o)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(vectors_for(p, t) ? t.vectors : t.strided), dim3(blocks),
                          dim3(static_cast<unsigned>(t.threads)), arguments, 0, stream);
}

}  // namespace sluice::cuda
