// The kernel of products in the order of additions of sluice/ops/matmul.hpp. A block of threads computes one tile of the
// result; each thread some of its elements, one chain of fused multiply-adds each. Steps of k pass through shared memory,
// `Stages` deep.
#pragma once

#include "matmul_chain.hpp"
#include "matmul_chain_load.cuh"

namespace sluice::cuda {

// BM x BN elements of the result by threads of TM x TN, steps of BK. There may be more threads than that takes: all of them
// load.
template <int BM, int BN, int BK, int TM, int TN, int Stages, int Threads, int Blocks>
struct chain_tile {
  static constexpr int bm = BM, bn = BN, bk = BK, tm = TM, tn = TN, stages = Stages, threads = Threads, blocks = Blocks;
  static constexpr int nx = BN / TN, ny = BM / TM;  // threads that compute
  static constexpr int computing = nx * ny;
  static_assert(computing <= Threads && chain_block % BK == 0 && BN % TN == 0 && BM % TM == 0);
};

struct chain_arguments {
  const void* a;
  const void* b;
  void* out;
  std::int64_t a_batch, a_row, a_k;
  std::int64_t b_batch, b_k, b_column;
  std::int64_t out_batch, out_row, out_column;
  std::int64_t m, n, k;
  int tiles_m, tiles_n;
  int parts;                  // 1, or as many as k has blocks
  bool a_by_rows, b_by_rows;  // neighbouring threads load neighbours along k of a, and along columns of b
  bool vectors;               // of out
  void* workspace;            // of parts: [tile][part][element][thread]
  unsigned* counters;         // of tiles: parts done
};

template <class T>
__device__ inline T fused(T x, T y, T z) {
  if constexpr (std::is_same_v<T, double>)
    return __fma_rn(x, y, z);
  else
    return __fmaf_rn(x, y, z);
}
template <class T>
__device__ inline T added(T x, T y) {
  if constexpr (std::is_same_v<T, double>)
    return __dadd_rn(x, y);
  else
    return __fadd_rn(x, y);
}

// The one NaN, and +0 of a zero.
template <class S>
__device__ inline S canonical(S x) {
  return x == x ? added(x, S{0}) : bits_as<S>(base::patterns<S>::nan);
}
template <class T>
__device__ inline T finished(chain_of<T> x) {
  if constexpr (is_half<T>)
    return narrow<T>(canonical(x));
  else
    return canonical(x);
}

// Where a thread of a tile stands.
template <class Tile>
struct chain_place {
  static constexpr int across = Tile::nx < 8 ? Tile::nx : 8;
  static constexpr int down = Tile::ny < 32 / across ? Tile::ny : 32 / across;
  static constexpr int wide = Tile::nx < 32 / down ? Tile::nx : 32 / down;  // threads of a warp along columns
  static constexpr int warps_across = Tile::nx / wide;
  static_assert(Tile::nx % wide == 0 && Tile::ny % down == 0);

  int x, y;
  __device__ explicit chain_place(int thread) {
    const int warp = thread / (wide * down);
    const int lane = thread % (wide * down);
    x = warp % warps_across * wide + lane % wide;
    y = warp / warps_across * down + lane / wide;
  }
};

template <class T, class Tile>
struct chain_sums {
  using S = chain_of<T>;
  static constexpr int lanes = lanes_of<S>;
  static constexpr int vector = Tile::tn < lanes ? Tile::tn : lanes;
  static constexpr int vectors = Tile::tn / vector;
  static constexpr int a_pitch = Tile::bk + lanes;
  static constexpr int work = Tile::tm * Tile::tn * lanes;
  static constexpr int unrolled = 512 / work > 0 ? 512 / work : 1;  // what the instruction cache holds

  S at[Tile::tm][Tile::tn];

  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < Tile::tm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::tn; ++j) at[i][j] = 0;
  }

  __device__ void step(const S* stage, const chain_place<Tile>& place) {
    const S* a = stage + place.y * a_pitch;
    const S* b = stage + Tile::bm * a_pitch + place.x * vector;
#pragma unroll unrolled
    for (int p = 0; p < Tile::bk; p += lanes) {
      pack<S, lanes> x[Tile::tm];
#pragma unroll
      for (int i = 0; i < Tile::tm; ++i) x[i] = *reinterpret_cast<const pack<S, lanes>*>(a + i * Tile::ny * a_pitch + p);
#pragma unroll
      for (int q = 0; q < lanes; ++q) {
        pack<S, vector> y[vectors];
#pragma unroll
        for (int g = 0; g < vectors; ++g)
          y[g] = *reinterpret_cast<const pack<S, vector>*>(b + (p + q) * Tile::bn + g * Tile::nx * vector);
#pragma unroll
        for (int i = 0; i < Tile::tm; ++i)
#pragma unroll
          for (int j = 0; j < Tile::tn; ++j) at[i][j] = fused(x[i].at[q], y[j / vector].at[j % vector], at[i][j]);
      }
    }
  }

  // Stores, or adds to what is there.
  __device__ void store(const chain_arguments& o, T* out, std::int64_t row0, std::int64_t column0,
                        const chain_place<Tile>& place, bool add) {
#pragma unroll
    for (int i = 0; i < Tile::tm; ++i) {
      const std::int64_t row = row0 + place.y + i * Tile::ny;
      if (row >= o.m) break;
#pragma unroll
      for (int g = 0; g < vectors; ++g) {
        const std::int64_t column = column0 + place.x * vector + g * Tile::nx * vector;
        T* to = out + row * o.out_row + column * o.out_column;
        if (o.vectors && column + vector <= o.n) {
          auto* whole = reinterpret_cast<pack<T, vector>*>(to);
          pack<T, vector> v;
          if (add) v = *whole;
#pragma unroll
          for (int l = 0; l < vector; ++l)
            v.at[l] = finished<T>(add ? added(widened(v.at[l]), at[i][g * vector + l]) : at[i][g * vector + l]);
          *whole = v;
        } else {
#pragma unroll
          for (int l = 0; l < vector; ++l)
            if (column + l < o.n) {
              T& one = to[l * o.out_column];
              one = finished<T>(add ? added(widened(one), at[i][g * vector + l]) : at[i][g * vector + l]);
            }
        }
      }
    }
  }

  __device__ void write_part(S* to) const {
#pragma unroll
    for (int i = 0; i < Tile::tm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::tn; ++j) __stcg(to + (i * Tile::tn + j) * Tile::computing, at[i][j]);
  }
  __device__ void add_part(const S* from, bool first) {
#pragma unroll
    for (int i = 0; i < Tile::tm; ++i)
#pragma unroll
      for (int j = 0; j < Tile::tn; ++j) {
        const S part = __ldcg(from + (i * Tile::tn + j) * Tile::computing);
        at[i][j] = first ? part : added(at[i][j], part);
      }
  }
};

