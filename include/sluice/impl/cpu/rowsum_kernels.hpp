// The kernels of rowsum. rowsum.hpp includes this once for each instruction set, in a namespace of its own, after defining
//   SLUICE_TARGET   the attribute that lets a function use the instruction set
//   width           64-bit lanes of its vectors
// Lane j of the 32 is lane j % W of vector j / W. The lanes of `narrow` rows fold together in vectors of `narrow` lanes.
#define SLUICE_INLINE [[gnu::always_inline]] SLUICE_TARGET inline

inline constexpr int narrow = width < 4 ? width : 4;

// Integers may be added in any order, and narrow vectors keep up with memory.
template <class T>
inline constexpr int width_for = std::is_integral_v<T> ? narrow : width;

// The W elements at p, widened.
template <class T, int W>
SLUICE_INLINE vec<accumulator<T>, W> load(const T* p) {
  vec<accumulator<T>, W> x{};
  if constexpr (sizeof(T) == 8) {
    std::memcpy(&x, p, sizeof x);
#if defined(__x86_64__)
  } else if constexpr (W == 2 && std::is_same_v<T, float>) {
    x = (vec<double, 2>)_mm_cvtps_pd(_mm_castsi128_ps(_mm_loadu_si64(p)));
  } else if constexpr (W == 4) {
    if constexpr (std::is_same_v<T, float>) x = (vec<double, 4>)_mm256_cvtps_pd(_mm_loadu_ps(p));
    if constexpr (std::is_same_v<T, f16>) x = (vec<double, 4>)_mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadu_si64(p)));
    if constexpr (std::is_same_v<T, bf16>)
      x = (vec<double, 4>)_mm256_cvtps_pd(_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadu_si64(p))));
    if constexpr (std::is_same_v<T, std::int32_t>)
      x = (vec<std::uint64_t, 4>)_mm256_cvtepi32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    if constexpr (std::is_same_v<T, std::uint8_t>) x = (vec<std::uint64_t, 4>)_mm256_cvtepu8_epi64(_mm_loadu_si32(p));
  } else if constexpr (W == 8) {  // zero-masking forms: the plain ones raise a false warning in GCC 12
    if constexpr (std::is_same_v<T, float>) x = (vec<double, 8>)_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));
    if constexpr (std::is_same_v<T, f16>)
      x = (vec<double, 8>)_mm512_maskz_cvtps_pd(0xff, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    if constexpr (std::is_same_v<T, bf16>)
      x = (vec<double, 8>)_mm512_maskz_cvtps_pd(
          0xff, _mm256_castsi256_ps(
                    _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16)));
#endif
  } else {
    for (int i = 0; i < W; ++i) x[i] = widen(p[i]);
  }
  return x;
}

// By bits in clang (see strict_float_begin.hpp), but GCC has faster code for the other form.
template <int W>
SLUICE_INLINE vec<double, W> choose(vec<std::int64_t, W> first, vec<double, W> a, vec<double, W> b) {
#if defined(__clang__)
  return (vec<double, W>)((first & (vec<std::int64_t, W>)a) | (~first & (vec<std::int64_t, W>)b));
#else
  return first ? a : b;
#endif
}

template <class A, int W>
SLUICE_INLINE vec<A, W> absent() {
  return nothing<A>::value - vec<A, W>{};
}

// The W elements at p; the lanes where `present` is 0 count as absent. Integers are masked by hand: for a masked load of
// them GCC 14 fails with an internal error.
template <class T, int W>
SLUICE_INLINE vec<accumulator<T>, W> load(const T* p, vec<std::int64_t, W> present) {
  if constexpr (std::is_integral_v<T>)
    return load<T, W>(p) & (vec<accumulator<T>, W>)present;
  else
    return choose<W>(present, load<T, W>(p), absent<accumulator<T>, W>());
}

// Ones in the lanes of a row's last vector that have elements.
template <int W>
SLUICE_INLINE vec<std::int64_t, W> present_lanes(std::int64_t columns) {
  vec<std::int64_t, W> present;
  for (int i = 0; i < W; ++i) present[i] = columns % W == 0 || i < columns % W ? -1 : 0;
  return present;
}

