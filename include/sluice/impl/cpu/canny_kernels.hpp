// The kernels of canny. canny.hpp includes this once for each instruction set, in a namespace of its own, after defining
//   SLUICE_TARGET                                       the attribute that lets a function use the instruction set
//   SLUICE_SIMD_PLAIN, _NEON, _AVX2 or _AVX512          which one it is
//   vector_bytes                                        of its vectors
#define SLUICE_INLINE [[gnu::always_inline SLUICE_NODEBUG]] SLUICE_TARGET inline

template <class T>
inline constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));
template <class T>
using vector = vec<T, vector_bytes / static_cast<int>(sizeof(T))>;

template <class V, class T>
SLUICE_INLINE V load(const T* p) {
  V x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

template <class V, class T>
SLUICE_INLINE void store(T* p, V x) {
  std::memcpy(p, &x, sizeof x);
}

// Comparisons lane by lane, and choices by them. With AVX-512 they are in mask registers, by intrinsics alone: where GCC 12
// spills such a register, the bits above those of the mask are lost, and integers made of it are wrong. Zero-masking forms:
// the plain ones raise a false warning.
#if defined(SLUICE_SIMD_AVX512)
template <class T>
using flags = std::conditional_t<sizeof(T) == 2, __mmask32, __mmask16>;
#define SLUICE_BY_LANES(bits, mask)                                                                                         \
  SLUICE_INLINE mask above(vector<std::int##bits##_t> a, vector<std::int##bits##_t> b) {                                    \
    return _mm512_cmpgt_epi##bits##_mask((__m512i)a, (__m512i)b);                                                           \
  }                                                                                                                         \
  SLUICE_INLINE mask below_zero(vector<std::int##bits##_t> a) { return _mm512_movepi##bits##_mask((__m512i)a); }            \
  SLUICE_INLINE vector<std::int##bits##_t> largest(vector<std::int##bits##_t> a, vector<std::int##bits##_t> b) {            \
    return (vector<std::int##bits##_t>)_mm512_maskz_max_epi##bits(static_cast<mask>(-1), (__m512i)a, (__m512i)b);           \
  }                                                                                                                         \
  SLUICE_INLINE vector<std::int##bits##_t> choose(mask first, vector<std::int##bits##_t> a, vector<std::int##bits##_t> b) { \
    return (vector<std::int##bits##_t>)_mm512_mask_blend_epi##bits(first, (__m512i)b, (__m512i)a);                          \
  }
SLUICE_BY_LANES(16, __mmask32)
SLUICE_BY_LANES(32, __mmask16)
#undef SLUICE_BY_LANES
#else
template <class T>
using flags = vector<T>;  // -1 or 0
template <class V>
SLUICE_INLINE V above(V a, V b) {
  return a > b;
}
template <class V>
SLUICE_INLINE V below_zero(V a) {
  return a < 0;
}
template <class V>
SLUICE_INLINE V largest(V a, V b) {
  return a > b ? a : b;
}
template <class V>
SLUICE_INLINE V choose(V first, V a, V b) {
  return first ? a : b;
}
#endif

// As many bytes as T has lanes, widened.
template <class T>
SLUICE_INLINE vector<T> widen_bytes(const std::uint8_t* p) {
  return __builtin_convertvector((load<vec<std::uint8_t, lanes<T>>>(p)), vector<T>);
}

// As many derivatives as T has lanes.
template <class T>
SLUICE_INLINE vector<T> load_derivatives(const std::int16_t* p) {
  if constexpr (sizeof(T) == 2)
    return load<vector<T>>(p);
  else
    return __builtin_convertvector((load<vec<std::int16_t, lanes<T>>>(p)), vector<T>);
}

// x * tan 22.5 degrees, floored, for 0 <= x <= 1020. In lanes of 32 bits the upper halves are 0, and stay so.
SLUICE_INLINE vector<std::int16_t> times_tan(vector<std::int16_t> x) {
  constexpr std::int16_t tan = base::canny_tan;
#if defined(SLUICE_SIMD_AVX512)
  return (vector<std::int16_t>)_mm512_mulhi_epi16((__m512i)(x + x), _mm512_set1_epi16(tan));
#elif defined(SLUICE_SIMD_AVX2)
  return (vector<std::int16_t>)_mm256_mulhi_epi16((__m256i)(x + x), _mm256_set1_epi16(tan));
#elif defined(__x86_64__)
  return (vector<std::int16_t>)_mm_mulhi_epi16((__m128i)(x + x), _mm_set1_epi16(tan));
#elif defined(SLUICE_SIMD_NEON)
  return (vector<std::int16_t>)vqdmulhq_n_s16((int16x8_t)x, tan);
#else
  for (int i = 0; i < lanes<std::int16_t>; ++i) x[i] = static_cast<std::int16_t>(x[i] * tan >> 15);
  return x;
#endif
}
SLUICE_INLINE vector<std::int32_t> times_tan(vector<std::int32_t> x) {
  return (vector<std::int32_t>)times_tan((vector<std::int16_t>)x);
}

// The magnitudes of as many gradients as a vector has derivatives.
SLUICE_INLINE void find_magnitudes(vector<std::int16_t> x, vector<std::int16_t> y, vector<std::int16_t> (&m)[1]) {
  m[0] = largest(x, -x) + largest(y, -y);
}
SLUICE_INLINE void find_magnitudes(vector<std::int16_t> x, vector<std::int16_t> y, vector<std::int32_t> (&m)[2]) {
#if defined(SLUICE_SIMD_AVX512)  // pairs (x, y) are multiplied and added; they come by halves of 8 bytes
  const __m512i low = _mm512_unpacklo_epi16((__m512i)x, (__m512i)y);
  const __m512i high = _mm512_unpackhi_epi16((__m512i)x, (__m512i)y);
  const __m512i a = _mm512_madd_epi16(low, low);
  const __m512i b = _mm512_madd_epi16(high, high);
  m[0] = (vector<std::int32_t>)_mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), b);
  m[1] = (vector<std::int32_t>)_mm512_permutex2var_epi64(a, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), b);
