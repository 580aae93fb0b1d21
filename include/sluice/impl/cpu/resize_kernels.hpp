// The kernels of resize. resize.hpp includes this once for each instruction set, in a namespace of its own, after defining
//   SLUICE_TARGET                                       the attribute that lets a function use the instruction set
//   SLUICE_SIMD_PLAIN, _NEON, _AVX2 or _AVX512          which one it is
//   vector_bytes                                        of its vectors
#define SLUICE_INLINE [[gnu::always_inline SLUICE_NODEBUG]] SLUICE_TARGET inline

using bytes = vec<std::uint8_t, vector_bytes>;
using sums = vec<std::uint32_t, vector_bytes / 4>;

inline constexpr int block = 16;                     // columns that are transposed at once: a square in each 16 bytes
inline constexpr int groups = vector_bytes / block;  // of 16 bytes

SLUICE_INLINE bytes load(const std::uint8_t* p) {
  bytes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

SLUICE_INLINE bytes load_part(const std::uint8_t* p, std::int64_t count) {
  bytes x{};
  std::memcpy(&x, p, static_cast<std::size_t>(count));
  return x;
}

// In each 16 bytes: a[0] b[0] a[1] b[1] ... of their lower halves, and of their upper ones.
SLUICE_INLINE bytes interleave_lower(bytes a, bytes b) {
#if defined(SLUICE_SIMD_AVX512)
  return (bytes)_mm512_unpacklo_epi8((__m512i)a, (__m512i)b);
#elif defined(SLUICE_SIMD_AVX2)
  return (bytes)_mm256_unpacklo_epi8((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (bytes)_mm_unpacklo_epi8((__m128i)a, (__m128i)b);
#else
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#endif
}
SLUICE_INLINE bytes interleave_upper(bytes a, bytes b) {
#if defined(SLUICE_SIMD_AVX512)
  return (bytes)_mm512_unpackhi_epi8((__m512i)a, (__m512i)b);
#elif defined(SLUICE_SIMD_AVX2)
  return (bytes)_mm256_unpackhi_epi8((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
  return (bytes)_mm_unpackhi_epi8((__m128i)a, (__m128i)b);
#else
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#endif
}

// Sums of as many samples as a vector has bytes.
struct accumulators {
  sums lower[4];
#if defined(__x86_64__)
  sums upper[4];

  // In each 32 bits: a sample times one weight, plus one times the other.
  SLUICE_INLINE static sums products(bytes samples, std::uint32_t weights) {
    const auto w = static_cast<int>(weights);
#if defined(SLUICE_SIMD_AVX512)
    return (sums)_mm512_madd_epi16((__m512i)samples, _mm512_set1_epi32(w));
#elif defined(SLUICE_SIMD_AVX2)
    return (sums)_mm256_madd_epi16((__m256i)samples, _mm256_set1_epi32(w));
#else
    return (sums)_mm_madd_epi16((__m128i)samples, _mm_set1_epi32(w));
#endif
  }

  SLUICE_INLINE void add(bytes a, bytes b, weight_pair w) {
    const bytes front = interleave_lower(a, b);
    const bytes back = interleave_upper(a, b);
    const bytes samples[4] = {interleave_lower(front, bytes{}), interleave_upper(front, bytes{}),
                              interleave_lower(back, bytes{}), interleave_upper(back, bytes{})};
    SLUICE_UNROLL
    for (int k = 0; k < 4; ++k) {
      upper[k] += products(samples[k], w.upper);
      lower[k] += products(samples[k], w.lower);
    }
  }

  // Rounded and cut at 255, by saturating twice.
  SLUICE_INLINE bytes rounded() const {
    sums x[4];
    SLUICE_UNROLL
    for (int k = 0; k < 4; ++k)
      x[k] = ((upper[k] << part_bits) + lower[k] + (1u << (base::resize_bits - 1))) >> base::resize_bits;
#if defined(SLUICE_SIMD_AVX512)
    return (bytes)_mm512_packus_epi16(_mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]),
                                      _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]));
#elif defined(SLUICE_SIMD_AVX2)
    return (bytes)_mm256_packus_epi16(_mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]),
                                      _mm256_packs_epi32((__m256i)x[2], (__m256i)x[3]));
#else
    return (bytes)_mm_packus_epi16(_mm_packs_epi32((__m128i)x[0], (__m128i)x[1]),
                                   _mm_packs_epi32((__m128i)x[2], (__m128i)x[3]));
#endif
  }
#else
  SLUICE_INLINE void add(bytes a, std::uint32_t weight) {
#if defined(SLUICE_SIMD_NEON)
    const uint16x8_t front = vmovl_u8(vget_low_u8((uint8x16_t)a));
    const uint16x8_t back = vmovl_high_u8((uint8x16_t)a);
    const uint32x4_t samples[4] = {vmovl_u16(vget_low_u16(front)), vmovl_high_u16(front), vmovl_u16(vget_low_u16(back)),
                                   vmovl_high_u16(back)};
    SLUICE_UNROLL
    for (int k = 0; k < 4; ++k) lower[k] = (sums)vmlaq_n_u32((uint32x4_t)lower[k], samples[k], weight);
#else
    for (int k = 0; k < vector_bytes; ++k) lower[k / 4][k % 4] += a[k] * weight;
#endif
  }

  SLUICE_INLINE void add(bytes a, bytes b, weight_pair w) {
    add(a, w.get(0));
    add(b, w.get(1));
  }

  SLUICE_INLINE bytes rounded() const {
    bytes x;
    SLUICE_UNROLL
    for (int k = 0; k < vector_bytes; ++k)
      x[k] = static_cast<std::uint8_t>(
          std::min<std::uint32_t>(255, (lower[k / 4][k % 4] + (1u << (base::resize_bits - 1))) >> base::resize_bits));
    return x;
  }
