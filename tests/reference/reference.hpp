// Slow, obvious answers, written from the words of the contract and sharing nothing with the library but its plain C table.
//
//     reference::convert(SLUICE_F16, &target, SLUICE_F64, &source);   // one element
//     reference::copy(target, source);                                // arrays, as sluice_backend::copy
//     reference::rowsum(a, out);
//     reference::chained_matmul(a, b, out);
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "sluice/backend_api.h"

namespace reference {

// Holds the value of every element of every dtype exactly.
using real = long double;
static_assert(std::numeric_limits<real>::digits >= 64, "long double must hold every 64-bit integer");

inline bool is_integer(std::int32_t dtype) { return dtype == SLUICE_I64 || dtype == SLUICE_I32 || dtype == SLUICE_U8; }

inline std::int64_t size_of(std::int32_t dtype) {
  switch (dtype) {
    case SLUICE_F64:
    case SLUICE_I64: return 8;
    case SLUICE_F32:
    case SLUICE_I32: return 4;
    case SLUICE_F16:
    case SLUICE_BF16: return 2;
    default: return 1;
  }
}

// A small float of the IEEE pattern: sign, exponent, mantissa.
struct small_float {
  int exponent_bits;
  int mantissa_bits;

  [[nodiscard]] real decode(std::uint32_t bits) const {
    const std::uint32_t top = (1u << exponent_bits) - 1;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const std::uint32_t exponent = (bits >> mantissa_bits) & top;
    const std::uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
    real x = 0;
    if (exponent == top) {
      x = mantissa != 0 ? std::numeric_limits<real>::quiet_NaN() : std::numeric_limits<real>::infinity();
    } else if (exponent == 0) {
      x = std::ldexp(static_cast<real>(mantissa), 1 - bias - mantissa_bits);
    } else {
      x = std::ldexp(static_cast<real>(mantissa + (1u << mantissa_bits)), static_cast<int>(exponent) - bias - mantissa_bits);
    }
    return ((bits >> (exponent_bits + mantissa_bits)) & 1u) != 0 ? -x : x;
  }