#elif defined(SLUICE_SIMD_AVX2)
  const __m256i low = _mm256_unpacklo_epi16((__m256i)x, (__m256i)y);
  const __m256i high = _mm256_unpackhi_epi16((__m256i)x, (__m256i)y);
  const __m256i a = _mm256_madd_epi16(low, low);
  const __m256i b = _mm256_madd_epi16(high, high);
  m[0] = (vector<std::int32_t>)_mm256_permute2x128_si256(a, b, 0x20);
  m[1] = (vector<std::int32_t>)_mm256_permute2x128_si256(a, b, 0x31);
#elif defined(__x86_64__)
  const __m128i low = _mm_unpacklo_epi16((__m128i)x, (__m128i)y);
  const __m128i high = _mm_unpackhi_epi16((__m128i)x, (__m128i)y);
  m[0] = (vector<std::int32_t>)_mm_madd_epi16(low, low);
  m[1] = (vector<std::int32_t>)_mm_madd_epi16(high, high);
#elif defined(SLUICE_SIMD_NEON)
  const auto a = (int16x8_t)x;
  const auto b = (int16x8_t)y;
  m[0] = (vector<std::int32_t>)vmlal_s16(vmull_s16(vget_low_s16(a), vget_low_s16(a)), vget_low_s16(b), vget_low_s16(b));
  m[1] = (vector<std::int32_t>)vmlal_high_s16(vmull_high_s16(a, a), b, b);
#else
  std::int16_t derivatives[2][lanes<std::int16_t>];
  store(derivatives[0], x);
  store(derivatives[1], y);
  for (int k = 0; k < 2; ++k) {
    const auto a = load_derivatives<std::int32_t>(derivatives[0] + k * lanes<std::int32_t>);
    const auto b = load_derivatives<std::int32_t>(derivatives[1] + k * lanes<std::int32_t>);
    m[k] = a * a + b * b;
  }
#endif
}