#endif
};

// Of the first `part` samples of a line only, where that is not 0.
SLUICE_INLINE bytes weighted_sum(const std::uint8_t* p, std::int64_t stride, const weighted_taps& taps,
                                 std::int64_t part = 0) {
  accumulators all{};
  const weight_pair* w = taps.weights;
  std::int64_t left = taps.count;
  if (part == 0) {
    for (; left > 1; left -= 2, p += 2 * stride) all.add(load(p), load(p + stride), *w++);
    if (left == 1) all.add(load(p), bytes{}, *w);
  } else {
    for (; left > 1; left -= 2, p += 2 * stride) all.add(load_part(p, part), load_part(p + stride, part), *w++);
    if (left == 1) all.add(load_part(p, part), bytes{}, *w);
  }
  return all.rounded();
}

SLUICE_TARGET inline void sum(const sum_arguments& a) {
  const std::uint8_t* const p = a.first + a.taps.first * a.stride;
  if (a.bytes < vector_bytes) {
    const bytes x = weighted_sum(p, a.stride, a.taps, a.bytes);
    std::memcpy(a.to, &x, static_cast<std::size_t>(a.bytes));
    return;
  }
  for (std::int64_t next = 0; next < a.bytes; next += vector_bytes) {
    const std::int64_t i = std::min<std::int64_t>(next, a.bytes - vector_bytes);
    const bytes x = weighted_sum(p + i, a.stride, a.taps);
    std::memcpy(a.to + i, &x, sizeof x);
  }
}

SLUICE_TARGET inline void sum_columns(const columns_arguments& a) {
  std::uint8_t* to = a.to;
  const std::int64_t stride = a.channels * vector_bytes;
  for (std::int64_t i = 0; i < a.count; ++i) {
    const std::uint8_t* p = a.lines + (a.pixels[i].first - a.first_tap) * stride;
    for (std::int64_t c = 0; c < a.channels; ++c, p += vector_bytes, to += vector_bytes) {
      const bytes x = weighted_sum(p, stride, a.pixels[i]);
      std::memcpy(to, &x, sizeof x);
    }
  }
}

// Byte k of vector i and byte i of vector k change places, in each 16 bytes: every round rotates the 8 bits of a byte's
// place, 4 of its vector and 4 within it, by one.
SLUICE_INLINE void transpose(bytes (&x)[block]) {
  SLUICE_UNROLL
  for (int round = 0; round < 4; ++round) {
    bytes next[block];
    SLUICE_UNROLL
    for (int i = 0; i < block / 2; ++i) {
      next[2 * i] = interleave_lower(x[i], x[i + block / 2]);
      next[2 * i + 1] = interleave_upper(x[i], x[i + block / 2]);
    }
    SLUICE_UNROLL
    for (int i = 0; i < block; ++i) x[i] = next[i];
  }
}

// 16 rows at a time, and of each as many columns as a vector has bytes: whole cache lines, one after the other.
SLUICE_TARGET inline void to_lines(const std::uint8_t* first, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                                   std::uint8_t* lines) {
  for (std::int64_t r = 0; r < rows; r += block) {
    const std::uint8_t* row[block];
    for (std::int64_t i = 0; i < block; ++i) row[i] = first + std::min(r + i, rows - 1) * stride;
    for (std::int64_t next = 0; next < columns; next += vector_bytes) {
      const std::int64_t column = std::max<std::int64_t>(0, std::min(next, columns - vector_bytes));
      bytes x[block];
      if (columns >= vector_bytes) {
        SLUICE_UNROLL
        for (int i = 0; i < block; ++i) x[i] = load(row[i] + column);
      } else {
        SLUICE_UNROLL
        for (int i = 0; i < block; ++i) x[i] = load_part(row[i], columns);
      }
      transpose(x);
      std::uint8_t* const to = lines + column * vector_bytes + r;
      SLUICE_UNROLL
      for (int g = 0; g < groups; ++g) SLUICE_UNROLL
      for (int i = 0; i < block; ++i)
        std::memcpy(to + (g * block + i) * vector_bytes, reinterpret_cast<const char*>(&x[i]) + g * block, block);
    }
  }
}

SLUICE_TARGET inline void to_rows(const std::uint8_t* lines, std::int64_t columns, std::uint8_t* first, std::int64_t stride,
                                  std::int64_t rows) {
  if (columns < block) {
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t c = 0; c < columns; ++c) first[i * stride + c] = lines[c * vector_bytes + i];
    return;
  }
  for (std::int64_t next = 0; next < columns; next += block) {
    const std::int64_t column = std::min(next, columns - block);
    bytes x[block];
    std::memcpy(x, lines + column * vector_bytes, sizeof x);
    transpose(x);
    SLUICE_UNROLL
    for (int g = 0; g < groups; ++g) SLUICE_UNROLL
    for (int i = 0; i < block; ++i)
      if (g * block + i < rows)
        std::memcpy(first + (g * block + i) * stride + column, reinterpret_cast<const char*>(&x[i]) + g * block, block);
  }
}

inline const kernels& kernels_of_level() {
  static constexpr kernels all{vector_bytes, sum, sum_columns, to_lines, to_rows};
  return all;
}

#undef SLUICE_INLINE
