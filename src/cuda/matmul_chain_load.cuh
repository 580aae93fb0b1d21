// How steps of the operands of matmul_chain.cuh come to shared memory. What lies past the end of k is +0 in a and -0 in b:
// their product, -0, changes no sum. Rows and columns past the end repeat the last.
#pragma once

#include "convert.cuh"

namespace sluice::cuda {

// The type of the chain.
template <class T>
using chain_of = std::conditional_t<is_half<T>, float, T>;

template <class S, int N>
struct alignas(sizeof(S) * N) pack {
  S at[N];
};
template <class S>
inline constexpr int lanes_of = static_cast<int>(16 / sizeof(S));

template <int Bytes>
__device__ inline void copy_async(void* to, const void* from, int valid) {
#if __CUDA_ARCH__ >= 800
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  if constexpr (Bytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from), "n"(Bytes), "r"(valid)
                 : "memory");
#else
  auto* words = static_cast<unsigned*>(to);
  for (int i = 0; i < Bytes / 4; ++i) words[i] = i * 4 < valid ? static_cast<const unsigned*>(from)[i] : 0u;
#endif
}
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int Pending>
__device__ inline void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

template <class T>
__device__ inline chain_of<T> widened(T x) {
  if constexpr (std::is_same_v<T, f16>)
    return widen_any_nan(x);
  else if constexpr (is_half<T>)
    return widen_16(x);
  else
    return x;
}

// lanes_of<S> neighbouring elements, of which `left` exist, or more, or none if it is negative; zeros follow. Both sides are
// aligned for it. Halves compare `left` as it is: for sm_90 ptxas 13.0 makes of max(0, min(lanes, left)) == lanes a branch
// that loads whole vectors of fewer elements too.
template <class T, class S>
__device__ inline void copy_vector(S* to, const T* from, int left) {
  constexpr int lanes = lanes_of<S>;
  if constexpr (std::is_same_v<T, S>) {
    copy_async<16>(to, from, max(0, min(lanes, left)) * static_cast<int>(sizeof(S)));
  } else {
    pack<S, lanes> v;
    if (left >= lanes) {
      const auto read = *reinterpret_cast<const pack<T, lanes>*>(from);
#pragma unroll
      for (int i = 0; i < lanes; ++i) v.at[i] = widened(read.at[i]);
    } else {
#pragma unroll
      for (int i = 0; i < lanes; ++i) v.at[i] = i < left ? widened(from[i]) : S{0};
    }
    *reinterpret_cast<pack<S, lanes>*>(to) = v;
  }
}
template <class T, class S>
__device__ inline void copy_one(S* to, const T* from) {
  if constexpr (std::is_same_v<T, S>)
    copy_async<sizeof(S)>(to, from, sizeof(S));
  else
    *to = widened(*from);
}

__device__ inline int least(std::int64_t x, int y) { return x < y ? static_cast<int>(x) : y; }

// Loads steps of one tile's operands. With `Vectors` a is contiguous along k and b along columns, both aligned.
template <class T, class Tile, bool Vectors>
struct chain_loader {
  using S = chain_of<T>;
  static constexpr int lanes = lanes_of<S>;
  static constexpr int a_pitch = Tile::bk + lanes;  // rows in different banks
  static constexpr int a_size = Tile::bm * a_pitch;
  static constexpr int stage_size = a_size + Tile::bk * Tile::bn;
  static constexpr bool b_vectors = Vectors && Tile::bn % lanes == 0;
  static constexpr int a_line = Tile::bk / lanes, b_line = Tile::bn / lanes;  // vectors
  static constexpr int a_each = (Tile::bm * a_line + Tile::threads - 1) / Tile::threads;
  static constexpr int b_each = (Tile::bk * b_line + Tile::threads - 1) / Tile::threads;

  const T* a;  // of the tile's first row and column
  const T* b;
  std::int64_t a_row, a_k, b_k, b_column;
  int rows, columns;  // of the tile that exist
  bool a_by_rows, b_by_rows;

