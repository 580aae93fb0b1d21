// The arithmetic of exact_products.cu, for host and device: integers of a row, their residues, the sum from its residues,
// and one rounding to f32.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <utility>

#define HD __host__ __device__ __forceinline__

namespace exact {

using std::int32_t, std::int64_t, std::int8_t, std::size_t, std::uint32_t, std::uint64_t;
using u128 = unsigned __int128;
using i128 = __int128;

constexpr int most_moduli = 16;
constexpr int limb_bits = 28;  // 16 products of 32 x 28 bits fit 64

inline void check(int status, char const* what) {
  if (status == 0) return;
  std::printf("exact_products: %s: status %d\n", what, status);
  std::exit(1);
}

struct moduli {
  int count;
  double value[most_moduli], inverse[most_moduli];
};

struct crt {
  u128 product, start;            // P; -2^31 sum w, since the kernel adds 2^31 to every int32
  uint32_t limb[most_moduli][5];  // w = (P / p) ((P / p)^-1 mod p) in limbs of 28 bits
  uint64_t low[most_moduli];      // w mod 2^64
  double fraction[most_moduli];   // w / P
};

struct scheme {
  moduli m{};
  crt t{};
  int p[most_moduli]{};
  int bits = 0;  // floor(log2 P)

  explicit scheme(int n) {
    m.count = n;
    int found = 0;
    for (int candidate = 256; found < n; --candidate)
      if (std::all_of(p, p + found, [&](int q) { return std::gcd(q, candidate) == 1; })) p[found++] = candidate;
    t.product = 1;
    for (int i = 0; i < n; ++i) t.product *= static_cast<u128>(p[i]);
    bits = 127;
    while ((t.product >> bits) == 0) --bits;
    u128 sum = 0;
    for (int i = 0; i < n; ++i) {
      m.value[i] = p[i], m.inverse[i] = 1.0 / p[i];
      u128 const rest = t.product / static_cast<u128>(p[i]);
      int const residue = static_cast<int>(rest % static_cast<u128>(p[i]));
      int inverse = 1;
      while (residue * inverse % p[i] != 1) ++inverse;
      u128 w = rest * static_cast<u128>(inverse);
      sum += w;
      t.fraction[i] = static_cast<double>(inverse) / p[i];
      t.low[i] = static_cast<uint64_t>(w);
      for (int l = 0; l < 5; ++l, w >>= limb_bits) t.limb[i][l] = static_cast<uint32_t>(w) & ((1u << limb_bits) - 1);
    }
    t.start = -(sum << 31);
  }