// True in the block of threads that is the last of a tile's `parts` to come here. All that they wrote is then visible.
__device__ inline bool last_of(unsigned* counter, int parts) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(counter, 1u) == static_cast<unsigned>(parts - 1);
    if (last) *counter = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}

template <class T, class Tile, bool Vectors>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks) multiply_in_chains(const chain_arguments o) {
  using S = chain_of<T>;
  using loader = chain_loader<T, Tile, Vectors>;
  __shared__ alignas(16) S stages[Tile::stages * loader::stage_size];

  // Eight rows of tiles side by side, so that tiles that run together share operands in the cache.
  unsigned id = blockIdx.x;
  const auto part = static_cast<int>(id % static_cast<unsigned>(o.parts));
  id /= static_cast<unsigned>(o.parts);
  const unsigned tile_id = id;
  const unsigned tiles = static_cast<unsigned>(o.tiles_m) * static_cast<unsigned>(o.tiles_n);
  const std::int64_t batch = id / tiles;
  id %= tiles;
  constexpr unsigned together = 8;
  const unsigned group = id / (together * static_cast<unsigned>(o.tiles_n));
  const unsigned in_group = id % (together * static_cast<unsigned>(o.tiles_n));
  const unsigned high = min(together, static_cast<unsigned>(o.tiles_m) - group * together);
  const std::int64_t row0 = static_cast<std::int64_t>(group * together + in_group % high) * Tile::bm;
  const std::int64_t column0 = static_cast<std::int64_t>(in_group / high) * Tile::bn;

  const loader from{static_cast<const T*>(o.a) + batch * o.a_batch + row0 * o.a_row,
                    static_cast<const T*>(o.b) + batch * o.b_batch + column0 * o.b_column,
                    o.a_row,
                    o.a_k,
                    o.b_k,
                    o.b_column,
                    least(o.m - row0, Tile::bm),
                    least(o.n - column0, Tile::bn),
                    o.a_by_rows,
                    o.b_by_rows};
  const std::int64_t first = static_cast<std::int64_t>(part) * chain_block;
  const std::int64_t end = o.parts > 1 && first + chain_block < o.k ? first + chain_block : o.k;
  T* const out = static_cast<T*>(o.out) + batch * o.out_batch;

  const chain_place<Tile> place(static_cast<int>(threadIdx.x));
  const bool computes = Tile::computing == Tile::threads || threadIdx.x < Tile::computing;
  chain_sums<T, Tile> sums;
  sums.clear();
  const auto sources = from.find();
  std::int64_t loaded = first;
#pragma unroll
  for (int s = 0; s < Tile::stages - 1; ++s) {
    if (loaded < end) from.load(stages + s * loader::stage_size, loaded, end - loaded, sources);
    commit_copies();
    loaded += Tile::bk;
  }
  int reading = 0;
  int writing = Tile::stages - 1;
  for (std::int64_t p = first; p < end; p += Tile::bk) {
    wait_for_copies<Tile::stages - 2>();
    __syncthreads();
    if (loaded < end) from.load(stages + writing * loader::stage_size, loaded, end - loaded, sources);
    commit_copies();
    loaded += Tile::bk;
    if (computes) {
      sums.step(stages + reading * loader::stage_size, place);
      const std::int64_t next = p + Tile::bk;
      if (o.parts == 1 && (next >= end || next % chain_block == 0)) {
        sums.store(o, out, row0, column0, place, p >= chain_block);
        sums.clear();
      }
    }
    reading = reading + 1 == Tile::stages ? 0 : reading + 1;
    writing = writing + 1 == Tile::stages ? 0 : writing + 1;
  }
  if (o.parts == 1) return;

  constexpr std::int64_t elements = Tile::bm * Tile::bn;
  S* const whole = static_cast<S*>(o.workspace) + tile_id * elements * o.parts + threadIdx.x;
  if (computes) sums.write_part(whole + part * elements);
  if (!last_of(o.counters + tile_id, o.parts) || !computes) return;
  for (int other = 0; other < o.parts; ++other) sums.add_part(whole + other * elements, other == 0);
  sums.store(o, out, row0, column0, place, false);
}

}  // namespace sluice::cuda
