// Copies lines of an operand into panels, widened. levels.hpp includes this once for each instruction set, after vectors.hpp.
//
// A store of a whole vector may write beyond a step's lanes, into the next step, which is written after it, or into the
// panel's slack.

// Lines that are contiguous along k: squares of lanes are transposed. The last of a step's squares comes first.
template <class T>
SLUICE_TARGET inline void pack_transposed(const packing<T>& p, const T* from, std::int64_t available, std::int64_t width,
                                          sum_of<T>* to) {
  using S = sum_of<T>;
  constexpr int L = lanes<S>();
  for (std::int64_t d = 0; d < p.depth; d += L) {
    const int steps = static_cast<int>(std::min<std::int64_t>(L, p.depth - d));
    for (std::int64_t line = (width - 1) / L * L; line >= 0; line -= L) {
      vec<S> x[L];
      SLUICE_UNROLL
      for (int i = 0; i < L; ++i) {
        const T* at = from + std::min(line + i, available - 1) * p.line_stride + d;
        x[i] = steps == L ? load(at) : load_some(at, steps);
      }
      transpose<S>(x);
      S* step = to + d * width + line;
      if (steps == L) {
        SLUICE_UNROLL
        for (int i = 0; i < L; ++i) store(step + i * width, x[i]);
      } else {
        for (int i = 0; i < steps; ++i) store(step + i * width, x[i]);
      }
    }
  }
}

// Lines side by side in memory.
template <class T>
SLUICE_TARGET inline void pack_straight(const packing<T>& p, const T* from, std::int64_t available, std::int64_t width,
                                        sum_of<T>* to) {
  using S = sum_of<T>;
  constexpr int L = lanes<S>();
  for (std::int64_t d = 0; d < p.depth; ++d, from += p.step_stride, to += width)
    for (std::int64_t line = 0; line < width; line += L) {
      const std::int64_t some = available - line;
      store(to + line, some >= L ? load(from + line) : load_some(from + line, static_cast<int>(std::max<std::int64_t>(0, some))));
    }
}

template <class T>
SLUICE_TARGET inline void pack_scattered(const packing<T>& p, const T* from, std::int64_t available, std::int64_t width,
                                         sum_of<T>* to) {
  for (std::int64_t d = 0; d < p.depth; ++d)
    for (std::int64_t line = 0; line < width; ++line)
      to[d * width + line] = line < available ? to_sum(from[line * p.line_stride + d * p.step_stride]) : sum_of<T>{};
}

template <class T>
SLUICE_TARGET inline void pack(const packing<T>& p, std::int64_t width, bool rows) {
  constexpr std::int64_t L = lanes<sum_of<T>>();
  for (std::int64_t line = 0; line < p.lines; line += width) {
    const std::int64_t available = p.lines - line;
    std::int64_t lines = std::min(width, available);
    lines = rows ? padded_rows(lines) : (lines + L - 1) / L * L;
    const T* from = p.from + line * p.line_stride;
    sum_of<T>* to = p.to + line / width * p.panel_stride;
    if (p.step_stride == 1)
      pack_transposed(p, from, available, lines, to);
    else if (p.line_stride == 1)
      pack_straight(p, from, available, lines, to);
    else
      pack_scattered(p, from, available, lines, to);
  }
}

template <class T>
SLUICE_TARGET void pack_rows(const packing<T>& p) {
  pack(p, tile_rows, true);
}
template <class T>
SLUICE_TARGET void pack_columns(const packing<T>& p) {
  pack(p, tile_vectors * lanes<sum_of<T>>(), false);
}
