// A matrix times a vector, for matmul with one row or one column: bound by reading the matrix once, at which a gemm
// is slow. Written here because the gemv of some BLAS skips the zeros of the vector, and so loses the NaN that 0 * NaN is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sluice/impl/cpu/widen.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"
// Products may be fused into additions here, and are wherever there is an instruction for it.
#if defined(__clang__)
#if defined(__x86_64__) || __clang_major__ >= 15
#pragma clang fp contract(on)
#endif
#else
#pragma GCC optimize("fp-contract=fast")
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// y[l] = sum over d of lines[l * line_stride + d * depth_stride] * x[d * x_stride], for tiles of at most gemv_lines lines.
template <class T>
struct gemv_problem {
  const T* lines;
  std::int64_t line_stride;
  std::int64_t depth_stride;
  const T* x;
  std::int64_t x_stride;
};

inline constexpr std::int64_t gemv_lines = 512;
inline constexpr std::int64_t gemv_depth = 2048;  // of x at once: dots read it again for every line

namespace gemv_detail {

template <class S>
using vec [[gnu::vector_size(32)]] = S;

// Sums in lanes, folded in one order, whatever the instruction set.
template <class S>
[[gnu::always_inline]] inline S dot(const S* a, const S* b, std::int64_t n) noexcept {
  constexpr std::int64_t width = 32 / sizeof(S);
  vec<S> sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 * width <= n; i += 8 * width)
    for (int j = 0; j < 8; ++j) {
      vec<S> p, q;
      std::memcpy(&p, a + i + j * width, sizeof p);
      std::memcpy(&q, b + i + j * width, sizeof q);
      sums[j] += p * q;
    }
  for (int half = 4; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) sums[j] += sums[j + half];
  S total = 0;
  for (std::int64_t j = 0; j < width; ++j) total += sums[0][j];
  for (; i < n; ++i) total += a[i] * b[i];
  return total;
}

// y += x[0] * a[0] + ... + x[N - 1] * a[N - 1], for lines of n.
template <int N, class S>
[[gnu::always_inline]] inline void add_lines(const S* const* a, const S* x, std::int64_t n, S* y) noexcept {
  constexpr std::int64_t width = 32 / sizeof(S);
  std::int64_t i = 0;
  for (; i + width <= n; i += width) {
    vec<S> sum;
    std::memcpy(&sum, y + i, sizeof sum);
    for (int j = 0; j < N; ++j) {
      vec<S> p;
      std::memcpy(&p, a[j] + i, sizeof p);
      sum += x[j] * p;
    }
    std::memcpy(y + i, &sum, sizeof sum);
  }
  for (; i < n; ++i)
    for (int j = 0; j < N; ++j) y[i] += x[j] * a[j][i];
}

// `n` elements from `p` on as sums: in place, or copied into `buffer`.
template <class T>
[[gnu::always_inline]] inline const sum_of<T>* as_sums(const T* p, std::int64_t stride, std::int64_t n,
                                                       sum_of<T>* buffer) noexcept {
  if constexpr (std::is_same_v<T, sum_of<T>>) {
    if (stride == 1) return p;
  }
  widen(p, stride, n, buffer);
  return buffer;
}

// Lines contiguous along the depth: a dot each.
template <class T>
[[gnu::always_inline]] inline void by_dots(const gemv_problem<T>& g, std::int64_t lines, std::int64_t depth,
                                           sum_of<T>* y) noexcept {
  sum_of<T> x_buffer[gemv_depth];
  sum_of<T> line_buffer[gemv_depth];
  for (std::int64_t d = 0; d < depth; d += gemv_depth) {
    const std::int64_t n = std::min(gemv_depth, depth - d);
    const auto* x = as_sums(g.x + d * g.x_stride, g.x_stride, n, x_buffer);
    for (std::int64_t l = 0; l < lines; ++l) {
      const T* line = g.lines + l * g.line_stride + d * g.depth_stride;
      y[l] += dot(as_sums(line, g.depth_stride, n, line_buffer), x, n);
    }
  }
}

// Contiguous across the lines: N steps of the depth at once.
template <int N, class T>
[[gnu::always_inline]] inline std::int64_t by_steps(const gemv_problem<T>& g, std::int64_t d, std::int64_t lines,
                                                    std::int64_t depth, sum_of<T>* y) noexcept {
  sum_of<T> buffers[N][gemv_lines];
  for (; d + N <= depth; d += N) {
    const sum_of<T>* a[N];
    sum_of<T> x[N];
    for (int j = 0; j < N; ++j) {
      a[j] = as_sums(g.lines + (d + j) * g.depth_stride, g.line_stride, lines, buffers[j]);
      x[j] = to_sum(g.x[(d + j) * g.x_stride]);
    }
    add_lines<N>(a, x, lines, y);
  }
  return d;
}

template <class T>
[[gnu::always_inline]] inline void run(const gemv_problem<T>& g, std::int64_t lines, std::int64_t depth,
                                       sum_of<T>* y) noexcept {
  std::fill_n(y, lines, sum_of<T>{0});
  if (lines == 1 || g.depth_stride <= g.line_stride) return by_dots(g, lines, depth, y);
  by_steps<1>(g, by_steps<4>(g, 0, lines, depth, y), lines, depth, y);
}

#if defined(__x86_64__)
template <class T>
[[gnu::target("avx2,fma,f16c")]] inline void run_avx2(const gemv_problem<T>& g, std::int64_t lines, std::int64_t depth,
                                                      sum_of<T>* y) noexcept {
  run(g, lines, depth, y);
}
#endif

}  // namespace gemv_detail

// `lines` of at most gemv_lines, `depth` of any length.
template <class T>
inline void gemv(const gemv_problem<T>& g, std::int64_t lines, std::int64_t depth, sum_of<T>* y) noexcept {
#if defined(__x86_64__)
  if (has_8s()) return gemv_detail::run_avx2(g, lines, depth, y);
#endif
  gemv_detail::run(g, lines, depth, y);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
