// The inner kernels: a tile of c, held in registers, along a stretch of k. levels.hpp includes this once for each
// instruction set, after vectors.hpp, with
//   tile_rows, tile_vectors   the largest tile
//   piece_bytes               of a panel of b that stays in the first-level cache

// The rows of packed tiles: the largest, and in steps of 2 below. Tiles of operands where they are have any number.
inline constexpr int packed_variants = tile_rows / 2;
constexpr std::int64_t variant_for(std::int64_t rows) { return (tile_rows - rows) / 2; }
constexpr std::int64_t padded_rows(std::int64_t rows) { return tile_rows - 2 * variant_for(rows); }

// Steps of k that are fetched ahead: packed a, which streams from the second-level cache, and b where it is large and its
// rows lie apart, so that the processor does not see what comes (8 x 2048 x 2048: 132 Gflop/s instead of 35).
inline constexpr std::int64_t prefetch_steps = 32;

template <class S>
SLUICE_INLINE vec<S> load_last(const S* p, [[maybe_unused]] part last) {
#if SLUICE_SIMD_AVX512
  return load(p, last);
#else
  return load(p);
#endif
}
template <class S>
SLUICE_INLINE void store_last(S* p, vec<S> x, [[maybe_unused]] part last) {
#if SLUICE_SIMD_AVX512
  store(p, x, last);
#else
  store(p, x);
#endif
}

// A tile of operands where they are: blocks of k begin at +0 and are added up. With AVX-512 the last vector may have fewer
// than all columns.
template <class S, int Rows, int Vectors, bool Ahead>
SLUICE_TARGET void direct_tile(const direct_product<S>& o, const S* a, const S* b, S* c, int last_columns) {
  constexpr int L = lanes<S>();
  constexpr int groups = (Rows + 2) / 3;  // of three rows each: x86 addresses base, base + row and base + 2 * row
  const part last = first_lanes(last_columns);
  for (std::int64_t begin = 0; begin < o.depth; begin += block_depth) {
    const std::int64_t end = std::min(o.depth, begin + block_depth);
    const S* rows[groups];
    SLUICE_UNROLL
    for (int i = 0; i < groups; ++i) rows[i] = a + begin * o.a_step + 3 * i * o.a_row;
    const S* from = b + begin * o.b_step;
    vec<S> acc[Rows][Vectors];
    SLUICE_UNROLL
    for (int i = 0; i < Rows; ++i) {
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) acc[i][j] = vec<S>{};
    }
    for (std::int64_t d = begin; d < end; ++d) {
      if constexpr (Ahead) {
        SLUICE_UNROLL
        for (int j = 0; j < Vectors; j += 64 / vector_bytes)
          __builtin_prefetch(from + prefetch_steps * o.b_step + j * L, 0, 2);
      }
      vec<S> y[Vectors];
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) y[j] = j + 1 == Vectors ? load_last(from + j * L, last) : load(from + j * L);
      SLUICE_UNROLL
      for (int i = 0; i < Rows; ++i) {
        const vec<S> x = set(rows[i / 3][i % 3 * o.a_row]);
        SLUICE_UNROLL
        for (int j = 0; j < Vectors; ++j) acc[i][j] = multiply_add(x, y[j], acc[i][j]);
      }
      SLUICE_UNROLL
      for (int i = 0; i < groups; ++i) rows[i] += o.a_step;
      from += o.b_step;
    }
    SLUICE_UNROLL
    for (int i = 0; i < Rows; ++i) {
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) {
        S* to = c + i * o.c_row + j * L;
        vec<S> sum = acc[i][j];
        if (begin > 0) sum = (j + 1 == Vectors ? load_last(to, last) : load(to)) + sum;
        sum = canonical(sum);
        if (j + 1 == Vectors)
          store_last<S>(to, sum, last);
        else
          store(to, sum);
      }
    }
  }
}

// How a tile of packed operands begins and ends.
template <class S>
struct tile_ends {
  const S* begin;  // the chains so far, [Rows][Vectors * L]; null: +0
  S* cut;          // where to leave chains that go on; null: they end, in c
  S* c;
  std::int64_t c_row;
  bool add;
  std::int64_t rows;     // of c
  std::int64_t columns;  // of c
};

template <class S>
SLUICE_TARGET inline void store_edge(const S* sums, std::int64_t width, const tile_ends<S>& e) {
  constexpr int L = lanes<S>();
  for (std::int64_t i = 0; i < e.rows; ++i)
    for (std::int64_t j = 0; j < e.columns; j += L) {
      const part some = first_lanes(static_cast<int>(std::min<std::int64_t>(L, e.columns - j)));
      vec<S> sum = load(sums + i * width + j);
      if (e.add) sum = load(e.c + i * e.c_row + j, some) + sum;
      store(e.c + i * e.c_row + j, canonical(sum), some);
    }
}

