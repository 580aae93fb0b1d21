// What the kernels of rowsum share. All of them add in one order: element i of a block of 1,024 to lane i % 32, in order;
// the lanes fold by halves; neighbouring blocks join as pairs. Absent elements, lanes and blocks count as -0.0, which
// changes no sum: so odd counts need no cases, and a butterfly across threads gives the same bits as a tree.
#pragma once

#include "convert.cuh"
#include "sluice/impl/base/pairwise.hpp"

namespace sluice::cuda {

constexpr int lane_count = static_cast<int>(base::lane_count);
constexpr int block_size = static_cast<int>(base::block_size);
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
  if constexpr (std::is_same_v<T, f16>)
    return static_cast<double>(widen_any_nan(x));
  else if constexpr (is_half<T>)
    return static_cast<double>(widen_16(x));
  else if constexpr (std::is_floating_point_v<T>)
    return static_cast<double>(x);
  else
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(x));
}

// sum + the four bytes of a word.
__device__ inline unsigned sum_of_bytes(unsigned word, unsigned sum) { return __dp4a(word, 0x01010101u, sum); }

// Where sums go: rounded to `out`, or as they are to be joined.
struct sum_sink {
  enum kind_of { f32, f64, i64, part } kind;
  void* data;
  std::int64_t stride;

  __device__ void store(std::int64_t i, double s) const {
    if (kind == part)
      static_cast<double*>(data)[i] = s;
    else if (kind == f32)
      static_cast<float*>(data)[i * stride] = s == s ? static_cast<float>(s) : bits_as<float>(base::patterns<float>::nan);
    else
      static_cast<double*>(data)[i * stride] = s == s ? s : bits_as<double>(base::patterns<double>::nan);
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

// What one thread reads at once.
template <class T, int Bytes = 16>
struct alignas(Bytes) vector_of {
  static constexpr int size = Bytes / sizeof(T);
  T x[size];
};

// Loads of what is there, else absent elements. They are spelt out so that they are predicated: around a branch the compiler
// would keep one load in flight instead of all.
template <class T>
__device__ inline T load_element(const T* p, bool there) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(T) == 8) {
    auto bits = bits_as<unsigned long long>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u64 %0, [%1]; }"
                 : "+l"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<T>(bits);
  } else if constexpr (sizeof(T) == 4) {
    auto bits = bits_as<unsigned>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u32 %0, [%1]; }"
                 : "+r"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<T>(bits);
  } else if constexpr (sizeof(T) == 2) {
    auto bits = bits_as<unsigned short>(absent<T>());
    asm volatile("{ .reg .pred q; setp.ne.s32 q, %2, 0; @q ld.global.nc.u16 %0, [%1]; }"
                 : "+h"(bits)
                 : "l"(p), "r"(static_cast<int>(there)));
    return bits_as<T>(bits);
  }
#endif
  return there ? *p : absent<T>();
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

}  // namespace sluice::cuda
