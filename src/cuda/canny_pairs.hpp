// Arithmetic of canny's gradients: the values of two pixels in the 16-bit halves of a word, as f16. All are integers of at
// most 2,041 in magnitude, which f16 represents, so sums are exact; sectors are compared without error (below).
//
// The `A` of templates is what a processor does with such words: the device in canny.cu, the host in a test. So no line here
// needs a GPU to be tested.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define SLUICE_ON_DEVICE __device__
#define SLUICE_ON_BOTH __host__ __device__
#define SLUICE_CUDA_UNROLL _Pragma("unroll")
#define SLUICE_CUDA_UNROLL_4 _Pragma("unroll 4")
#else
#define SLUICE_ON_DEVICE
#define SLUICE_ON_BOTH
#define SLUICE_CUDA_UNROLL
#define SLUICE_CUDA_UNROLL_4
#endif

namespace sluice::cuda {

using word = std::uint32_t;

constexpr word both(unsigned bits) { return bits * 0x10001u; }
SLUICE_ON_DEVICE inline word choose(word mask, word a, word b) { return (mask & a) | (~mask & b); }

constexpr word pair_one = both(0x3c00);
constexpr word pair_1024 = both(0x6400);
constexpr word pair_two = both(0x4000);
constexpr word pair_minus_two = both(0xc000);
// 13573 / 32768, the tangent of 22.5 degrees in 15 bits, is 1696 / 4096 + 5 / 32768.
constexpr word pair_tangent = both(0x36a0);
constexpr word pair_tangent_rest = both(0x0900);
constexpr word pair_minus = both(0x8000);  // sign bits

// Where `tangent * x > y`, for x in [0, 1020] and y in [-2040, 1020]. The first step is exact where its result is under a
// half, else the rest, under 0.16, cannot turn its sign; the second rounds, which keeps the sign.
template <class A>
SLUICE_ON_DEVICE inline word below_tangent(word x, word y) {
  const word r = A::fma(x, pair_tangent, y ^ pair_minus);
  return A::greater(A::fma(x, pair_tangent_rest, r), 0);
}

// Where `tangent * x < y`; likewise.
template <class A>
SLUICE_ON_DEVICE inline word above_tangent(word x, word y) {
  const word r = A::fma(x, pair_tangent ^ pair_minus, y);
  return A::greater(A::fma(x, pair_tangent_rest ^ pair_minus, r), 0);
}

// Magnitudes of two pixels by either norm, and comparisons of them.
template <class A>
struct l1_magnitudes {
  using type = word;
  static SLUICE_ON_DEVICE type of(word dx, word dy) { return A::add(A::abs(dx), A::abs(dy)); }
  static SLUICE_ON_DEVICE type threshold(word bits) { return bits; }
  static SLUICE_ON_DEVICE type plus_one(type m) { return A::add(m, pair_one); }
  static SLUICE_ON_DEVICE word greater(type a, type b) { return A::greater(a, b); }
  static SLUICE_ON_DEVICE word at_least(type a, type b) { return A::at_least(a, b); }
  static SLUICE_ON_DEVICE type select(word mask, type a, type b) { return choose(mask, a, b); }
  static SLUICE_ON_DEVICE type keep(word mask, type m) { return m & mask; }
};

// Squares, which f32 represents.
template <class A>
struct l2_magnitudes {
  struct type {
    float low, high;
  };
  static SLUICE_ON_DEVICE float square(float x, float y) { return x * x + y * y; }
  static SLUICE_ON_DEVICE type of(word dx, word dy) {
    return {square(A::low(dx), A::low(dy)), square(A::high(dx), A::high(dy))};
  }
  static SLUICE_ON_DEVICE type threshold(word bits) {
    const auto t = static_cast<float>(bits);
    return {t, t};
  }
  static SLUICE_ON_DEVICE type plus_one(type m) { return {m.low + 1, m.high + 1}; }
  static SLUICE_ON_DEVICE word mask(bool low, bool high) { return (low ? 0xffffu : 0u) | (high ? 0xffff0000u : 0u); }
  static SLUICE_ON_DEVICE word greater(type a, type b) { return mask(a.low > b.low, a.high > b.high); }
  static SLUICE_ON_DEVICE word at_least(type a, type b) { return mask(a.low >= b.low, a.high >= b.high); }
  static SLUICE_ON_DEVICE type select(word mask, type a, type b) {
    return {(mask & 0xffffu) != 0 ? a.low : b.low, (mask >> 16) != 0 ? a.high : b.high};
  }
  static SLUICE_ON_DEVICE type keep(word mask, type m) { return select(mask, m, {0, 0}); }
};

}  // namespace sluice::cuda