template <class S, int Rows, int Vectors>
SLUICE_TARGET void packed_tile(const S* a, const S* b, std::int64_t depth, const tile_ends<S>& e) {
  constexpr int L = lanes<S>();
  constexpr int width = Vectors * L;
  vec<S> acc[Rows][Vectors];
  SLUICE_UNROLL
  for (int i = 0; i < Rows; ++i) {
    SLUICE_UNROLL
    for (int j = 0; j < Vectors; ++j) acc[i][j] = e.begin != nullptr ? load(e.begin + i * width + j * L) : vec<S>{};
  }
  for (std::int64_t d = 0; d < depth; ++d) {
    vec<S> y[Vectors];
    SLUICE_UNROLL
    for (int j = 0; j < Vectors; ++j) y[j] = load(b + j * L);
    __builtin_prefetch(a + prefetch_steps * Rows);
    SLUICE_UNROLL
    for (int i = 0; i < Rows; ++i) {
      const vec<S> x = set(a[i]);
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) acc[i][j] = multiply_add(x, y[j], acc[i][j]);
    }
    a += Rows;
    b += width;
  }
  const bool edge = e.cut == nullptr && (e.rows < Rows || e.columns < width);
  S sums[Rows * width];
  S* to = edge ? sums : e.cut;
  if (to != nullptr) {
    SLUICE_UNROLL
    for (int i = 0; i < Rows; ++i) {
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) store(to + i * width + j * L, acc[i][j]);
    }
    if (edge) store_edge<S>(sums, width, e);
    return;
  }
  SLUICE_UNROLL
  for (int i = 0; i < Rows; ++i) {
    SLUICE_UNROLL
    for (int j = 0; j < Vectors; ++j) {
      S* at = e.c + i * e.c_row + j * L;
      store(at, canonical(e.add ? load(at) + acc[i][j] : acc[i][j]));
    }
  }
}

template <class S>
struct tiles {
  using direct = void (*)(const direct_product<S>&, const S*, const S*, S*, int);
  using packed = void (*)(const S*, const S*, std::int64_t, const tile_ends<S>&);

  template <bool Ahead, int... I>
  static constexpr auto all_direct(std::integer_sequence<int, I...>) {
    return std::array<direct, sizeof...(I)>{direct_tile<S, I / tile_vectors + 1, I % tile_vectors + 1, Ahead>...};
  }
  template <int... I>
  static constexpr auto all_packed(std::integer_sequence<int, I...>) {
    return std::array<packed, sizeof...(I)>{packed_tile<S, tile_rows - 2 * (I / tile_vectors), I % tile_vectors + 1>...};
  }
  static direct of_direct(std::int64_t rows, std::int64_t vectors, bool ahead) {
    using every = std::make_integer_sequence<int, tile_rows * tile_vectors>;
    static constexpr auto as_it_is = all_direct<false>(every());
    static constexpr auto far_apart = all_direct<true>(every());
    return (ahead ? far_apart : as_it_is)[static_cast<std::size_t>((rows - 1) * tile_vectors + vectors - 1)];
  }
  static packed of_packed(std::int64_t rows, std::int64_t vectors) {
    static constexpr auto all = all_packed(std::make_integer_sequence<int, packed_variants * tile_vectors>());
    return all[static_cast<std::size_t>(variant_for(rows) * tile_vectors + vectors - 1)];
  }
};

// The rows of equal tiles that cover `rows`, the last one perhaps over rows of the one before it: these come out the same
// again.
constexpr std::int64_t even_rows(std::int64_t rows) {
  const std::int64_t count = (rows + tile_rows - 1) / tile_rows;
  return (rows + count - 1) / count;
}

template <class S>
SLUICE_TARGET void run_direct(const direct_product<S>& o) {
  constexpr std::int64_t L = lanes<S>();
  constexpr std::int64_t width = tile_vectors * L;
  const std::int64_t rows = even_rows(o.rows);
  const bool ahead = o.b_step * std::min(block_depth, o.depth) * static_cast<std::int64_t>(sizeof(S)) > far_bytes;
  for (std::int64_t j = 0; j < o.columns;) {
    const std::int64_t left = std::min(width, o.columns - j);
#if SLUICE_SIMD_AVX512
    const std::int64_t vectors = (left + L - 1) / L;
    const std::int64_t column = j;
#else  // whole vectors, the last one perhaps over columns of the one before it
    const std::int64_t vectors = std::max<std::int64_t>(1, left / L);
    const std::int64_t column = std::min(j, o.columns - L);
#endif
    const auto tile = tiles<S>::of_direct(rows, vectors, ahead);
    const auto last = static_cast<int>(std::min(L, left - (vectors - 1) * L));
    for (std::int64_t i = 0; i < o.rows; i += rows) {
      const std::int64_t row = std::min(i, o.rows - rows);
      tile(o, o.a + row * o.a_row, o.b + column, o.c + row * o.c_row + column, last);
    }
    j = column + vectors * L;
  }
}

template <class S>
SLUICE_TARGET void run_panels(const panel_product<S>& o) {
  constexpr std::int64_t L = lanes<S>();
  constexpr std::int64_t width = tile_vectors * L;
  constexpr std::int64_t most = piece_bytes / (width * static_cast<std::int64_t>(sizeof(S)));
  const std::int64_t pieces = (o.depth + most - 1) / most;
  const std::int64_t piece = (o.depth + pieces - 1) / pieces;
  for (std::int64_t j = 0; j < o.columns; j += width) {
    const std::int64_t columns = std::min(width, o.columns - j);
    const std::int64_t vectors = (columns + L - 1) / L;
    const S* b = o.b + j / width * o.b_panel;
    for (std::int64_t d = 0; d < o.depth; d += piece) {
      const std::int64_t depth = std::min(piece, o.depth - d);
      for (std::int64_t i = 0; i < o.rows; i += o.panel_rows) {
        const std::int64_t rows = std::min(o.panel_rows, o.rows - i);
        S* chains = o.partial + i * width;
        const tile_ends<S> ends{d > 0 ? chains : nullptr,
                                d + depth < o.depth ? chains : nullptr,
                                o.c + i * o.c_row + j,
                                o.c_row,
                                o.add,
                                rows,
                                columns};
        tiles<S>::of_packed(rows, vectors)(o.a + i / o.panel_rows * o.a_panel + d * padded_rows(rows), b + d * vectors * L,
                                           depth, ends);
      }
    }
  }
}
