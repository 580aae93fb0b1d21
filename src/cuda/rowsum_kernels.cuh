// The kernels of rowsum. All of them add in one order: element i of a block of 1,024 to lane i % 32, in order; the lanes
// fold by halves; neighbouring blocks join as pairs. Absent elements, lanes and blocks count as -0.0, which changes no sum:
// so odd counts need no cases, and a butterfly across threads gives the same bits as a tree.
#pragma once

#include <cuda_pipeline_primitives.h>

#include "convert.cuh"

namespace sluice::cuda {

constexpr int lane_count = 32;
constexpr int block_size = 1024;
constexpr int rowsum_threads = 256;
constexpr int narrow_threads = 128;
constexpr int join_threads = 1024;
constexpr unsigned whole_warp = 0xffffffffu;

template <class T>
inline constexpr bool is_float = std::is_floating_point_v<T> || is_half<T>;

// f64 for floats; integers wrap, so they are added without a sign, in any order.
template <class T>
using sum_of = std::conditional_t<is_float<T>, double, std::uint64_t>;

template <class A>
__device__ inline A nothing() {
  if constexpr (std::is_same_v<A, double>)
    return -0.0;
  else
    return A{0};
}

template <class T>
__device__ inline T absent() {
  if constexpr (is_half<T>)
    return T{0x8000};
  else if constexpr (is_float<T>)
    return T(-0.0);
  else
    return T{0};
}

template <class T>
__device__ inline sum_of<T> widen(T x) {
  if constexpr (is_half<T>)
    return static_cast<double>(to_float(x));
  else if constexpr (std::is_floating_point_v<T>)
    return static_cast<double>(x);
  else
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
}

// Where sums go: rounded to `out`, or as they are to be joined.
struct sum_sink {
  enum kind_of { f32, f64, i64, part } kind;
  void* data;
  std::int64_t stride;

  __device__ void store(std::int64_t i, double s) const {
    if (kind == part)
      static_cast<double*>(data)[i] = s;
    else if (kind == f32)
      static_cast<float*>(data)[i * stride] = s == s ? static_cast<float>(s) : bits_of<float>(0x7fc00000u);
    else
      static_cast<double*>(data)[i * stride] = s == s ? s : bits_of<double>(std::uint64_t{0x7ff8000000000000});
  }
  __device__ void store(std::int64_t i, std::uint64_t s) const {
    static_cast<std::uint64_t*>(data)[kind == part ? i : i * stride] = s;
  }
};

// The matrix. `parts` sums are made of each row: 1, or as many as it has blocks, or groups of `joined` blocks.
template <class T>
struct sum_rows {
  const T* data;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t row_stride;
  std::int64_t column_stride;
  std::int64_t parts;
  int joined;
};

template <class T>
struct alignas(16) vector_of {
  static constexpr int size = 16 / sizeof(T);
  T x[size];
};

// Loads of what is there, else absent elements. They are spelt out so that they are predicated: around a branch the compiler
// would keep one load in flight instead of all.
template <class T>
__device__ inline T load_element(const T* p, bool there) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 8) {
    auto bits = bits_of<unsigned long long>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u64 %0, [%1]; }"
                 : "+l"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_of<T>(bits);
  } else if constexpr (sizeof(T) == 4) {
    auto bits = bits_of<unsigned>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u32 %0, [%1]; }"
                 : "+r"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_of<T>(bits);
  } else if constexpr (sizeof(T) == 2) {
    auto bits = bits_of<unsigned short>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u16 %0, [%1]; }"
                 : "+h"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_of<T>(bits);
  }
#endif
  return there ? *p : absent<T>();
}

template <class T>
__device__ inline vector_of<T> load_vector(const T* p, bool there) {
  vector_of<T> v;
#pragma unroll
  for (int e = 0; e < vector_of<T>::size; ++e) v.x[e] = absent<T>();
  uint4 bits = bits_of<uint4>(v);
#if defined(__CUDA_ARCH__)
  asm volatile("{ .reg .pred q; setp.ne.s32 q, %5, 0; @q ld.global.cs.v4.u32 {%0, %1, %2, %3}, [%4]; }"
               : "+r"(bits.x), "+r"(bits.y), "+r"(bits.z), "+r"(bits.w)
               : "l"(p), "r"(static_cast<int>(there)));
#else
  if (there) bits = __ldcs(reinterpret_cast<const uint4*>(p));
#endif
  return bits_of<vector_of<T>>(bits);
}

// What one thread adds up of vectors: a lane for each position of floats, one sum of integers.
template <class T>
struct lanes_of {
  static constexpr int size = is_float<T> ? vector_of<T>::size : 1;
  sum_of<T> x[size];