// The lanes of V vectors, folded to `narrow` lanes.
template <class A, int W, int V>
SLUICE_INLINE vec<A, narrow> fold(vec<A, W> (&x)[V]) {
  SLUICE_UNROLL
  for (int half = static_cast<int>(lane_count) / W / 2; half > 0; half /= 2) {
    SLUICE_UNROLL
    for (int k = 0; k < half; ++k)
      if (k + half < V) x[k] += x[k + half];
  }
  if constexpr (W == narrow)
    return x[0];
  else
    return __builtin_shufflevector(x[0], x[0], 0, 1, 2, 3) + __builtin_shufflevector(x[0], x[0], 4, 5, 6, 7);
}

// Folds the lanes of `narrow` rows to their sums.
template <class A>
SLUICE_INLINE vec<A, narrow> fold_rows(const vec<A, narrow> (&x)[narrow]) {
  if constexpr (narrow == 2) {
    return __builtin_shufflevector(x[0], x[1], 0, 2) + __builtin_shufflevector(x[0], x[1], 1, 3);
  } else {
    const auto a = __builtin_shufflevector(x[0], x[1], 0, 1, 4, 5) + __builtin_shufflevector(x[0], x[1], 2, 3, 6, 7);
    const auto b = __builtin_shufflevector(x[2], x[3], 0, 1, 4, 5) + __builtin_shufflevector(x[2], x[3], 2, 3, 6, 7);
    const auto sums = __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
    return __builtin_shufflevector(sums, sums, 0, 2, 1, 3);
  }
}

template <class A>
SLUICE_INLINE A fold_row(vec<A, narrow> x) {
  if constexpr (narrow == 2)
    return x[0] + x[1];
  else
    return (x[0] + x[2]) + (x[1] + x[3]);
}

// The lanes of a row of V vectors, the last one partial, at most 64 elements in all.
template <class T, int W, int V>
SLUICE_INLINE vec<accumulator<T>, narrow> short_row(const T* p, vec<std::int64_t, W> present) {
  using A = accumulator<T>;
  constexpr int vectors = static_cast<int>(lane_count) / W;
  constexpr int lanes = V < vectors ? V : vectors;
  vec<A, W> x[lanes];
  SLUICE_UNROLL
  for (int k = 0; k < V; ++k) {
    const vec<A, W> y = k == V - 1 ? load<T, W>(p + k * W, present) : load<T, W>(p + k * W);
    if (k < vectors)
      x[k] = y;
    else
      x[k - vectors] += y;
  }
  return fold<A, W, lanes>(x);
}

// Groups of 32 bytes, added in 16 bits: integers may be added in any order. At most 1,024 bytes.
SLUICE_INLINE vec<std::uint64_t, narrow> sum_bytes(const std::uint8_t* p, std::int64_t columns) {
  using words = vec<std::uint16_t, 4 * narrow>;
  words x{};
  for (std::int64_t i = 0; i < columns / lane_count * lane_count; i += sizeof(words)) {
    words bytes;
    std::memcpy(&bytes, p + i, sizeof bytes);
    x += (bytes & 0xff) + (bytes >> 8);
  }
  const auto y = (vec<std::uint32_t, 2 * narrow>)x;
  const auto z = (vec<std::uint64_t, narrow>)((y & 0xffff) + (y >> 16));
  return (z & 0xffffffff) + (z >> 32);
}

// Adds fewer than 32 elements, vector by vector from the k-th on. Recursive, so that the vectors stay in registers.
template <class T, int W, int V, int k = 0>
SLUICE_INLINE void add_rest(const T* rest, std::int64_t columns, vec<std::int64_t, W> present,
                            vec<accumulator<T>, W> (&x)[V]) {
  if (columns >= (k + 1) * W) {
    x[k] += load<T, W>(rest + k * W);
    if constexpr (k + 1 < V) add_rest<T, W, V, k + 1>(rest, columns, present, x);
  } else if (columns > k * W) {
    x[k] += load<T, W>(rest + k * W, present);
  }
}

