// A matrix times a vector along at most a block of k: bound by reading the matrix once. levels.hpp includes this once for
// each instruction set, after vectors.hpp.

// Lines side by side in memory: Steps of k at once.
template <int Steps, class T>
SLUICE_INLINE void add_steps(const vector_product<T>& p, std::int64_t d) {
  using S = sum_of<T>;
  constexpr int L = lanes<S>();
  const T* from = p.lines + d * p.step_stride;
  vec<S> x[Steps];
  SLUICE_UNROLL
  for (int i = 0; i < Steps; ++i) x[i] = set(p.x[d + i]);
  std::int64_t l = 0;
  for (; l + L <= p.count; l += L) {
    vec<S> sum = load(p.y + l);
    SLUICE_UNROLL
    for (int i = 0; i < Steps; ++i) sum = multiply_add(x[i], load(from + i * p.step_stride + l), sum);
    store(p.y + l, sum);
  }
  if (l < p.count) {
    const auto some = static_cast<int>(p.count - l);
    vec<S> sum = load_some(p.y + l, some);
    for (int i = 0; i < Steps; ++i) sum = multiply_add(x[i], load_some(from + i * p.step_stride + l, some), sum);
    store(p.y + l, sum, first_lanes(some));
  }
}

// Groups of L lines, each contiguous along k, transposed a square of lanes at a time. A group's chain waits for each of its
// fused multiply-adds: several groups go side by side.
template <class T>
constexpr int line_groups() {
  return std::max(1, 16 / lanes<sum_of<T>>());
}
template <class T>
SLUICE_INLINE void add_lines(const vector_product<T>& p, std::int64_t line) {
  using S = sum_of<T>;
  constexpr int L = lanes<S>();
  constexpr int G = line_groups<T>();
  const T* at[G * L];
  for (int i = 0; i < G * L; ++i) at[i] = p.lines + std::min(line + i, p.count - 1) * p.line_stride;
  vec<S> sums[G] = {};
  std::int64_t d = 0;
  for (; d + L <= p.depth; d += L) {
    SLUICE_UNROLL
    for (int g = 0; g < G; ++g) {
      vec<S> x[L];
      SLUICE_UNROLL
      for (int i = 0; i < L; ++i) x[i] = load(at[g * L + i] + d);
      transpose<S>(x);
      SLUICE_UNROLL
      for (int i = 0; i < L; ++i) sums[g] = multiply_add(set(p.x[d + i]), x[i], sums[g]);
    }
  }
  const auto some = static_cast<int>(p.depth - d);
  for (int g = 0; g < G; ++g) {
    if (some > 0) {
      vec<S> x[L];
      for (int i = 0; i < L; ++i) x[i] = load_some(at[g * L + i] + d, some);
      transpose<S>(x);
      for (int i = 0; i < some; ++i) sums[g] = multiply_add(set(p.x[d + i]), x[i], sums[g]);
    }
    const std::int64_t left = std::min<std::int64_t>(L, p.count - line - g * L);
    if (left > 0) store(p.y + line + g * L, sums[g], first_lanes(static_cast<int>(left)));
  }
}

template <class T>
SLUICE_TARGET void run_vector(const vector_product<T>& p) {
  using S = sum_of<T>;
  constexpr int L = lanes<S>();
  if (p.line_stride == 1 && p.step_stride != 1) {
    std::fill_n(p.y, p.count, S{0});
    std::int64_t d = 0;
    for (; d + 8 <= p.depth; d += 8) add_steps<8>(p, d);
    for (; d < p.depth; ++d) add_steps<1>(p, d);
  } else if (p.step_stride == 1) {
    for (std::int64_t l = 0; l < p.count; l += line_groups<T>() * L) add_lines(p, l);
  } else {
    for (std::int64_t l = 0; l < p.count; ++l) {
      vec<S> sum{};
      for (std::int64_t d = 0; d < p.depth; ++d)
        sum = multiply_add(set(p.x[d]), set(to_sum(p.lines[l * p.line_stride + d * p.step_stride])), sum);
      p.y[l] = sum[0];
    }
  }
}
