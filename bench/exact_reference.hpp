// Operands for exact_products.cu, references for its results, and its checks without a GPU.
#pragma once

#include <vector>

#include "exact_residues.hpp"

namespace exact {

enum class operands { grid, uniform, normal, wide, graded };
constexpr char const* name_of[] = {"grid", "uniform", "normal", "wide", "graded"};

HD uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// grid: multiples of 2^-24 in (-1, 1). uniform: full significands in (-1, 1). wide: uniform times 2^e, e in [-20, 20] for
// each element. graded: the same, but e depends on k alone and is negated in b, so that all products are of one size.
HD float element(operands kind, uint64_t seed, size_t index, int k, bool second) {
  uint64_t const h = mixed(seed ^ mixed(index)), g = mixed(h);
  double const u = (static_cast<double>(h >> 11) + 0.5) * 0x1p-53, sign = g & 1 ? -1 : 1;
  if (kind == operands::grid) return static_cast<float>(sign * static_cast<double>(h >> 40) * 0x1p-24);
  if (kind == operands::normal)
    return static_cast<float>(sqrt(-2 * log(u)) * cos(6.283185307179586 * (static_cast<double>(g >> 11) * 0x1p-53)));
  float const x = static_cast<float>(sign * u);
  if (kind == operands::uniform) return x;
  int const e = static_cast<int>((kind == operands::wide ? g >> 8 : mixed(static_cast<uint64_t>(k)) >> 8) % 41) - 20;
  return static_cast<float>(x * ldexp(1.0, kind == operands::graded && second ? -e : e));
}

struct measure {
  double reference = 0, magnitude = 0;  // the product to about 100 bits, rounded to double; |a| |b|
};

inline measure reference_of(float const* a, float const* b, int k) {
  double high = 0, low = 0, magnitude = 0;
  for (int i = 0; i < k; ++i) {
    double const x = static_cast<double>(a[i]) * b[i], sum = high + x, z = sum - high;
    low += (high - (sum - z)) + (x - z);
    high = sum;
    magnitude += std::fabs(x);
  }
  return {high + low, magnitude};
}

inline float largest_of(float const* x, int k) {
  float largest = 0;
  for (int i = 0; i < k; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// sum * 2^-s rounded to nearest even: of an approximation and its neighbours, the nearest in exact arithmetic. For results
// of normal size.
inline float nearest(i128 sum, int s) {
  auto const exact = [&](float x) { return static_cast<i128>(std::ldexp(static_cast<long double>(x), s)); };
  auto const distance = [&](float x) { return sum < exact(x) ? exact(x) - sum : sum - exact(x); };
  float best = static_cast<float>(std::ldexp(static_cast<long double>(sum), -s));
  if ((sum < 0 ? -sum : sum) >> 24 == 0) return best;
  for (float const x : {std::nextafter(best, INFINITY), std::nextafter(best, -INFINITY)}) {
    bool const tie = distance(x) == distance(best);
    if (distance(x) < distance(best) || (tie && (std::bit_cast<uint32_t>(x) & 1) == 0)) best = x;
  }
  return best;
}

// The promise computed plainly: rounded operands, their product in 128 bits, one rounding.
inline float promised(float const* a, float const* b, int k, scheme const& s) {
  int const sa = scale_of(largest_of(a, k), s.bits_a(k)), sb = scale_of(largest_of(b, k), s.bits_b(k));
  auto const integer = [](float x, int scale) {
    return static_cast<i128>(std::llrint(std::ldexp(static_cast<double>(x), scale)));
  };
  i128 sum = 0;
  for (int i = 0; i < k; ++i) sum += integer(a[i], sa) * integer(b[i], sb);
  return nearest(sum, sa + sb);
}

// Bits below the maximum that represent the whole row exactly.
inline int bits_needed(float const* x, int k) {
  int least = 1000;
  for (int i = 0; i < k; ++i)
    if (x[i] != 0) {
      int e = 0;
      auto const significand = static_cast<uint32_t>(std::fabs(std::ldexp(std::frexp(x[i], &e), 24)));
      least = std::min(least, e - 24 + std::countr_zero(significand));
    }
  float const largest = largest_of(x, k);
  return largest == 0 ? 0 : std::ilogb(largest) + 1 - least;
}

inline double unit_of(double x) { return std::ldexp(1.0, std::max(std::ilogb(x), -126) - 23); }

inline int host_checks() {
  int const m = 24, k = 384, n = 20;
  long wrong = 0, seen = 0;
  for (int count = 6; count <= most_moduli; ++count) {
    scheme const s(count);
    std::printf("N %2d: log2 P %.2f, p %d..%d, bits of a/b at k = 4096: %d/%d, 8192: %d/%d\n", count,
                std::log2(static_cast<double>(s.t.product)), s.p[0], s.p[count - 1], s.bits_a(4096), s.bits_b(4096),
                s.bits_a(8192), s.bits_b(8192));
    for (int kind = 0; kind < 5; ++kind) {
      std::vector<float> a(m * k), bt(n * k);
      for (int i = 0; i < m * k; ++i) a[i] = element(operands(kind), 1, i, i % k, false);
      for (int i = 0; i < n * k; ++i) bt[i] = element(operands(kind), 2, i, i % k, true);
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          float const *x = &a[i * k], *y = &bt[j * k];
          int const sa = scale_of(largest_of(x, k), s.bits_a(k)), sb = scale_of(largest_of(y, k), s.bits_b(k));
          int32_t sums[most_moduli]{};
          for (int t = 0; t < count; ++t)
            for (int l = 0; l < k; ++l) {
              double const p = s.m.value[t], inverse = s.m.inverse[t];
              sums[t] += static_cast<int8_t>(residue(std::rint(x[l] * power(sa)), p, inverse, count > 14)) *
                         static_cast<int8_t>(residue(std::rint(y[l] * power(sb)), p, inverse, count > 14));
            }
          float got = 0;
          with_count(count, [&](auto size) {
            accumulator<decltype(size)::value> acc;
            for (int t = 0; t < count; ++t) acc.add(s.t, t, sums[t]);
            got = acc.result(s.t, sa + sb);
          });
          ++seen;
          wrong += std::bit_cast<uint32_t>(got) != std::bit_cast<uint32_t>(promised(x, y, k, s));
        }
    }
    // The largest sums, and sums about ties, with the residues that a GPU might return: any int32 congruent to them.
    with_count(count, [&](auto size) {
      u128 const limit = s.t.product / 2 - (s.t.product >> 11);
      for (int i = 0; i < 20000; ++i) {
        u128 const r = (static_cast<u128>(mixed(4 * i)) << 64) | mixed(4 * i + 1);
        u128 magnitude = i % 4 == 0 ? limit - r % 1000 : (r % limit) >> (mixed(4 * i + 2) % 100);
        if (i % 4 == 1 && magnitude >> 26) {  // a tie or its neighbour
          int top = 127;
          while ((magnitude >> top) == 0) --top;
          u128 const half = u128{1} << (top - 24);
          magnitude = (magnitude & ~(2 * half - 1)) + half + static_cast<u128>(static_cast<i128>(mixed(i) % 3) - 1);
        }
        i128 const sum = i & 16 ? -static_cast<i128>(magnitude) : static_cast<i128>(magnitude);
        int const shift = static_cast<int>(mixed(i) >> 40) % 300 - 100;  // denormals and overflow among them
        accumulator<decltype(size)::value> acc;
        for (int t = 0; t < count; ++t) {
          int const p = s.p[t];
          int64_t const base = static_cast<int64_t>(((sum % p) + p) % p),
                        times = (static_cast<int64_t>(mixed(i + 7919 * t) >> 33) - (1ll << 30)) / p;
          acc.add(s.t, t, static_cast<int32_t>(base + times * p));
        }
        long double const exact = std::ldexp(static_cast<long double>(magnitude), -shift);
        float const got = std::fabs(acc.result(s.t, shift));
        float const near = static_cast<float>(exact);
        bool good = got == near;  // long double holds 64 bits
        if (magnitude >> 64 != 0)
          good = std::isfinite(near) && near > 0x1p-126f ? got == nearest(magnitude, shift)
                                                         : std::fabs(got - near) <= 0x1p-149f || good;
        ++seen;
        if (!good && wrong++ < 5)
          std::printf("N %d i %d shift %d: %a, expected %a\n", count, i, shift, got, static_cast<float>(exact));
      }
    });
  }
  std::printf("host: %ld results, %ld wrong\n", seen, wrong);
  return wrong != 0;
}

}  // namespace exact
