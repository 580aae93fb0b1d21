// An experiment: what f32 products with one rounding cost on a CPU, by the residue scheme of exact_products.cu, on one
// thread: s8 x s8 -> s32 products by AVX512-VNNI, slicing and reconstruction, beside BLIS's SGEMM in the same run.
//
// g++ -O3 -std=c++20 -march=native bench/exact_products_cpu.cpp -o exact_products_cpu
// -I/usr/include/x86_64-linux-gnu/blis-serial
//   -L/usr/lib/x86_64-linux-gnu/blis-serial -lblis

#include <cblas.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <numeric>
#include <vector>

namespace {

using u128 = unsigned __int128;
using i128 = __int128;

template <class T>
struct aligned {
  using value_type = T;
  T* allocate(std::size_t n) { return static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64)); }
  void deallocate(T* p, std::size_t) { std::free(p); }
  bool operator==(aligned const&) const = default;
};
template <class T>
using buffer = std::vector<T, aligned<T>>;

// Tiles of 14 rows x 32 columns; k in steps of 4 (one int32 of bytes) within blocks of 1,024, so that b's panel (32 KB)
// stays in L1 beside a's (14 KB). b is the unsigned operand, b + 128; 128 times the sum of a's row comes off at the end.
constexpr int tile_rows = 14, tile_columns = 32, block_k = 1024, block_rows = 14 * 18;

// vpdpbusd by hand: GCC 12 copies the accumulators of _mm512_dpbusd_epi32.
inline void dot4(__m512i& sum, __m512i u8, __m512i s8) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u8), "v"(s8)); }

