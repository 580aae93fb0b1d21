// The inner kernels: a tile of c, held in registers, along a stretch of k. levels.hpp includes this once for each instruction
// set, after vectors.hpp, with
//   tile_rows, tile_vectors   the largest tile
//   piece_bytes               of a panel of b that stays in the first-level cache

// A tile has 1 row or an even number of them: each number of rows is a kernel of its own.
inline constexpr int row_variants = tile_rows / 2 + 1;
template <int Variant>
constexpr int rows_of_variant() {
  return Variant == 0 ? 1 : 2 * Variant;
}
constexpr std::int64_t variant_for(std::int64_t rows) { return rows == 1 ? 0 : (rows + 1) / 2; }
constexpr std::int64_t padded_rows(std::int64_t rows) { return rows == 1 ? 1 : (rows + 1) / 2 * 2; }

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
template <class S, int Rows, int Vectors>
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
      vec<S> y[Vectors];
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) y[j] = j + 1 == Vectors ? load_last(from + j * L, last) : load(from + j * L);
      SLUICE_UNROLL
      for (int i = 0; i < Rows; ++i) {
        const vec<S> x = set(rows[i / 3][i % 3 * o.a_row]);
        SLUICE_UNROLL
        for (int j = 0; j < Vectors; ++j) acc[i][j] = fma(x, y[j], acc[i][j]);
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
    SLUICE_UNROLL
    for (int i = 0; i < Rows; ++i) {
      const vec<S> x = set(a[i]);
      SLUICE_UNROLL
      for (int j = 0; j < Vectors; ++j) acc[i][j] = fma(x, y[j], acc[i][j]);
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

  template <int... I>
  static constexpr auto all_direct(std::integer_sequence<int, I...>) {
    return std::array<direct, sizeof...(I)>{direct_tile<S, rows_of_variant<I / tile_vectors>(), I % tile_vectors + 1>...};
  }
  template <int... I>
  static constexpr auto all_packed(std::integer_sequence<int, I...>) {
    return std::array<packed, sizeof...(I)>{packed_tile<S, rows_of_variant<I / tile_vectors>(), I % tile_vectors + 1>...};
  }
  using every = std::make_integer_sequence<int, row_variants * tile_vectors>;
  static direct of_direct(std::int64_t rows, std::int64_t vectors) {
    static constexpr auto all = all_direct(every());
    return all[static_cast<std::size_t>(variant_for(rows) * tile_vectors + vectors - 1)];
  }
  static packed of_packed(std::int64_t rows, std::int64_t vectors) {
    static constexpr auto all = all_packed(every());
    return all[static_cast<std::size_t>(variant_for(rows) * tile_vectors + vectors - 1)];
  }
};

// The rows of equal tiles that cover `rows`, the last one perhaps over rows of the one before it: these come out the same
// again.
constexpr std::int64_t even_rows(std::int64_t rows) {
  for (std::int64_t count = (rows + tile_rows - 1) / tile_rows;; ++count) {
    const std::int64_t each = padded_rows((rows + count - 1) / count);
    if (each <= rows) return each;
  }
}

template <class S>
SLUICE_TARGET void run_direct(const direct_product<S>& o) {
  constexpr std::int64_t L = lanes<S>();
  constexpr std::int64_t width = tile_vectors * L;
  const std::int64_t rows = even_rows(o.rows);
  for (std::int64_t j = 0; j < o.columns; j += width) {
    const std::int64_t columns = std::min(width, o.columns - j);
    const std::int64_t vectors = (columns + L - 1) / L;
    const auto tile = tiles<S>::of_direct(rows, vectors);
#if SLUICE_SIMD_AVX512
    const std::int64_t column = j;
#else
    const std::int64_t column = std::min(j, o.columns - vectors * L);  // whole vectors
#endif
    const auto last = static_cast<int>(columns - (vectors - 1) * L);
    for (std::int64_t i = 0; i < o.rows; i += rows) {
      const std::int64_t row = std::min(i, o.rows - rows);
      tile(o, o.a + row * o.a_row, o.b + column, o.c + row * o.c_row + column, last);
    }
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
      for (std::int64_t i = 0; i < o.rows; i += tile_rows) {
        const std::int64_t rows = std::min<std::int64_t>(tile_rows, o.rows - i);
        S* chains = o.partial + i * width;
        const tile_ends<S> ends{d > 0 ? chains : nullptr,      d + depth < o.depth ? chains : nullptr,
                                o.c + i * o.c_row + j, o.c_row, o.add,
                                rows,                          columns};
        tiles<S>::of_packed(rows, vectors)(o.a + i / tile_rows * o.a_panel + d * padded_rows(rows), b + d * vectors * L, depth,
                                           ends);
      }
    }
  }
}