// a > b, for as many lanes as a vector has derivatives.
SLUICE_INLINE flags<std::int16_t> above(const vector<std::int16_t> (&a)[1], const vector<std::int16_t> (&b)[1]) {
  return above(a[0], b[0]);
}
SLUICE_INLINE flags<std::int16_t> above(const vector<std::int32_t> (&a)[2], const vector<std::int32_t> (&b)[2]) {
#if defined(SLUICE_SIMD_AVX512)
  return _mm512_kunpackw(above(a[1], b[1]), above(a[0], b[0]));
#elif defined(SLUICE_SIMD_AVX2)
  const __m256i both = _mm256_packs_epi32((__m256i)(a[0] > b[0]), (__m256i)(a[1] > b[1]));
  return (vector<std::int16_t>)_mm256_permute4x64_epi64(both, 0xd8);
#elif defined(__x86_64__)
  return (vector<std::int16_t>)_mm_packs_epi32((__m128i)(a[0] > b[0]), (__m128i)(a[1] > b[1]));
#elif defined(SLUICE_SIMD_NEON)
  return (vector<std::int16_t>)vmovn_high_s32(vmovn_s32((int32x4_t)(a[0] > b[0])), (int32x4_t)(a[1] > b[1]));
#else
  constexpr int half = lanes<std::int32_t>;
  vector<std::int16_t> all{};
  for (int i = 0; i < 2 * half; ++i) all[i] = a[i / half][i % half] > b[i / half][i % half] ? -1 : 0;
  return all;
#endif
}

// The results of 64 / N comparisons of N lanes each.
template <class T>
inline constexpr int comparisons = static_cast<int>(word_pixels) / lanes<T>;

// Comparison by comparison, the bits of a word.
template <class T>
SLUICE_INLINE std::uint64_t word_of(const flags<T> (&x)[comparisons<T>]) {
  std::uint64_t word = 0;
#if defined(SLUICE_SIMD_AVX512)
  if constexpr (sizeof(T) == 2)
    word = _mm512_kunpackd(x[1], x[0]);
  else
    word = _mm512_kunpackd(_mm512_kunpackw(x[3], x[2]), _mm512_kunpackw(x[1], x[0]));
#elif defined(SLUICE_SIMD_AVX2)
  SLUICE_UNROLL
  for (int k = 0; k < comparisons<T>; k += sizeof(T) == 2 ? 2 : 1) {
    std::uint32_t bits;
    if constexpr (sizeof(T) == 2)  // packing goes by halves of 16 bytes
      bits = static_cast<std::uint32_t>(
          _mm256_movemask_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16((__m256i)x[k], (__m256i)x[k + 1]), 0xd8)));
    else
      bits = static_cast<std::uint32_t>(_mm256_movemask_ps((__m256)x[k]));
    word |= std::uint64_t{bits} << k * lanes<T>;
  }
#elif defined(__x86_64__)
  SLUICE_UNROLL
  for (int k = 0; k < comparisons<T>; k += sizeof(T) == 2 ? 2 : 1) {
    std::uint32_t bits;
    if constexpr (sizeof(T) == 2)
      bits = static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16((__m128i)x[k], (__m128i)x[k + 1])));
    else
      bits = static_cast<std::uint32_t>(_mm_movemask_ps((__m128)x[k]));
    word |= std::uint64_t{bits} << k * lanes<T>;
  }
#elif defined(SLUICE_SIMD_NEON)
  uint8x16_t bits[4];  // in each byte its own bit of 8 pixels
  SLUICE_UNROLL
  for (int k = 0; k < 4; ++k) {
    uint16x8_t wide[2];
    for (int half = 0; half < 2; ++half) {
      const int at = (2 * k + half) * comparisons<T> / 8;
      if constexpr (sizeof(T) == 2)
        wide[half] = (uint16x8_t)x[at];
      else
        wide[half] = vcombine_u16(vmovn_u32((uint32x4_t)x[at]), vmovn_u32((uint32x4_t)x[at + 1]));
    }
    bits[k] = vandq_u8(vcombine_u8(vmovn_u16(wide[0]), vmovn_u16(wide[1])), (uint8x16_t)vdupq_n_u64(0x8040201008040201));
  }
  const uint8x16_t sums = vpaddq_u8(vpaddq_u8(bits[0], bits[1]), vpaddq_u8(bits[2], bits[3]));
  word = vgetq_lane_u64((uint64x2_t)vpaddq_u8(sums, sums), 0);
#else
  for (int k = 0; k < comparisons<T>; ++k)
    for (int i = 0; i < lanes<T>; ++i) word |= std::uint64_t{x[k][i] != 0} << (k * lanes<T> + i);
#endif
  return word;
}

// The sum above + 2 at + below of each column, and below - above, whose combinations along the row are Sobel's derivatives.
SLUICE_INLINE void add_columns(const std::uint8_t* above, const std::uint8_t* at, const std::uint8_t* below,
                               std::int16_t* smooth, std::int16_t* difference) {
  const auto a = widen_bytes<std::int16_t>(above);
  const auto b = widen_bytes<std::int16_t>(at);
  const auto c = widen_bytes<std::int16_t>(below);
  store(smooth, a + c + (b + b));
  store(difference, c - a);
}