__attribute__((noinline)) void tile(std::int8_t const* a, std::uint8_t const* b, int steps, std::int32_t* c, int ldc,
                                    bool first) {
  __m512i sum[tile_rows][2];
#pragma GCC unroll 14
  for (int i = 0; i < tile_rows; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
  for (int s = 0; s < steps; ++s) {
    __m512i const b0 = _mm512_load_si512(b), b1 = _mm512_load_si512(b + 64);
#pragma GCC unroll 14
    for (int i = 0; i < tile_rows; ++i) {
      std::int32_t four;
      std::memcpy(&four, a + 4 * i, 4);
      __m512i const x = _mm512_set1_epi32(four);
      dot4(sum[i][0], b0, x);
      dot4(sum[i][1], b1, x);
    }
    a += 4 * tile_rows;
    b += 4 * tile_columns;
  }
#pragma GCC unroll 14
  for (int i = 0; i < tile_rows; ++i) {
    std::int32_t* const to = c + static_cast<std::ptrdiff_t>(i) * ldc;
    if (!first) {
      sum[i][0] = _mm512_add_epi32(sum[i][0], _mm512_loadu_si512(to));
      sum[i][1] = _mm512_add_epi32(sum[i][1], _mm512_loadu_si512(to + 16));
    }
    _mm512_storeu_si512(to, sum[i][0]);
    _mm512_storeu_si512(to + 16, sum[i][1]);
  }
}

int padded(int n, int to) { return (n + to - 1) / to * to; }

// Operands are packed as the slicing writes them: a in panels of 14 rows, b in panels of 32 columns, both by steps of 4 k.
std::size_t at_a(int i, int l, int k) {
  return static_cast<std::size_t>(i / tile_rows) * tile_rows * k + static_cast<std::size_t>(l / 4) * 4 * tile_rows +
         i % tile_rows * 4 + l % 4;
}
std::size_t at_b(int l, int j, int k) {
  return static_cast<std::size_t>(j / tile_columns) * tile_columns * k + static_cast<std::size_t>(l / 4) * 4 * tile_columns +
         j % tile_columns * 4 + l % 4;
}

// c (rows padded to 14, columns to 32) = a (b + 128).
void product(std::int8_t const* a, std::uint8_t const* b, std::int32_t* c, int m, int n, int k) {
  for (int l = 0; l < k; l += block_k) {
    int const depth = std::min(block_k, k - l);
    for (int i0 = 0; i0 < m; i0 += block_rows)
      for (int j = 0; j < n; j += tile_columns)
        for (int i = i0; i < std::min(m, i0 + block_rows); i += tile_rows)
          tile(a + at_a(i, l, k), b + at_b(l, j, k), depth / 4, c + static_cast<std::size_t>(i) * n + j, n, l == 0);
  }
}

constexpr int most = 8;  // P < 2^64

struct scheme {
  int count, p[most]{};
  std::uint64_t product = 1, weight[most]{}, start = 0;
  double fraction[most]{}, inverse[most]{};

  explicit scheme(int n) : count(n) {
    int found = 0;
    for (int candidate = 256; found < n; --candidate)
      if (std::all_of(p, p + found, [&](int q) { return std::gcd(q, candidate) == 1; })) p[found++] = candidate;
    for (int i = 0; i < n; ++i) product *= static_cast<std::uint64_t>(p[i]);
    for (int i = 0; i < n; ++i) {
      std::uint64_t const rest = product / p[i];
      int x = 1;
      while (rest % p[i] * x % p[i] != 1) ++x;
      weight[i] = rest * x, fraction[i] = static_cast<double>(x) / p[i], inverse[i] = 1.0 / p[i];
    }
  }
  int total_bits(int k) const {
    return static_cast<int>(std::log2(static_cast<double>(product)) - 1 - std::log2(k) - 0.001);
  }
};

int exponent_of(float x) { return x == 0 ? 0 : std::ilogb(x) + 1; }

// Four k of one row or column to the word of each plane. x: scaled operands as doubles, 16 rows or columns of four k.
inline void residues_of(double const* x, int lanes, scheme const& s, int t, std::int32_t offset, std::int32_t* out) {
  constexpr double magic = 6755399441055744.0;
  double const p = s.p[t], inverse = s.inverse[t];
  for (int i = 0; i < lanes; ++i) {
    double const q = (x[i] * inverse + magic) - magic;
    out[i] = static_cast<std::int32_t>(x[i] - p * q) + offset;
  }
}

void slice_rows(float const* a, int m, int k, scheme const& s, int bits, std::int8_t* out, std::size_t plane, int* scales) {
  std::vector<double> x(k);
  std::vector<std::int32_t> r(k);
  for (int i = 0; i < m; ++i) {
    float largest = 0;
    for (int l = 0; l < k; ++l) largest = std::max(largest, std::fabs(a[static_cast<std::size_t>(i) * k + l]));
    scales[i] = bits - exponent_of(largest);
    double const factor = std::ldexp(1.0, scales[i]);
    for (int l = 0; l < k; ++l) x[l] = std::nearbyint(a[static_cast<std::size_t>(i) * k + l] * factor);
    for (int t = 0; t < s.count; ++t) {
      residues_of(x.data(), k, s, t, 0, r.data());
      std::int8_t* const to = out + t * plane + at_a(i, 0, k);
      for (int l = 0; l < k; l += 4) {
        std::uint32_t const word =
            (r[l] & 255) | (r[l + 1] & 255) << 8 | (r[l + 2] & 255) << 16 | static_cast<std::uint32_t>(r[l + 3]) << 24;
        std::memcpy(to + static_cast<std::ptrdiff_t>(l) * tile_rows, &word, 4);
      }
    }
  }
}

// Sums of a's rows, for the offset: 128 times them.
void row_sums(std::int8_t const* a, int m, int k, std::int32_t* sums) {
  for (int i = 0; i < m; i += tile_rows) {
    std::int8_t const* at = a + at_a(i, 0, k);
    std::int32_t part[tile_rows]{};
    for (int l = 0; l < k; l += 4)
      for (int j = 0; j < tile_rows; ++j, at += 4) part[j] += at[0] + at[1] + at[2] + at[3];
    std::copy(part, part + tile_rows, sums + i);
  }
}

void slice_columns(float const* b, int k, int n, scheme const& s, int bits, std::uint8_t* out, std::size_t plane,
                   int* scales) {
  std::vector<float> largest(n);
  for (int l = 0; l < k; ++l)
    for (int j = 0; j < n; ++j) largest[j] = std::max(largest[j], std::fabs(b[static_cast<std::size_t>(l) * n + j]));
  std::vector<double> factor(n);
  for (int j = 0; j < n; ++j) scales[j] = bits - exponent_of(largest[j]), factor[j] = std::ldexp(1.0, scales[j]);
  double x[4 * tile_columns];
  std::int32_t r[4 * tile_columns];
  for (int j0 = 0; j0 < n; j0 += tile_columns)
    for (int l = 0; l < k; l += 4) {
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < tile_columns; ++j)
          x[i * tile_columns + j] = std::nearbyint(b[static_cast<std::size_t>(l + i) * n + j0 + j] * factor[j0 + j]);
      for (int t = 0; t < s.count; ++t) {
        residues_of(x, 4 * tile_columns, s, t, 128, r);
        std::uint32_t words[tile_columns];
        for (int j = 0; j < tile_columns; ++j)
          words[j] = (r[j] & 255) | (r[tile_columns + j] & 255) << 8 | (r[2 * tile_columns + j] & 255) << 16 |
                     static_cast<std::uint32_t>(r[3 * tile_columns + j]) << 24;
        std::memcpy(out + t * plane + at_b(l, j0, k), words, sizeof words);
      }
    }
}