  // Bits of a and b together: k 2^total <= P/2 (1 - 2^-11); the margin pays for the quotient's rounding in double.
  int total_bits(int k) const {
    double const log = std::log2(static_cast<double>(t.product)) - 1 - std::log2(k) - 0.001;
    return static_cast<int>(std::floor(log));
  }
  int bits_a(int k) const { return (total_bits(k) + 1) / 2; }
  int bits_b(int k) const { return total_bits(k) / 2; }
};

// x mod p in [-p/2, p/2), as the low byte. x is an integer of at most 24 significant bits. One step suffices below 2^49.
HD int residue(double x, double p, double inverse, bool wide) {
  constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  double quotient = (x * inverse + magic) - magic;
  double r = fma(-p, quotient, x);
  if (wide) {
    quotient = (r * inverse + magic) - magic;
    r = fma(-p, quotient, r);
  }
#ifdef __CUDA_ARCH__
  return __double2loint(r + magic);
#else
  return static_cast<int>(static_cast<uint32_t>(std::bit_cast<uint64_t>(r + magic)));
#endif
}

// The exponent s of the scale 2^s of a row: bits - ea, where 2^(ea - 1) <= largest < 2^ea; 0 for a row of zeros.
HD int scale_of(float largest, int bits) {
  if (largest == 0) return 0;
#ifdef __CUDA_ARCH__
  int const high = __double2hiint(static_cast<double>(largest));
#else
  int const high = static_cast<int>(std::bit_cast<uint64_t>(static_cast<double>(largest)) >> 32);
#endif
  return bits - ((high >> 20) - 1023 + 1);
}

HD double power(int s) {
#ifdef __CUDA_ARCH__
  return __hiloint2double((s + 1023) << 20, 0);
#else
  return std::ldexp(1.0, s);
#endif
}

HD int leading_zeros(uint64_t x) {
#ifdef __CUDA_ARCH__
  return __clzll(static_cast<long long>(x));
#else
  return std::countl_zero(x);
#endif
}

// magnitude * 2^e in f32, rounded once to nearest even, denormals and overflow included.
HD float round_once(uint64_t magnitude, bool negative, int e) {
  if (magnitude == 0) return 0;
  int const top = 63 - leading_zeros(magnitude) + e;
  int const last = top - 23 > -149 ? top - 23 : -149;
  int const drop = last - e;
  uint64_t kept = 0;
  if (drop <= 0) {
    kept = magnitude << -drop;
  } else if (drop < 64) {
    uint64_t const rest = magnitude << (64 - drop), half = uint64_t{1} << 63;
    kept = magnitude >> drop;
    kept += rest > half || (rest == half && (kept & 1));
  } else {
    kept = drop == 64 && magnitude > (uint64_t{1} << 63);
  }
  uint32_t bits = last > 104 ? 0x7f800000u : (static_cast<uint32_t>(last + 149) << 23) + static_cast<uint32_t>(kept);
  bits |= negative ? 0x80000000u : 0u;
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

HD float round_once(u128 magnitude, bool negative, int e) {
  uint64_t const high = static_cast<uint64_t>(magnitude >> 64);
  if (high == 0) return round_once(static_cast<uint64_t>(magnitude), negative, e);
  int const drop = 64 - leading_zeros(high);
  uint64_t const kept = static_cast<uint64_t>(magnitude >> drop);
  bool const sticky = (static_cast<uint64_t>(magnitude) << (64 - drop)) != 0;
  return round_once(kept | sticky, negative, e + drop);
}

HD double to_double(int32_t x) {
#ifdef __CUDA_ARCH__
  return __hiloint2double(0x43300000, x ^ static_cast<int>(0x80000000)) - 4503601774854144.0;  // 2^52 + 2^31
#else
  return x;
#endif
}

HD int64_t to_integer(double x) {
#ifdef __CUDA_ARCH__
  return __double2ll_rn(x);
#else
  return std::llrint(x);
#endif
}

// The sum whose residues are those of c[t] modulo p[t], times 2^-s. No residue is taken: sum = sum c w - q P, q the quotient
// rounded to nearest, and everything but q is arithmetic modulo 2^64 or 2^128.
template <int N>
struct accumulator {
  static constexpr int limbs = N <= 8 ? 1 : N <= 12 ? 4 : 5;
  uint64_t sum[limbs]{};
  double quotient = 0;

  HD void add(crt const& t, int i, int32_t c) {
    uint32_t const u = static_cast<uint32_t>(c) ^ 0x80000000u;
    if constexpr (limbs == 1) {
      sum[0] += u * t.low[i];
    } else {
#pragma unroll
      for (int l = 0; l < limbs; ++l) sum[l] += static_cast<uint64_t>(u) * t.limb[i][l];
    }
    quotient = fma(to_double(c), t.fraction[i], quotient);
  }

  HD float result(crt const& t, int s) const {
    int64_t const q = to_integer(quotient);
    if constexpr (limbs == 1) {
      uint64_t const x =
          sum[0] + static_cast<uint64_t>(t.start) - static_cast<uint64_t>(q) * static_cast<uint64_t>(t.product);
      bool const negative = static_cast<int64_t>(x) < 0;
      return round_once(negative ? -x : x, negative, -s);
    } else {
      u128 x = t.start - static_cast<u128>(static_cast<i128>(q)) * t.product;
#pragma unroll
      for (int l = 0; l < limbs; ++l) x += static_cast<u128>(sum[l]) << (limb_bits * l);
      bool const negative = static_cast<i128>(x) < 0;
      return round_once(negative ? -x : x, negative, -s);
    }
  }
};

template <int N>
struct sized {
  static constexpr int value = N;
};

template <class F>
void with_count(int n, F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) { ((n == I + 6 ? f(sized<I + 6>{}) : void()), ...); }
  (std::make_integer_sequence<int, most_moduli - 5>{});
}

}  // namespace exact