// The lanes of a row of 1 to 1,024 elements: whole groups of 32 at p, the others at `rest`.
template <class T, int W>
SLUICE_INLINE vec<accumulator<T>, narrow> block(const T* p, const T* rest, std::int64_t columns,
                                                vec<std::int64_t, W> present) {
  using A = accumulator<T>;
  constexpr int vectors = static_cast<int>(lane_count) / W;
  vec<A, W> x[vectors];
  SLUICE_UNROLL
  for (int k = 0; k < vectors; ++k) x[k] = absent<A, W>();
  vec<A, narrow> bytes{};
  if constexpr (sizeof(T) == 1) {
    bytes = sum_bytes(p, columns);
    columns %= lane_count;
  } else if (columns >= lane_count) {
    SLUICE_UNROLL
    for (int k = 0; k < vectors; ++k) x[k] = load<T, W>(p + k * W);
    for (columns -= lane_count, p += lane_count; columns >= lane_count; columns -= lane_count, p += lane_count) {
      SLUICE_UNROLL
      for (int k = 0; k < vectors; ++k) x[k] += load<T, W>(p + k * W);
    }
  }
  add_rest<T, W>(rest, columns, present, x);
  if constexpr (sizeof(T) == 1)
    return fold<A, W, vectors>(x) + bytes;
  else
    return fold<A, W, vectors>(x);
}

// Sums of `narrow` rows at a time, for rows of one block. V > 0 says that they are short rows of V vectors.
template <class T, int W, int V>
SLUICE_TARGET void sum_blocks(const T* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                              std::int64_t readable, accumulator<T>* sums) {
  const auto present = present_lanes<W>(columns);
  const std::int64_t head = V > 0 ? 0 : columns / lane_count * lane_count;
  const std::int64_t touched = (columns + W - 1) / W * W;  // elements read from a row's start on
  T copies[narrow][short_columns] = {};
  for (std::int64_t r = 0; r < rows; r += narrow) {
    const T* rest = a + r * row_stride + head;
    std::int64_t rest_stride = row_stride;
    // Copies are read where a vector would pass the end of the array, and for the rows missing from the last group.
    if (r + narrow > rows || (touched > columns && (r + narrow - 1) * row_stride + touched > readable)) {
      for (int q = 0; q < narrow; ++q)
        std::memcpy(copies[q], rest + std::min<std::int64_t>(q, rows - 1 - r) * row_stride,
                    static_cast<std::size_t>(columns - head) * sizeof(T));
      rest = copies[0];
      rest_stride = short_columns;
    }
    vec<accumulator<T>, narrow> x[narrow];
    if constexpr (V > 0) {
      SLUICE_UNROLL
      for (int q = 0; q < narrow; ++q) x[q] = short_row<T, W, V>(rest + q * rest_stride, present);
    } else {
      for (int q = 0; q < narrow; ++q)
        x[q] = block<T, W>(a + std::min(r + q, rows - 1) * row_stride, rest + q * rest_stride, columns, present);
    }
    const auto s = fold_rows<accumulator<T>>(x);
    std::memcpy(sums + r, &s, sizeof s);
  }
}

template <class T>
SLUICE_TARGET void sum_long_rows(const T* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                                 accumulator<T>* sums) {
  const std::int64_t head = columns / lane_count * lane_count;
  const auto present = present_lanes<width_for<T>>(columns);
  T copy[lane_count] = {};
  for (std::int64_t r = 0; r < rows; ++r, a += row_stride) {
    std::memcpy(copy, a + head, static_cast<std::size_t>(columns - head) * sizeof(T));
    pairwise<accumulator<T>> sum;
    for (std::int64_t i = 0; i < columns; i += block_size)
      sum.push(fold_row<accumulator<T>>(block<T, width_for<T>>(a + i, copy, std::min(block_size, columns - i), present)));
    sums[r] = sum.total();
  }
}