// Results of normal size alone: the conversion of int64 to f32 is the one rounding.
void reconstruct(std::int32_t const* sums, std::size_t plane, int m, int n, scheme const& s, std::int32_t const* offsets,
                 int rows, int const* scales_a, int const* scales_b, float* c) {
  std::vector<float> factor(n);
  for (int j = 0; j < n; ++j) factor[j] = std::ldexp(1.0f, -scales_b[j]);
  for (int i = 0; i < m; ++i) {
    float const row_factor = std::ldexp(1.0f, -scales_a[i]);
    for (int j0 = 0; j0 < n; j0 += 16) {
      double quotient[16]{};
      std::uint64_t x[16]{};
      for (int t = 0; t < s.count; ++t) {
        std::int32_t const* from = sums + t * plane + static_cast<std::size_t>(i) * n + j0;
        std::int32_t const off = 128 * offsets[t * rows + i];
        double const f = s.fraction[t];
        std::uint64_t const w = s.weight[t];
        for (int j = 0; j < 16; ++j) {
          std::int32_t const v = from[j] - off;
          quotient[j] += v * f;
          x[j] += static_cast<std::uint64_t>(static_cast<std::int64_t>(v)) * w;
        }
      }
      for (int j = 0; j < 16; ++j) {
        std::int64_t const q = static_cast<std::int64_t>(std::nearbyint(quotient[j]));
        x[j] -= static_cast<std::uint64_t>(q) * s.product;
        c[static_cast<std::size_t>(i) * n + j0 + j] =
            static_cast<float>(static_cast<std::int64_t>(x[j])) * row_factor * factor[j0 + j];
      }
    }
  }
}

// Least time of this thread: the machine may be shared.
double seconds(int repetitions, std::function<void()> const& f) {
  auto const now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  double least = 1e30;
  for (int i = 0; i <= repetitions; ++i) {
    double const start = now();
    f();
    if (i > 0) least = std::min(least, now() - start);
  }
  return least;
}

// The peaks of the core: 16 chains of FMAs and of vpdpbusd in registers.
void peaks() {
  constexpr int steps = 4000000, chains = 16;
  double const dots = seconds(3, [] {
    __m512i sum[chains], x = _mm512_set1_epi8(1);
#pragma GCC unroll 16
    for (int j = 0; j < chains; ++j) sum[j] = x;
    for (int i = 0; i < steps; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < chains; ++j) dot4(sum[j], x, x);
#pragma GCC unroll 16
    for (int j = 0; j < chains; ++j) asm volatile("" ::"v"(sum[j]));
  });
  double const fmas = seconds(3, [] {
    __m512 sum[chains], x = _mm512_set1_ps(1e-9f);
#pragma GCC unroll 16
    for (int j = 0; j < chains; ++j) sum[j] = x;
    for (int i = 0; i < steps; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < chains; ++j) asm("vfmadd231ps %1, %1, %0" : "+v"(sum[j]) : "v"(x));
#pragma GCC unroll 16
    for (int j = 0; j < chains; ++j) asm volatile("" ::"v"(sum[j]));
  });
  double const work = 1e-9 * chains * steps;
  std::printf("peaks: s8 %.0f GOP/s, f32 %.0f GFLOP/s\n", work * 128 / dots, work * 32 / fmas);
}