  // To nearest, ties to even: the two neighbours are found by halving the range of patterns, and the nearer one is taken.
  [[nodiscard]] std::uint32_t encode(real x) const {
    const std::uint32_t sign = std::signbit(x) ? 1u << (exponent_bits + mantissa_bits) : 0u;
    const std::uint32_t infinity = ((1u << exponent_bits) - 1) << mantissa_bits;
    if (std::isnan(x)) return sign | infinity | (1u << (mantissa_bits - 1));
    const real magnitude = std::fabs(x);
    if (std::isinf(x)) return sign | infinity;
    std::uint32_t below = 0;
    std::uint32_t above = infinity;  // stands for the number that would come next
    while (above - below > 1) {
      const std::uint32_t middle = (below + above) / 2;
      (decode(middle) <= magnitude ? below : above) = middle;
    }
    const real next = above == infinity ? std::ldexp(real{1}, 1 << (exponent_bits - 1)) : decode(above);
    const real halfway = (decode(below) + next) / 2;
    const bool up = magnitude > halfway || (magnitude == halfway && below % 2 == 1);
    return sign | (up ? above : below);
  }
};

inline constexpr small_float f16{5, 10};
inline constexpr small_float bf16{8, 7};

template <class T>
T load(const void* p) {
  T x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

template <class T>
void store(void* p, T x) {
  std::memcpy(p, &x, sizeof x);
}

inline real get(std::int32_t dtype, const void* p) {
  switch (dtype) {
    case SLUICE_F64: return load<double>(p);
    case SLUICE_F32: return load<float>(p);
    case SLUICE_F16: return f16.decode(load<std::uint16_t>(p));
    case SLUICE_BF16: return bf16.decode(load<std::uint16_t>(p));
    case SLUICE_I64: return static_cast<real>(load<std::int64_t>(p));
    case SLUICE_I32: return load<std::int32_t>(p);
    default: return load<std::uint8_t>(p);
  }
}

template <class T>
T saturate(real x) {
  if (std::isnan(x)) return 0;
  if (x >= static_cast<real>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  if (x <= static_cast<real>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  return static_cast<T>(x);
}

// One rounding, whatever the dtype.
inline void put(std::int32_t dtype, void* p, real x) {
  switch (dtype) {
    case SLUICE_F64: return store(p, static_cast<double>(x));
    case SLUICE_F32: return store(p, static_cast<float>(x));
    case SLUICE_F16: return store(p, static_cast<std::uint16_t>(f16.encode(x)));
    case SLUICE_BF16: return store(p, static_cast<std::uint16_t>(bf16.encode(x)));
    case SLUICE_I64: return store(p, saturate<std::int64_t>(x));
    case SLUICE_I32: return store(p, saturate<std::int32_t>(x));
    default: return store(p, saturate<std::uint8_t>(x));
  }
}

// One element: the same bits for the same dtype; integers wrap into narrower ones, as C's do; floats to integers saturate.
inline void convert(std::int32_t to, void* target, std::int32_t from, const void* source) {
  if (to == from) {
    std::memcpy(target, source, static_cast<std::size_t>(size_of(to)));
  } else if (is_integer(to) && is_integer(from)) {
    const auto wide = static_cast<std::int64_t>(get(from, source));
    if (to == SLUICE_I64) store(target, wide);
    if (to == SLUICE_I32) store(target, static_cast<std::int32_t>(wide));
    if (to == SLUICE_U8) store(target, static_cast<std::uint8_t>(wide));
  } else {
    put(to, target, get(from, source));
  }
}

// Where every element is, in row-major order of the indices.
inline std::vector<char*> elements(const sluice_array& a) {
  std::vector<std::int64_t> offsets{0};
  for (int axis = 0; axis < a.rank; ++axis) {
    std::vector<std::int64_t> longer;
    longer.reserve(offsets.size() * static_cast<std::size_t>(a.extents[axis]));
    for (const std::int64_t base : offsets)
      for (std::int64_t i = 0; i < a.extents[axis]; ++i) longer.push_back(base + i * a.strides[axis]);
    offsets.swap(longer);
  }
  std::vector<char*> places;
  places.reserve(offsets.size());
  for (const std::int64_t offset : offsets) places.push_back(static_cast<char*>(a.data) + offset * size_of(a.dtype));
  return places;
}

inline void copy(const sluice_array& target, const sluice_array& source) {
  const auto to = elements(target);
  const auto from = elements(source);
  for (std::size_t i = 0; i < to.size(); ++i) convert(target.dtype, to[i], source.dtype, from[i]);
}

inline void fill(const sluice_array& target, double value) {
  for (char* p : elements(target)) convert(target.dtype, p, SLUICE_F64, &value);
}

template <class A>
A add(A x, A y) {
  return x + y;
}
template <>
inline std::int64_t add(std::int64_t x, std::int64_t y) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) + static_cast<std::uint64_t>(y));
}

// The sum of one row in the order that sluice/ops/rowsum.hpp fixes.
template <class A>
A sum_in_order(const std::vector<A>& row) {
  if (row.empty()) return A{0};
  const A nothing = std::numeric_limits<A>::is_integer ? A{0} : static_cast<A>(-0.0);
  std::vector<A> sums;
  for (std::size_t begin = 0; begin < row.size(); begin += 1024) {
    std::vector<A> lanes(32, nothing);
    for (std::size_t i = 0; i < 1024 && begin + i < row.size(); ++i) lanes[i % 32] = add(lanes[i % 32], row[begin + i]);
    for (std::size_t half = 16; half >= 1; half /= 2)
      for (std::size_t j = 0; j < half; ++j) lanes[j] = add(lanes[j], lanes[j + half]);
    sums.push_back(lanes[0]);
  }
  while (sums.size() > 1) {
    std::vector<A> joined;
    for (std::size_t i = 0; i + 1 < sums.size(); i += 2) joined.push_back(add(sums[i], sums[i + 1]));
    if (sums.size() % 2 == 1) joined.push_back(sums.back());
    sums.swap(joined);
  }
  return sums[0];
}

// a [rows, columns] -> out [rows], of any dtype.
inline void rowsum(const sluice_array& a, const sluice_array& out) {
  const auto in = elements(a);
  const auto to = elements(out);
  const auto columns = static_cast<std::size_t>(a.extents[1]);
  for (std::size_t r = 0; r < to.size(); ++r) {
    std::vector<std::int64_t> integers;
    std::vector<double> floats;
    for (std::size_t c = 0; c < columns; ++c) {
      const char* p = in[r * columns + c];
      if (is_integer(a.dtype))
        integers.push_back(static_cast<std::int64_t>(get(a.dtype, p)));
      else
        floats.push_back(static_cast<double>(get(a.dtype, p)));
    }
    if (is_integer(a.dtype)) {
      const std::int64_t sum = sum_in_order(integers);
      convert(out.dtype, to[r], SLUICE_I64, &sum);
      continue;
    }
    double sum = sum_in_order(floats);
    if (std::isnan(sum)) sum = std::numeric_limits<double>::quiet_NaN();
    convert(out.dtype, to[r], SLUICE_F64, &sum);
  }
}

// A sum of products, and the sum of their magnitudes, which error bounds are made of.
struct product {
  real sum = 0;
  real magnitude = 0;
};

// For every element of a [batch, m, k] times b [batch, k, n], unrounded.
inline std::vector<product> products(const sluice_array& a, const sluice_array& b) {
  std::vector<real> x;
  std::vector<real> y;
  for (const char* p : elements(a)) x.push_back(get(a.dtype, p));
  for (const char* p : elements(b)) y.push_back(get(b.dtype, p));
  const auto m = static_cast<std::size_t>(a.extents[1]);
  const auto k = static_cast<std::size_t>(a.extents[2]);
  const auto n = static_cast<std::size_t>(b.extents[2]);
  std::vector<product> all(static_cast<std::size_t>(a.extents[0]) * m * n);
  for (std::size_t at = 0; at < all.size(); ++at) {
    const std::size_t row = at / n;  // of all batches
    const std::size_t batch = row / m;
    for (std::size_t l = 0; l < k; ++l) {
      const real term = x[row * k + l] * y[(batch * k + l) * n + at % n];
      all[at].sum += term;
      all[at].magnitude += std::fabs(term);
    }
  }
  return all;
}

inline void matmul(const sluice_array& a, const sluice_array& b, const sluice_array& out) {
  const auto all = products(a, b);
  const auto to = elements(out);
  for (std::size_t i = 0; i < to.size(); ++i) put(out.dtype, to[i], all[i].sum);
}

// A sum of products in the order that sluice/ops/matmul.hpp fixes.
template <class A>
A chain(const std::vector<A>& x, const std::vector<A>& y) {
  A total = 0;
  for (std::size_t begin = 0; begin < x.size(); begin += 1024) {
    A block = 0;
    for (std::size_t p = begin; p < x.size() && p < begin + 1024; ++p) block = std::fma(x[p], y[p], block);
    total = begin == 0 ? block : total + block;
  }
  return total + A{0};
}

template <class A>
void chained_products(const sluice_array& a, const sluice_array& b, const sluice_array& out) {
  const auto from_a = elements(a);
  const auto from_b = elements(b);
  const auto to = elements(out);
  const auto m = static_cast<std::size_t>(a.extents[1]);
  const auto k = static_cast<std::size_t>(a.extents[2]);
  const auto n = static_cast<std::size_t>(b.extents[2]);
  std::vector<A> x(k);
  std::vector<A> y(k);
  for (std::size_t at = 0; at < to.size(); ++at) {
    const std::size_t row = at / n;  // of all batches
    for (std::size_t p = 0; p < k; ++p) {
      x[p] = static_cast<A>(get(a.dtype, from_a[row * k + p]));
      y[p] = static_cast<A>(get(b.dtype, from_b[(row / m * k + p) * n + at % n]));
    }
    const A sum = chain(x, y);
    put(out.dtype, to[at], std::isnan(sum) ? std::numeric_limits<real>::quiet_NaN() : static_cast<real>(sum));
  }
}

// a [batch, m, k] times b [batch, k, n] -> out [batch, m, n], with the bits of precision::strict.
inline void chained_matmul(const sluice_array& a, const sluice_array& b, const sluice_array& out) {
  if (a.dtype == SLUICE_F64)
    chained_products<double>(a, b, out);
  else
    chained_products<float>(a, b, out);
}

}  // namespace reference