  __device__ lanes_of() {
#pragma unroll
    for (int e = 0; e < size; ++e) x[e] = nothing<sum_of<T>>();
  }

  __device__ void add(const vector_of<T>& v) {
    if constexpr (sizeof(T) == 1) {
      const uint4 bytes = bits_of<uint4>(v);
      constexpr unsigned ones = 0x01010101u;
      x[0] += __dp4a(bytes.x, ones, __dp4a(bytes.y, ones, __dp4a(bytes.z, ones, __dp4a(bytes.w, ones, 0u))));
    } else {
#pragma unroll
      for (int e = 0; e < vector_of<T>::size; ++e) x[is_float<T> ? e : 0] += widen(v.x[e]);
    }
  }
};

// The sum over G neighbouring threads and their N lanes each, thread q holding lanes N * q and up; all of them get it. While
// a thread has several lanes it hands half of them over and keeps the other half, so that fewer values travel.
template <int G, int N, class A>
__device__ inline A fold(A (&v)[N]) {
  const int lane = static_cast<int>(threadIdx.x);
  int n = N;
#pragma unroll
  for (int d = G / 2; d > 0; d /= 2) {
    if (n == 1) {
      v[0] += __shfl_xor_sync(whole_warp, v[0], d);
      continue;
    }
    const bool upper = (lane & d) != 0;
    n /= 2;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const A keep = upper ? v[i + n] : v[i];
      const A give = upper ? v[i] : v[i + n];
      v[i] = keep + __shfl_xor_sync(whole_warp, give, d);
    }
  }
  int scattered = N / n;  // the lanes handed over, highest bit first, are a matter between threads now
#pragma unroll
  for (int d = G / 2; d > 0; d /= 2) {
    if (scattered == 1) continue;
    scattered /= 2;
#pragma unroll
    for (int i = 0; i < n; ++i) v[i] += __shfl_xor_sync(whole_warp, v[i], d);
  }
#pragma unroll
  for (int half = N / 2; half > 0; half /= 2)
    if (half < n) {
#pragma unroll
      for (int i = 0; i < half; ++i) v[i] += v[i + half];
    }
  return v[0];
}

// Rows of at most 1,024 elements that begin on 16 bytes and are made of whole vectors. G threads take a row, `Rows` rows at
// a time, `Steps` vectors of each in flight.
template <class T, int G, int Steps, int Rows>
__global__ void __launch_bounds__(rowsum_threads, 3) vector_rows(sum_rows<T> a, sum_sink out) {
  constexpr int size = vector_of<T>::size;
  constexpr int groups = 32 / G;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int q = lane % G;
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * rowsum_threads + threadIdx.x) / 32;
  const std::int64_t first = warp * (groups * Rows) + lane / G;
  const int vectors = static_cast<int>(a.columns) / size;
  const int end = Rows > 1 ? 1 : vectors;  // several rows are so short that one round takes them whole
  lanes_of<T> sums[Rows];
  for (int v0 = 0; v0 < end; v0 += G * Steps) {
    vector_of<T> x[Rows][Steps];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const std::int64_t row = first + r * groups;
#pragma unroll
      for (int s = 0; s < Steps; ++s) {
        const int v = v0 + s * G + q;
        x[r][s] = load_vector(a.data + row * a.row_stride + v * size, row < a.rows && v < vectors);
      }
    }
#pragma unroll
    for (int r = 0; r < Rows; ++r)
#pragma unroll
      for (int s = 0; s < Steps; ++s) sums[r].add(x[r][s]);
  }
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const std::int64_t row = first + r * groups;
    const sum_of<T> s = fold<G>(sums[r].x);
    if (q == 0 && row < a.rows) out.store(row, s);
  }
}

// Longer rows that begin on 16 bytes and are made of whole vectors. G threads take a block; `joined` blocks of a row lie
// side by side in a warp and are joined there.
template <class T, int G>
__global__ void __launch_bounds__(rowsum_threads, 3) vector_blocks(sum_rows<T> a, sum_sink out) {
  constexpr int size = vector_of<T>::size;
  constexpr int groups = 32 / G;
  constexpr int steps = 8;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int group = lane / G;
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * rowsum_threads + threadIdx.x) / 32;
  const std::int64_t unit = warp * (groups / a.joined) + group / a.joined;
  const std::int64_t row = unit / a.parts;
  const std::int64_t begin = ((unit % a.parts) * a.joined + group % a.joined) * block_size;
  const std::int64_t left = row < a.rows ? a.columns - begin : 0;
  const T* p = a.data + row * a.row_stride + begin + lane % G * size;
  lanes_of<T> sums;
  const int vectors = left > 0 ? static_cast<int>(left < block_size ? left : block_size) / size : 0;