// Rows that are not short.
template <class T>
SLUICE_TARGET void sum_rows(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                            std::int64_t readable, void* sums) {
  const T* p = static_cast<const T*>(a);
  auto* to = static_cast<accumulator<T>*>(sums);
  if (columns > block_size) return sum_long_rows<T>(p, rows, columns, row_stride, to);
  sum_blocks<T, width_for<T>, 0>(p, rows, columns, row_stride, readable, to);
}

// Rows of one element, side by side.
template <class T>
SLUICE_TARGET void widen_run(const T* a, std::int64_t rows, accumulator<T>* sums) {
  std::int64_t r = 0;
  for (; r + narrow <= rows; r += narrow) {
    const auto x = load<T, narrow>(a + r);
    std::memcpy(sums + r, &x, sizeof x);
  }
  for (; r < rows; ++r) sums[r] = widen(a[r]);
}

// The vectors of the longest rows that are summed in straight-line code; for f32 more of it pays.
template <class T>
inline constexpr int short_vectors = static_cast<int>(std::is_same_v<T, float> ? short_columns : lane_count) / narrow;

// Rows of at most `short_columns` elements, in V vectors or more.
template <class T, int V = 1>
SLUICE_TARGET void sum_short_rows(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                                  std::int64_t readable, void* sums) {
  const T* p = static_cast<const T*>(a);
  auto* to = static_cast<accumulator<T>*>(sums);
  if (V == 1 && columns == 1 && row_stride == 1) return widen_run(p, rows, to);
  if (columns <= V * narrow) return sum_blocks<T, narrow, V>(p, rows, columns, row_stride, readable, to);
  if constexpr (V < short_vectors<T>)
    sum_short_rows<T, V + 1>(a, rows, columns, row_stride, readable, sums);
  else
    sum_rows<T>(a, rows, columns, row_stride, readable, sums);
}

// Lanes of many rows side by side: one column is added to all of them at a time.
template <class T>
SLUICE_TARGET void sum_columns(const void* a, std::int64_t rows, std::int64_t columns, std::int64_t column_stride,
                               void* sums) {
  using A = accumulator<T>;
  alignas(64) A lanes[lane_count][batch_rows];
  pairwise_rows<A> sum;
  const T* p = static_cast<const T*>(a);
  for (std::int64_t i = 0; i < columns;) {
    std::fill_n(&lanes[0][0], lane_count * batch_rows, nothing<A>::value);
    for (std::int64_t end = std::min(columns, i + block_size); i < end; ++i, p += column_stride)
      for (std::int64_t r = 0; r < rows; ++r) lanes[i % lane_count][r] += widen(p[r]);
    for (std::int64_t half = lane_count / 2; half > 0; half /= 2)
      for (std::int64_t j = 0; j < half; ++j)
        for (std::int64_t r = 0; r < rows; ++r) lanes[j][r] += lanes[j + half][r];
    sum.push(lanes[0], rows);
  }
  sum.total(static_cast<A*>(sums), rows);
}

// Rounds sums to f32, with every NaN made canonical. `stream` keeps them out of the caches.
template <int W>
SLUICE_TARGET void round_f32(const double* sums, std::int64_t count, float* out, [[maybe_unused]] bool stream) {
  const vec<double, W> nan = bits_as<double>(base::patterns<double>::nan) - vec<double, W>{};
  std::int64_t i = 0;
  for (; i + W <= count; i += W) {
    vec<double, W> x;
    std::memcpy(&x, sums + i, sizeof x);
    x = choose<W>(x == x, x, nan);
    const auto y = __builtin_convertvector(x, vec<float, W>);
#if defined(__x86_64__)
    if constexpr (W == 4)
      if (stream) {
        _mm_stream_ps(out + i, (__m128)y);
        continue;
      }
#endif
    std::memcpy(out + i, &y, sizeof y);
  }
  for (; i < count; ++i) out[i] = static_cast<float>(canonical(sums[i]));
}

#undef SLUICE_INLINE