SLUICE_INLINE void add_columns(const std::uint8_t* const (&rows)[3], std::int64_t width, std::int16_t* smooth,
                               std::int16_t* difference) {
  constexpr int step = lanes<std::int16_t>;
  std::int64_t i = 0;
  for (; i + step <= width; i += step) add_columns(rows[0] + i, rows[1] + i, rows[2] + i, smooth + i, difference + i);
  if (i < width) {
    std::uint8_t rest[3][step] = {};
    for (int k = 0; k < 3; ++k) std::memcpy(rest[k], rows[k] + i, static_cast<std::size_t>(width - i));
    add_columns(rest[0], rest[1], rest[2], smooth + i, difference + i);
  }
  smooth[-1] = smooth[0];
  smooth[width] = smooth[width - 1];
  difference[-1] = difference[0];
  difference[width] = difference[width - 1];
}

template <class T, int channels>
SLUICE_TARGET void gradients(const gradient_arguments<T>& g) {
  using derivatives = vector<std::int16_t>;
  constexpr int parts = sizeof(T) / sizeof(std::int16_t);
  const std::int64_t row = row_elements(g.width);
  for (int c = 0; c < channels; ++c) add_columns(g.rows[c], g.width, g.smooth + c * row, g.difference + c * row);
  for (std::int64_t i = 0; i < g.width; i += lanes<std::int16_t>) {
    derivatives dx{}, dy{};
    vector<T> magnitude[parts]{};
    SLUICE_UNROLL
    for (int c = 0; c < channels; ++c) {
      const std::int16_t* s = g.smooth + c * row + i;
      const std::int16_t* d = g.difference + c * row + i;
      const auto middle = load<derivatives>(d);
      const derivatives x = load<derivatives>(s + 1) - load<derivatives>(s - 1);
      const derivatives y = load<derivatives>(d - 1) + load<derivatives>(d + 1) + (middle + middle);
      vector<T> m[parts];
      find_magnitudes(x, y, m);
      if (c == 0) {
        dx = x;
        dy = y;
      } else {
        const auto better = above(m, magnitude);
        dx = choose(better, x, dx);
        dy = choose(better, y, dy);
      }
      SLUICE_UNROLL
      for (int k = 0; k < parts; ++k) magnitude[k] = c == 0 ? m[k] : largest(m[k], magnitude[k]);
    }
    store(g.to.dx + i, dx);
    store(g.to.dy + i, dy);
    SLUICE_UNROLL
    for (int k = 0; k < parts; ++k) store(g.to.magnitude + i + k * lanes<T>, magnitude[k]);
  }
  g.to.magnitude[-1] = 0;
  g.to.magnitude[g.width] = 0;
}

// Of the pixels of a word, from `first` on, those whose magnitude is a maximum along the gradient.
template <class T>
SLUICE_INLINE std::uint64_t maxima(const suppression_arguments<T>& r, std::int64_t first) {
  using V = vector<T>;
  flags<T> found[comparisons<T>];
  SLUICE_UNROLL
  for (int k = 0; k < comparisons<T>; ++k) {
    const std::int64_t i = first + k * lanes<T>;
    const auto x = load_derivatives<T>(r.at.dx + i);
    const auto y = load_derivatives<T>(r.at.dy + i);
    const V across = largest(x, -x);
    const V down = largest(y, -y);
    const V bound = times_tan(across);
    const auto slanted = above(down, bound);  // not horizontal
    const auto vertical = above(down, bound + (across + across));
    const auto rising = below_zero(x ^ y);
    const T* at = r.at.magnitude + i;
    const T* over = r.above + i;
    const T* under = r.below + i;
    const V diagonally_before = choose(rising, load<V>(over + 1), load<V>(over - 1));
    const V diagonally_after = choose(rising, load<V>(under - 1), load<V>(under + 1));
    const V before = choose(slanted, choose(vertical, load<V>(over), diagonally_before), load<V>(at - 1));
    // Except along diagonals, the later neighbour may be as large.
    const V after = choose(slanted, choose(vertical, load<V>(under) - 1, diagonally_after), load<V>(at + 1) - 1);
    found[k] = above(load<V>(at), largest(before, after));
  }
  return word_of<T>(found);
}

