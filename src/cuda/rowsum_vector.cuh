// Rows whose elements lie side by side, read in vectors by groups of threads.
#pragma once

#include "rowsum_common.cuh"

namespace sluice::cuda {

template <class T, int Bytes>
__device__ inline vector_of<T, Bytes> load_vector(const T* p, bool there) {
  vector_of<T, Bytes> v;
#pragma unroll
  for (int e = 0; e < v.size; ++e) v.x[e] = absent<T>();
#if defined(__CUDA_ARCH__)
  if constexpr (Bytes == 16) {
    uint4 bits = bits_as<uint4>(v);
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %5, 0; @q ld.global.cs.v4.u32 {%0, %1, %2, %3}, [%4]; }"
                 : "+r"(bits.x), "+r"(bits.y), "+r"(bits.z), "+r"(bits.w)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<vector_of<T, Bytes>>(bits);
  } else if constexpr (Bytes == 8) {
    uint2 bits = bits_as<uint2>(v);
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %3, 0; @q ld.global.cs.v2.u32 {%0, %1}, [%2]; }"
                 : "+r"(bits.x), "+r"(bits.y)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<vector_of<T, Bytes>>(bits);
  } else {
    static_assert(Bytes == 4);
    auto bits = bits_as<unsigned>(v);
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.cs.u32 %0, [%1]; }"
                 : "+r"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<vector_of<T, Bytes>>(bits);
  }
#endif
  return there ? *reinterpret_cast<const vector_of<T, Bytes>*>(p) : v;
}

// What one thread adds up of vectors: a lane for each position of floats, one sum of integers.
template <class T, int Bytes>
struct lanes_of {
  static constexpr int size = is_float<T> ? vector_of<T, Bytes>::size : 1;
  sum_of<T> x[size];

  __device__ lanes_of() {
#pragma unroll
    for (int e = 0; e < size; ++e) x[e] = nothing<sum_of<T>>();
  }

  __device__ void add(const vector_of<T, Bytes>& v) {
    if constexpr (sizeof(T) == 1) {
      unsigned sum = 0;
#pragma unroll
      for (int e = 0; e < Bytes; e += 4) sum = sum_of_bytes(*reinterpret_cast<const unsigned*>(v.x + e), sum);
      x[0] += sum;
    } else {
#pragma unroll
      for (int e = 0; e < v.size; ++e) x[is_float<T> ? e : 0] += widen(v.x[e]);
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

// Rows of at most 1,024 elements that begin on `Bytes` bytes and are made of whole vectors of them. G threads take a row,
// `Rows` rows at a time, `Steps` vectors of each in flight.
template <class T, int Bytes, int G, int Steps, int Rows>
__global__ void __launch_bounds__(rowsum_threads, 3) vector_rows(sum_rows<T> a, sum_sink out) {
  constexpr int size = vector_of<T, Bytes>::size;
  constexpr int groups = 32 / G;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int q = lane % G;
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * rowsum_threads + threadIdx.x) / 32;
  const std::int64_t first = warp * (groups * Rows) + lane / G;
  const int vectors = static_cast<int>(a.columns) / size;
  const int end = Rows > 1 ? 1 : vectors;  // several rows are so short that one round takes them whole
  lanes_of<T, Bytes> sums[Rows];
  for (int v0 = 0; v0 < end; v0 += G * Steps) {
    vector_of<T, Bytes> x[Rows][Steps];
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const std::int64_t row = first + r * groups;
#pragma unroll
      for (int s = 0; s < Steps; ++s) {
        const int v = v0 + s * G + q;
        x[r][s] = load_vector<T, Bytes>(a.data + row * a.row_stride + v * size, row < a.rows && v < vectors);
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
  constexpr int size = vector_of<T, 16>::size;
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
  lanes_of<T, 16> sums;
  const int vectors = left > 0 ? static_cast<int>(left < block_size ? left : block_size) / size : 0;
#pragma unroll 1
  for (int v = lane % G; v < block_size / size; v += G * steps, p += G * steps * size) {
    vector_of<T, 16> x[steps];
#pragma unroll
    for (int s = 0; s < steps; ++s) x[s] = load_vector<T, 16>(p + s * G * size, v + s * G < vectors);
#pragma unroll
    for (int s = 0; s < steps; ++s) sums.add(x[s]);
  }
  sum_of<T> s = fold<G>(sums.x);
  for (int d = 1; d < a.joined; d *= 2) s += __shfl_xor_sync(whole_warp, s, d * G);
  if (lane % (G * a.joined) == 0 && row < a.rows) out.store(unit, s);
}

}  // namespace sluice::cuda
