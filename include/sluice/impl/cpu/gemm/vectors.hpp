// Vectors of one instruction set. levels.hpp includes this once for each, in a namespace of its own, after defining
//   SLUICE_TARGET   the attribute that lets a function use the instruction set
//   SLUICE_SIMD_*   which one it is: PLAIN, NEON, AVX2 or AVX512; with PAIRS besides, fma() is AVX512-BF16's
//   vector_bytes    of its vectors
// multiply_add() rounds once, whatever options the including program is compiled with.
#define SLUICE_INLINE [[gnu::always_inline]] SLUICE_TARGET inline

// Of numbers; of 16-bit floats once they are widened.
template <class S>
using vec [[gnu::vector_size(vector_bytes)]] = std::conditional_t<std::is_arithmetic_v<S>, S, float>;

template <class S>
constexpr int lanes() {
  return vector_bytes / static_cast<int>(sizeof(S));
}

template <class S>
SLUICE_INLINE vec<S> load(const S* p) {
  vec<S> x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

template <class S, class V>
SLUICE_INLINE void store(S* p, V x) {
  static_assert(std::is_same_v<V, vec<S>>);
  std::memcpy(p, &x, sizeof x);
}

// The same value. Where clang takes the results of calls for never NaN or -0.0, it cannot see through this.
template <class V>
SLUICE_INLINE V hidden(V x) {
#if defined(__clang__)
#if defined(__aarch64__)
  asm("" : "+w"(x));
#elif defined(__x86_64__)
  asm("" : "+v"(x));
#endif
#endif
  return x;
}

#if SLUICE_SIMD_AVX512

SLUICE_INLINE vec<float> set(float x) { return (vec<float>)_mm512_set1_ps(x); }
SLUICE_INLINE vec<double> set(double x) { return (vec<double>)_mm512_set1_pd(x); }
#if SLUICE_SIMD_PAIRS
// Lanes of a and b hold two bf16 each: c plus both products.
SLUICE_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
}
#else
SLUICE_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#endif
SLUICE_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
// The one NaN, and +0 of a zero; by bits, since under -ffast-math a compiler may take x == x for true and x + 0 for x.
SLUICE_INLINE vec<float> canonical(vec<float> x) {
  const __m512i is = _mm512_castps_si512((__m512)hidden(x));
  const __m512i magnitude = _mm512_and_si512(is, _mm512_set1_epi32(0x7fffffff));
  const __mmask16 nan =
      _mm512_cmpgt_epi32_mask(magnitude, _mm512_set1_epi32(static_cast<int>(base::patterns<float>::infinity)));
  const __m512i unsigned_zero = _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(magnitude, magnitude), is);
  return (vec<float>)_mm512_castsi512_ps(
      _mm512_mask_set1_epi32(unsigned_zero, nan, static_cast<int>(base::patterns<float>::nan)));
}
SLUICE_INLINE vec<double> canonical(vec<double> x) {
  const __m512i is = _mm512_castpd_si512((__m512d)hidden(x));
  const __m512i magnitude = _mm512_and_si512(is, _mm512_set1_epi64(std::numeric_limits<long long>::max()));
  const __mmask8 nan =
      _mm512_cmpgt_epi64_mask(magnitude, _mm512_set1_epi64(static_cast<long long>(base::patterns<double>::infinity)));
  const __m512i unsigned_zero = _mm512_maskz_mov_epi64(_mm512_test_epi64_mask(magnitude, magnitude), is);
  return (vec<double>)_mm512_castsi512_pd(
      _mm512_mask_set1_epi64(unsigned_zero, nan, static_cast<long long>(base::patterns<double>::nan)));
}

// The first lanes of a vector; the others are not touched in memory, and loaded as 0.
struct part {
  __mmask16 mask;
};
SLUICE_INLINE part first_lanes(int count) { return {static_cast<__mmask16>((1u << count) - 1)}; }
SLUICE_INLINE vec<float> load(const float* p, part q) { return (vec<float>)_mm512_maskz_loadu_ps(q.mask, p); }
SLUICE_INLINE vec<double> load(const double* p, part q) {
  return (vec<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(q.mask), p);
}
SLUICE_INLINE void store(float* p, vec<float> x, part q) { _mm512_mask_storeu_ps(p, q.mask, (__m512)x); }
SLUICE_INLINE void store(double* p, vec<double> x, part q) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(q.mask), (__m512d)x);
}

SLUICE_INLINE vec<float> load(const f16* p) {
  return (vec<float>)_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
SLUICE_INLINE vec<float> load(const bf16* p) {
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (vec<float>)_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, x), 16);
}

#else