// Of the pixels of a word those whose magnitude is above the threshold.
template <class T>
SLUICE_INLINE std::uint64_t larger_than(const T* magnitudes, vector<T> threshold) {
  flags<T> found[comparisons<T>];
  SLUICE_UNROLL
  for (int k = 0; k < comparisons<T>; ++k) found[k] = above(load<vector<T>>(magnitudes + k * lanes<T>), threshold);
  return word_of<T>(found);
}

template <class T>
SLUICE_TARGET void suppress(const suppression_arguments<T>& r) {
  const vector<T> low = static_cast<T>(r.low) - vector<T>{};
  const vector<T> high = static_cast<T>(r.high) - vector<T>{};
  for (std::int64_t i = 0, w = 0; i < r.width; i += word_pixels, ++w) {
    const std::int64_t left = r.width - i;
    std::uint64_t candidates = larger_than<T>(r.at.magnitude + i, low);
    if (left < word_pixels) candidates &= (std::uint64_t{1} << left) - 1;
    std::uint64_t edges = 0;
    if (candidates != 0) {
      candidates &= maxima(r, i);
      edges = candidates & larger_than<T>(r.at.magnitude + i, high);
    }
    r.candidates[w] = candidates;
    r.edges[w] = edges;
  }
}

SLUICE_TARGET inline void split(const std::uint8_t* pixels, std::int64_t width, std::uint8_t* const (&to)[3]) {
  std::int64_t i = 0;
#if defined(SLUICE_SIMD_NEON)
  for (; i + 16 <= width; i += 16) {
    const uint8x16x3_t x = vld3q_u8(pixels + 3 * i);
    for (int c = 0; c < 3; ++c) vst1q_u8(to[c] + i, x.val[c]);
  }
#elif !defined(SLUICE_SIMD_PLAIN)
  // Byte k of the 48 is of channel k mod 3: three blends gather a channel's bytes, and a shuffle sorts them.
  using bytes = vec<std::uint8_t, 16>;
  constexpr bytes first = {255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255};  // k mod 3 == 0
  constexpr bytes second = {0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0};
  constexpr bytes third = {0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0};
  for (; i + 16 <= width; i += 16) {
    const auto a = load<bytes>(pixels + 3 * i);
    const auto b = load<bytes>(pixels + 3 * i + 16);
    const auto c = load<bytes>(pixels + 3 * i + 32);
    const bytes red = (a & first) | (b & third) | (c & second);
    const bytes green = (a & second) | (b & first) | (c & third);
    const bytes blue = (a & third) | (b & second) | (c & first);
    store(to[0] + i, __builtin_shufflevector(red, red, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13));
    store(to[1] + i, __builtin_shufflevector(green, green, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14));
    store(to[2] + i, __builtin_shufflevector(blue, blue, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15));
  }
#endif
  for (; i < width; ++i)
    for (int c = 0; c < 3; ++c) to[c][i] = pixels[3 * i + c];
}

SLUICE_INLINE void write_word(std::uint64_t word, std::uint8_t* pixels) {
#if defined(SLUICE_SIMD_AVX512)
  _mm512_storeu_si512(pixels, _mm512_movm_epi8(word));
#else
  using bytes = vec<std::uint8_t, 16>;
  constexpr bytes bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  SLUICE_UNROLL
  for (int k = 0; k < 4; ++k) {
    constexpr std::uint64_t copies = 0x0101010101010101;
    const vec<std::uint64_t, 2> x = {(word >> 16 * k & 255) * copies, (word >> (16 * k + 8) & 255) * copies};
    store(pixels + 16 * k, (bytes)(((bytes)x & bit) != 0));
  }
#endif
}

SLUICE_TARGET inline void write(const std::uint64_t* edges, std::int64_t width, std::uint8_t* pixels) {
  for (; width >= word_pixels; width -= word_pixels, pixels += word_pixels) write_word(*edges++, pixels);
  if (width == 0) return;
  std::uint8_t rest[word_pixels];
  write_word(*edges, rest);
  std::memcpy(pixels, rest, static_cast<std::size_t>(width));
}

inline const kernels& kernels_of_level() {
  static constexpr kernels all{{gradients<std::int16_t, 1>, gradients<std::int16_t, 3>, suppress<std::int16_t>},
                               {gradients<std::int32_t, 1>, gradients<std::int32_t, 3>, suppress<std::int32_t>},
                               split,
                               write};
  return all;
}

#undef SLUICE_INLINE