  // What this thread copies of a whole step, at k = 0.
  struct sources {
    const T* a[a_each];
    const T* b[b_each > 0 ? b_each : 1];
  };
  __device__ sources find() const {
    sources s{};
    if constexpr (b_vectors) {
#pragma unroll
      for (int n = 0; n < a_each; ++n) {
        const int i = n * Tile::threads + static_cast<int>(threadIdx.x);
        s.a[n] = a + min(i / a_line, rows - 1) * a_row + i % a_line * lanes;
      }
#pragma unroll
      for (int n = 0; n < b_each; ++n) {
        const int i = n * Tile::threads + static_cast<int>(threadIdx.x);
        const int column = i % b_line * lanes;
        s.b[n] = b + i / b_line * b_k + (column < columns ? column : 0);
      }
    }
    return s;
  }

  // Steps [from, from + bk) of k, of which `left` exist.
  __device__ void load(S* stage, std::int64_t from, std::int64_t left, const sources& s) const {
    const bool whole = left >= Tile::bk;
    if constexpr (b_vectors) {
      if (whole) return load_whole(stage, from, s);
    }
    const int some = whole ? Tile::bk : static_cast<int>(left);
    load_a(stage, from, some);
    load_b(stage + a_size, from, some);
  }

 private:
  __device__ void load_whole(S* stage, std::int64_t from, const sources& s) const {
    constexpr int a_count = Tile::bm * a_line, b_count = Tile::bk * b_line;
#pragma unroll
    for (int n = 0; n < a_each; ++n) {
      const int i = n * Tile::threads + static_cast<int>(threadIdx.x);
      if (a_count % Tile::threads != 0 && i >= a_count) break;
      copy_vector(stage + i / a_line * a_pitch + i % a_line * lanes, s.a[n] + from, lanes);
    }
    const std::int64_t b_from = from * b_k;
#pragma unroll
    for (int n = 0; n < b_each; ++n) {
      const int i = n * Tile::threads + static_cast<int>(threadIdx.x);
      if (b_count % Tile::threads != 0 && i >= b_count) break;
      copy_vector(stage + a_size + i * lanes, s.b[n] + b_from, columns - i % b_line * lanes);
    }
  }

  __device__ void load_a(S* to, std::int64_t from, int some) const {
    constexpr int wide = Vectors ? lanes : 1;
    constexpr int count = Tile::bm * Tile::bk / wide;
#pragma unroll
    for (int begin = 0; begin < count; begin += Tile::threads) {
      const int i = begin + static_cast<int>(threadIdx.x);
      if (count % Tile::threads != 0 && i >= count) break;
      if constexpr (Vectors) {
        const int row = i / a_line;
        const int p = i % a_line * wide;
        const T* source = a + min(row, rows - 1) * a_row + from;
        copy_vector(to + row * a_pitch + p, p < some ? source + p : source, some - p);
      } else {
        const int row = a_by_rows ? i / Tile::bk : i % Tile::bm;
        const int p = a_by_rows ? i % Tile::bk : i / Tile::bm;
        S* target = to + row * a_pitch + p;
        if (p < some)
          copy_one(target, a + min(row, rows - 1) * a_row + (from + p) * a_k);
        else
          *target = S{0};
      }
    }
  }

  __device__ void load_b(S* to, std::int64_t from, int some) const {
    constexpr int wide = b_vectors ? lanes : 1;
    constexpr int count = Tile::bk * Tile::bn / wide;
    constexpr int line = Tile::bn / wide;
#pragma unroll
    for (int begin = 0; begin < count; begin += Tile::threads) {
      const int i = begin + static_cast<int>(threadIdx.x);
      if (count % Tile::threads != 0 && i >= count) break;
      const int p = b_vectors || b_by_rows ? i / line : i % Tile::bk;
      const int column = b_vectors || b_by_rows ? i % line * wide : i / Tile::bk;
      S* target = to + p * Tile::bn + column;
      if (p >= some) {
#pragma unroll
        for (int l = 0; l < wide; ++l) target[l] = S(-0.0);
      } else if constexpr (b_vectors) {
        const T* source = b + (from + p) * b_k;
        copy_vector(target, column < columns ? source + column : source, columns - column);
      } else {
        copy_one(target, b + (from + p) * b_k + min(column, columns - 1) * b_column);
      }
    }
  }
};

}  // namespace sluice::cuda