#if SLUICE_SIMD_AVX2
SLUICE_INLINE vec<float> set(float x) { return (vec<float>)_mm256_set1_ps(x); }
SLUICE_INLINE vec<double> set(double x) { return (vec<double>)_mm256_set1_pd(x); }
SLUICE_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
SLUICE_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
SLUICE_INLINE vec<float> load(const f16* p) {
  return (vec<float>)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
#elif SLUICE_SIMD_NEON
SLUICE_INLINE vec<float> set(float x) { return (vec<float>)vdupq_n_f32(x); }
SLUICE_INLINE vec<double> set(double x) { return (vec<double>)vdupq_n_f64(x); }
SLUICE_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
  return (vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
SLUICE_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  return (vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
template <class S>
SLUICE_INLINE vec<S> set(S x) {
  vec<S> v;
  for (int i = 0; i < lanes<S>(); ++i) v[i] = x;
  return v;
}
SLUICE_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
#if defined(__FP_FAST_FMAF)
  vec<float> v;
  for (int i = 0; i < lanes<float>(); ++i) v[i] = std::fma(a[i], b[i], c[i]);
  return v;
#else
  using two_floats [[gnu::vector_size(8)]] = float;
  const auto half = [&](int i) {
    const auto wide = [&](vec<float> x) { return two_doubles{x[i], x[i + 1]}; };
    return __builtin_convertvector(fused_to_odd(wide(a), wide(b), wide(c)), two_floats);
  };
  const two_floats low = half(0);
  const two_floats high = half(2);
  return vec<float>{low[0], low[1], high[0], high[1]};
#endif
}
SLUICE_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
  vec<double> v;
  for (int i = 0; i < lanes<double>(); ++i) v[i] = std::fma(a[i], b[i], c[i]);
  return v;
}
#endif

template <class V>
SLUICE_INLINE V canonical(V x) {
  using S = std::remove_cvref_t<decltype(x[0])>;
  using bits = std::conditional_t<sizeof(S) == 4, std::int32_t, std::int64_t>;
  constexpr auto infinity = static_cast<bits>(base::patterns<S>::infinity);
  const auto is = (vec<bits>)hidden(x);
  const vec<bits> magnitude = is & std::numeric_limits<bits>::max();
  const vec<bits> nan = magnitude > infinity;
  return (V)((is & (magnitude != 0) & ~nan) | (nan & static_cast<bits>(base::patterns<S>::nan)));
}

struct part {
  int count;
};
SLUICE_INLINE part first_lanes(int count) { return {count}; }
template <class S>
SLUICE_INLINE vec<S> load(const S* p, part q) {
  vec<S> x{};
  for (int i = 0; i < q.count; ++i) x[i] = p[i];
  return x;
}
template <class S, class V>
SLUICE_INLINE void store(S* p, V x, part q) {
  for (int i = 0; i < q.count; ++i) p[i] = x[i];
}

#if !SLUICE_SIMD_AVX2
SLUICE_INLINE vec<float> load(const f16* p) {
  vec<float> x;
  for (int i = 0; i < lanes<float>(); ++i) x[i] = to_float(p[i]);
  return x;
}
#endif
SLUICE_INLINE vec<float> load(const bf16* p) {
  vec<float> x;
  for (int i = 0; i < lanes<float>(); ++i) x[i] = to_float(p[i]);
  return x;
}

#endif

// a * b + c, rounded once.
template <class V>
SLUICE_INLINE V multiply_add(V a, V b, V c) {
  return hidden(fma(a, b, hidden(c)));
}

// `count` elements, widened; the lanes after them are 0.
template <class T>
SLUICE_INLINE vec<float> load_some(const T* p, int count) requires(sizeof(T) == 2) {
  T all[lanes<float>()] = {};
  for (int i = 0; i < count; ++i) all[i] = p[i];
  return load(all);
}
template <class S>
SLUICE_INLINE vec<S> load_some(const S* p, int count) requires(sizeof(S) > 2) {
  return load(p, first_lanes(count));
}

// Exchanges rows and columns of a square of lanes: by halves of 1, 2, 4, ... lanes.
template <class S, int Half, int... I>
SLUICE_INLINE vec<S> lower(vec<S> a, vec<S> b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, ((I & Half) == 0 ? I : I - Half + lanes<S>())...);
}
template <class S, int Half, int... I>
SLUICE_INLINE vec<S> upper(vec<S> a, vec<S> b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, ((I & Half) == 0 ? I + Half : I + lanes<S>())...);
}
template <class S, int Half>
SLUICE_INLINE void exchange(vec<S>& a, vec<S>& b) {
  using all = std::make_integer_sequence<int, lanes<S>()>;
  const vec<S> before = a;
  a = lower<S, Half>(before, b, all());
  b = upper<S, Half>(before, b, all());
}
template <class S, int Half, int... Pair>
SLUICE_INLINE void exchange_all(vec<S> (&x)[lanes<S>()], std::integer_sequence<int, Pair...>) {
  (exchange<S, Half>(x[Pair / Half * 2 * Half + Pair % Half], x[Pair / Half * 2 * Half + Pair % Half + Half]), ...);
}
template <class S, int Half = 1>
SLUICE_INLINE void transpose(vec<S> (&x)[lanes<S>()]) {
  if constexpr (Half < lanes<S>()) {
    exchange_all<S, Half>(x, std::make_integer_sequence<int, lanes<S>() / 2>());
    transpose<S, 2 * Half>(x);
  }
}