#pragma unroll 1
  for (int v = lane % G; v < block_size / size; v += G * steps, p += G * steps * size) {
    vector_of<T> x[steps];
#pragma unroll
    for (int s = 0; s < steps; ++s) x[s] = load_vector(p + s * G * size, v + s * G < vectors);
#pragma unroll
    for (int s = 0; s < steps; ++s) sums.add(x[s]);
  }
  sum_of<T> s = fold<G>(sums.x);
  for (int d = 1; d < a.joined; d *= 2) s += __shfl_xor_sync(whole_warp, s, d * G);
  if (lane % (G * a.joined) == 0 && row < a.rows) out.store(unit, s);
}

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

// Rows of at most 32 elements without gaps: tiles of them pass through shared memory, and a thread sums a row. `height` rows
// of a tile for each thread.
template <class T>
__global__ void __launch_bounds__(narrow_threads) tile_rows(sum_rows<T> a, sum_sink out, int height) {
  extern __shared__ uint4 shared[];
  const int columns = static_cast<int>(a.columns);
  const int tile = narrow_threads * height;  // rows
  const int tile_vectors = tile * columns / vector_of<T>::size;
  const std::int64_t tiles = (a.rows + tile - 1) / tile;
  const int thread = static_cast<int>(threadIdx.x);

  const auto fetch = [&](std::int64_t t, uint4* to) {
    if (t < tiles) {
      const std::int64_t rows_left = a.rows - t * tile;
      const int elements = static_cast<int>(rows_left < tile ? rows_left : tile) * columns;
      const T* from = a.data + t * tile * columns;
      const int vectors = elements / vector_of<T>::size;
      for (int v = thread; v < vectors; v += narrow_threads)
        __pipeline_memcpy_async(to + v, from + v * vector_of<T>::size, sizeof(uint4));
      for (int i = vectors * vector_of<T>::size + thread; i < elements; i += narrow_threads)
        reinterpret_cast<T*>(to)[i] = from[i];
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
      if (row < a.rows) out.store(row, fold_row<1, 0>(x + local * columns, columns));
    }
    __syncthreads();
    stage ^= 1;
  }
}

// N lanes of one thread, folded by halves while they are more than `Least`.
template <int N, int Least, class A, int Size>
__device__ inline void fold_lanes(A (&v)[Size]) {
  if constexpr (N > Least) {
#pragma unroll
    for (int l = 0; l < N / 2; ++l) v[l] += v[l + N / 2];
    fold_lanes<N / 2, Least>(v);
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

// Rows that lie closer than their elements, as those of a transposed matrix: neighbouring threads take `tile` neighbouring
// rows (a power of two), the others share the lanes, `Lanes` a thread, and what is left over takes further blocks of the
// rows. Every thread has 16 loads in flight.
template <class T, int Lanes>
__global__ void __launch_bounds__(rowsum_threads, 5) cross_blocks(sum_rows<T> a, sum_sink out, int tile) {
  using A = sum_of<T>;
  constexpr int shares = lane_count / Lanes;  // of a row's lanes
  constexpr int steps = 16 / Lanes;
  __shared__ A folded[rowsum_threads];
  const int thread = static_cast<int>(threadIdx.x);
  const int x = thread % tile;
  const int share = thread / tile % shares;
  const int blocks = rowsum_threads / (tile * shares);  // of each row
  const std::int64_t tiles = (a.rows + tile - 1) / tile;
  const std::int64_t row = blockIdx.x % tiles * tile + x;
  const std::int64_t part = blockIdx.x / tiles * blocks + thread / (tile * shares);
  const std::int64_t begin = part * block_size;
  const std::int64_t left = row < a.rows ? a.columns - begin : 0;
  const int columns = static_cast<int>(left < block_size ? left : block_size);  // below 0 past the last part
  const T* p = a.data + row * a.row_stride + (begin + share) * a.column_stride;
  A sums[Lanes];
#pragma unroll
  for (int l = 0; l < Lanes; ++l) sums[l] = nothing<A>();
#pragma unroll 1
  for (int i = share; i - share < columns; i += steps * lane_count) {
    T v[steps][Lanes];
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        const int at = s * lane_count + l * shares;
        v[s][l] = load_element(p + at * a.column_stride, i + at < columns);
      }
    p += steps * lane_count * a.column_stride;
#pragma unroll
    for (int s = 0; s < steps; ++s)
#pragma unroll
      for (int l = 0; l < Lanes; ++l) sums[l] += widen(v[s][l]);
  }
  fold_lanes<Lanes, 1>(sums);
  folded[thread] = sums[0];
  for (int half = shares / 2; half > 0; half /= 2) {
    __syncthreads();
    if (share < half) folded[thread] += folded[thread + half * tile];
  }
  if (share == 0 && row < a.rows && part < a.parts) out.store(row * a.parts + part, folded[thread]);
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