int run(int n) {
  int const rows = padded(n, tile_rows), k = n;
  std::size_t const size = static_cast<std::size_t>(n) * n, plane_a = static_cast<std::size_t>(rows) * k,
                    plane_c = static_cast<std::size_t>(rows) * n;
  buffer<float> a(size), b(size), c(size), d(size);
  std::uint64_t state = 1;
  auto const next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(static_cast<double>(static_cast<std::int64_t>(state)) * 0x1p-63);
  };
  for (auto& x : a) x = next();
  for (auto& x : b) x = next();
  buffer<std::int8_t> slices_a(plane_a * most + 64);
  buffer<std::uint8_t> slices_b(size * most);
  buffer<std::int32_t> sums(plane_c * most), offsets(static_cast<std::size_t>(rows) * most);
  std::vector<int> scales_a(n), scales_b(n);
  scheme const s(most);
  int const total = s.total_bits(k), bits_a = (total + 1) / 2, bits_b = total / 2;

  double const sgemm = seconds(7, [&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, d.data(), n);
  });
  double const slicing = seconds(5, [&] {
    slice_rows(a.data(), n, k, s, bits_a, slices_a.data(), plane_a, scales_a.data());
    for (int t = 0; t < most; ++t) row_sums(slices_a.data() + t * plane_a, rows, k, offsets.data() + t * rows);
    slice_columns(b.data(), k, n, s, bits_b, slices_b.data(), size, scales_b.data());
  });
  double const products = seconds(5, [&] {
    for (int t = 0; t < most; ++t)
      product(slices_a.data() + t * plane_a, slices_b.data() + t * size, sums.data() + t * plane_c, rows, n, k);
  });
  double const rebuilding = seconds(5, [&] {
    reconstruct(sums.data(), plane_c, n, n, s, offsets.data(), rows, scales_a.data(), scales_b.data(), c.data());
  });
  int wrong = 0, seen = 0;
  for (int i = 0; i < n; i += n / 37)
    for (int j = 0; j < n; j += n / 41, ++seen) {
      i128 sum = 0;
      for (int l = 0; l < k; ++l)
        sum += static_cast<i128>(
                   std::llrint(std::ldexp(static_cast<double>(a[static_cast<std::size_t>(i) * k + l]), scales_a[i]))) *
               std::llrint(std::ldexp(static_cast<double>(b[static_cast<std::size_t>(l) * n + j]), scales_b[j]));
      wrong += static_cast<float>(std::ldexp(static_cast<long double>(sum), -scales_a[i] - scales_b[j])) !=
               c[static_cast<std::size_t>(i) * n + j];
    }
  double const work = 2.0 * n * n * n, all = slicing + products + rebuilding;
  std::printf(
      "n %d: SGEMM %.1f GFLOP/s; s8 %.0f GOP/s (x%.2f); %d moduli, bits %d/%d: slice %.1f + s8 %.1f + crt %.1f ms = %.2f "
      "times SGEMM; "
      "%d of %d samples wrong\n",
      n, work / sgemm / 1e9, work * most / products / 1e9, most * sgemm / products, most, bits_a, bits_b, slicing * 1e3,
      products * 1e3, rebuilding * 1e3, all / sgemm, wrong, seen);
  return wrong != 0;
}

}  // namespace

int main() {
  setenv("BLIS_ARCH_TYPE", "0", 0);  // skx: BLIS 0.9 does not know Zen 5 and would use plain C
  peaks();
  int wrong = 0;
  for (int const n : {512, 1024, 2048}) wrong |= run(n);
  return wrong;
}
