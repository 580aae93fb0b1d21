// The CUDA backend's arithmetic of canny, on words and tiles, run on the host: the same code, with 32 words for a warp's.
// Its edges are the reference's, and what it connects is what a flood with a stack connects.
#include <algorithm>
#include <numeric>

#include "canny.hpp"
#include "canny_edges.hpp"
#include "canny_images.hpp"
#include "canny_tiles.hpp"
#include "sluice/impl/base/canny.hpp"
#include "sluice/impl/base/half.hpp"

using namespace sluice::cuda;
using sluice::tensor;
using sluice::base::canny_tan;

namespace {

struct host_pairs {
  static float value(word w, int i) {
    return sluice::base::to_float(sluice::base::f16{static_cast<std::uint16_t>(w >> 16 * i)});
  }
  template <class F>
  static word map(const F& f) {
    return sluice::base::to_f16(f(0)).bits | static_cast<word>(sluice::base::to_f16(f(1)).bits) << 16;
  }
  static word add(word a, word b) {
    return map([&](int i) { return static_cast<double>(value(a, i)) + value(b, i); });
  }
  static word sub(word a, word b) {
    return map([&](int i) { return static_cast<double>(value(a, i)) - value(b, i); });
  }
  static word fma(word a, word b, word c) {
    return map([&](int i) { return static_cast<double>(value(a, i)) * value(b, i) + value(c, i); });
  }
  static word abs(word a) { return a & 0x7fff7fffu; }
  static word mask(bool low, bool high) { return (low ? 0xffffu : 0u) | (high ? 0xffff0000u : 0u); }
  static word greater(word a, word b) { return mask(value(a, 0) > value(b, 0), value(a, 1) > value(b, 1)); }
  static word at_least(word a, word b) { return mask(value(a, 0) >= value(b, 0), value(a, 1) >= value(b, 1)); }
  static word negative(word a) { return mask((a & 0x8000u) != 0, (a & 0x80000000u) != 0); }
  static float low(word a) { return value(a, 0); }
  static float high(word a) { return value(a, 1); }
  static word permute(word a, word b, unsigned selector) {
    const std::uint64_t bytes = static_cast<std::uint64_t>(b) << 32 | a;
    word to = 0;
    for (unsigned i = 0; i < 4; ++i) to |= static_cast<word>(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
    return to;
  }
  static word shift_right(word low, word high, unsigned bits) {
    return static_cast<word>((static_cast<std::uint64_t>(high) << 32 | low) >> bits);
  }
};

struct host_rows {
  word w[32];
};
template <class F>
host_rows of_rows(const F& f) {
  host_rows to;
  for (int i = 0; i < 32; ++i) to.w[i] = f(i);
  return to;
}
#define OPERATOR(op)                                              \
  host_rows operator op(const host_rows& a, const host_rows& b) { \
    return of_rows([&](int i) { return a.w[i] op b.w[i]; });      \
  }
OPERATOR(&)
OPERATOR(|)
OPERATOR(^)
OPERATOR(+)
OPERATOR(*)
#undef OPERATOR
host_rows operator~(const host_rows& a) {
  return of_rows([&](int i) { return ~a.w[i]; });
}
host_rows operator<<(const host_rows& a, int n) {
  return of_rows([&](int i) { return a.w[i] << n; });
}
host_rows operator>>(const host_rows& a, int n) {
  return of_rows([&](int i) { return a.w[i] >> n; });
}

struct host_warp {
  using rows = host_rows;
  static rows all(word w) {
    return of_rows([&](int) { return w; });
  }
  static bool any(const rows& r) {
    return std::any_of(r.w, r.w + 32, [](word w) { return w != 0; });
  }
  static rows above(const rows& r) {
    return of_rows([&](int i) { return i == 0 ? 0 : r.w[i - 1]; });
  }
  static rows below(const rows& r) {
    return of_rows([&](int i) { return i == 31 ? 0 : r.w[i + 1]; });
  }
  static rows reverse(const rows& r) {
    return of_rows([&](int i) {
      word to = 0;
      for (int b = 0; b < 32; ++b) to |= (r.w[i] >> b & 1) << (31 - b);
      return to;
    });
  }
  static rows border() {
    return of_rows([](int i) { return i % 31 == 0 ? 0xffffffffu : 0x80000001u; });
  }
  static rows first(const rows& r) {
    const auto holder = std::find_if(r.w, r.w + 32, [](word w) { return w != 0; }) - r.w;
    return of_rows([&](int i) { return i == holder ? r.w[i] & (0 - r.w[i]) : 0; });
  }
  static word row(const rows& r, int i) { return r.w[i]; }
  static rows in_row(int row, word w) {
    return of_rows([&](int i) { return i == row ? w : 0; });
  }
  static rows across(word w) {
    return of_rows([&](int i) { return w >> i & 1; });
  }
  static word gather(const rows& r) {
    word to = 0;
    for (int i = 0; i < 32; ++i) to |= static_cast<word>(r.w[i] != 0) << i;
    return to;
  }
  static rows load(const word* p) {
    return of_rows([&](int i) { return p[i]; });
  }
  static void store(word* p, const rows& r) { std::copy(r.w, r.w + 32, p); }
  template <class F>
  static void each(const rows& where, const rows& a, const rows& b, const F& f) {
    for (int i = 0; i < 32; ++i)
      if (where.w[i] != 0) f(a.w[i], b.w[i]);
  }
  template <class F>
  static void for_lanes(unsigned count, const F& f) {
    for (unsigned i = 0; i < count; ++i) f(i);
  }
  template <class F>
  static void once(const F& f) {
    f();
  }
  template <class F>
  static std::uint64_t mask_of(unsigned count, const F& f) {
    std::uint64_t mask = 0;
    for (unsigned i = 0; i < count; ++i) mask |= static_cast<std::uint64_t>(f(i)) << i;
    return mask;
  }
  static rows bits_of(std::uint64_t mask, const rows& slots) {
    return of_rows([&](int i) { return static_cast<word>(mask >> slots.w[i] & 1); });
  }
};

struct host_parents {
  std::vector<word> parents;
  word load(word node) const { return parents.at(node); }
  void store(word node, word parent) { parents.at(node) = parent; }
  word exchange(word node, word expected, word parent) {
    const word was = parents.at(node);
    if (was == expected) parents.at(node) = parent;
    return was;
  }
  word append(word* count) const { return (*count)++; }
};

using bitmap = std::vector<std::uint8_t>;  // a byte a pixel

bitmap flood_by_stack(const bitmap& candidates, const bitmap& strong, int h, int w) {
  bitmap to = strong;
  std::vector<int> stack;
  for (int i = 0; i < h * w; ++i)
    if (strong[static_cast<std::size_t>(i)] != 0) stack.push_back(i);
  while (!stack.empty()) {
    const int i = stack.back();
    stack.pop_back();
    for (int y = std::max(i / w - 1, 0); y <= std::min(i / w + 1, h - 1); ++y)
      for (int x = std::max(i % w - 1, 0); x <= std::min(i % w + 1, w - 1); ++x) {
        const auto n = static_cast<std::size_t>(y * w + x);
        if (candidates[n] != 0 && to[n] == 0) to[n] = 1, stack.push_back(y * w + x);
      }
  }
  return to;
}

// A line one pixel wide that winds inwards, `gap` pixels from its last turn.
bitmap spiral(int h, int w, int gap) {
  bitmap b(static_cast<std::size_t>(h * w));
  const auto inside = [&](int y, int x) { return y >= 0 && y < h && x >= 0 && x < w; };
  const auto taken = [&](int y, int x) { return inside(y, x) && b[static_cast<std::size_t>(y * w + x)] != 0; };
  for (int y = 0, x = 0, dy = 0, dx = 1, turns = 0; turns < 2;) {
    b[static_cast<std::size_t>(y * w + x)] = 1;
    if (inside(y + dy, x + dx) && !taken(y + gap * dy, x + gap * dx)) {
      y += dy, x += dx, turns = 0;
    } else {
      dy = std::exchange(dx, -dy);
      ++turns;
    }
  }
  return b;
}

// A launch's memory, and the kernels' loops.
struct launch {
  tile_grid grid;
  std::vector<word> candidates, reached, slots, pending, nodes;
  host_parents parents;
  word pending_count = 0;

  launch(int h, int w, int images = 1)
      : grid{static_cast<unsigned>(w + 31) / 32, static_cast<unsigned>(h + 31) / 32, static_cast<unsigned>(images)} {
    for (auto* v : {&candidates, &reached, &slots}) v->assign(grid.count() * 32, 0xffffffffu);
    for (auto* v : {&pending, &nodes}) v->assign(grid.count(), 0xffffffffu);
    parents.parents.assign(grid.count() * tile_nodes + 1, 0xffffffffu);
    parents.parents[0] = 0;
  }
  canny_memory memory() {
    return {candidates.data(), reached.data(), slots.data(),  parents.parents.data(),
            pending.data(),    nodes.data(),   &pending_count};
  }
  void set(std::vector<word>& bits, const bitmap& b, int h, int w) {
    std::fill(bits.begin(), bits.end(), 0);
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        bits[(static_cast<unsigned>(y / 32) * grid.columns + static_cast<unsigned>(x / 32)) * 32 +
             static_cast<unsigned>(y % 32)] |= static_cast<word>(b[static_cast<std::size_t>(y * w + x)]) << x % 32;
  }
  bitmap get(const std::vector<word>& bits, int h, int w) const {
    bitmap b(static_cast<std::size_t>(h * w));
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x)
        b[static_cast<std::size_t>(y * w + x)] =
            bits[(static_cast<unsigned>(y / 32) * grid.columns + static_cast<unsigned>(x / 32)) * 32 +
                 static_cast<unsigned>(y % 32)] >>
                x % 32 &
            1;
    return b;
  }
  // The result; tiles in an order that depends on `seed`, as they are on the device.
  std::vector<word> connect(std::uint64_t seed) {
    std::vector<word> result(candidates.size(), 0xffffffffu);
    const canny_memory m = memory();
    std::vector<unsigned> order(grid.count());
    std::iota(order.begin(), order.end(), 0u);
    testing::numbers n(seed);
    const auto shuffle = [&](std::size_t count) {
      for (std::size_t i = count; i > 1; --i)
        std::swap(order[i - 1], order[static_cast<std::size_t>(n.below(static_cast<std::int64_t>(i)))]);
    };
    shuffle(order.size());
    for (const unsigned tile : order) {
      host_rows rows;
      if (settle_tile<host_warp>(m, tile, parents, rows)) host_warp::store(&result[tile * 32], rows);
    }
    std::iota(order.begin(), order.end(), 0u);
    shuffle(pending_count);
    for (unsigned i = 0; i < pending_count; ++i)
      tile_joints<host_warp, host_parents>(m, grid, pending[order[i]], parents).run();
    for (unsigned i = 0; i < pending_count; ++i)
      host_warp::store(&result[pending[i] * 32], finish_tile<host_warp>(m, pending[i], nodes[i], parents));
    return result;
  }
};

template <template <class> class Magnitudes, int C, int Columns, int Rows, bool Aligned>
void walk(const tensor& p, word low, word high, launch& l) {
  constexpr unsigned tile_groups = 32 / Columns;
  for (unsigned group = 0; group < l.grid.columns * tile_groups; ++group)
    for (unsigned y = 0; y < l.grid.rows * 32; y += 2 * Rows) {
      const std::size_t row0 = (static_cast<std::size_t>(y / 32) * l.grid.columns + group / tile_groups) * 32 + y % 32;
      const unsigned shift = group % tile_groups * Columns;
      const auto put = [&](std::vector<word>& bits, std::size_t row, word value) {
        const word mask = ((1u << Columns) - 1) << shift;
        bits[row] = (bits[row] & ~mask) | (value << shift & mask);
      };
      edge_walk<host_pairs, Magnitudes<host_pairs>, C, Columns, Rows, Aligned>(
          static_cast<const std::uint8_t*>(p.data()), p.extent(1), p.extent(0), static_cast<std::int64_t>(group) * Columns,
          y, low, high)
          .run([&](int row, word c, word s) {
            const std::size_t i = row0 + static_cast<std::size_t>(row);
            put(l.candidates, i, c & 0xffff);
            put(l.candidates, i + Rows, c >> 16);
            put(l.reached, i, s & 0xffff);
            put(l.reached, i + Rows, s >> 16);
          });
    }
}

template <int C, bool Aligned>
void edges_by_words(const tensor& p, const sluice::base::canny_thresholds& t, launch& l) {
  const auto f16 = [](int n) { return sluice::base::to_f16(static_cast<double>(std::min(n, 2047))).bits * 0x10001u; };
  const auto whole = [](int n) { return static_cast<word>(std::min(n, 1 << 23)); };
  if (t.squared)
    walk<l2_magnitudes, C, 4, tile_side / 2, Aligned>(p, whole(t.low), whole(t.high), l);
  else if (C == 1)
    walk<l1_magnitudes, C, 8, tile_side / 2, Aligned>(p, f16(t.low), f16(t.high), l);
  else
    walk<l1_magnitudes, C, 4, tile_side / 2, Aligned>(p, f16(t.low), f16(t.high), l);
}

}  // namespace

TEST_CASE("sectors are those of integers, for every gradient") {
  for (int x = 0; x <= 1020; ++x)
    for (int y = 0; y <= 1020; ++y) {
      const word a = sluice::base::to_f16(static_cast<double>(x)).bits;
      const word b = sluice::base::to_f16(static_cast<double>(y)).bits;
      const bool level = (below_tangent<host_pairs>(a, b) & 0xffff) != 0;
      const bool upright = (above_tangent<host_pairs>(a, host_pairs::fma(a, pair_minus_two, b)) & 0xffff) != 0;
      if (level != (y << 15 < x * canny_tan) || upright != (y << 15 > x * canny_tan + (x << 16))) FAIL(x << ", " << y);
    }
}

TEST_CASE("edges of every size, alignment, norm and number of channels") {
  for (const auto& [height, width] : {std::pair{1, 1},
                                      {1, 2},
                                      {2, 1},
                                      {1, 40},
                                      {40, 1},
                                      {3, 3},
                                      {7, 5},
                                      {16, 8},
                                      {17, 9},
                                      {33, 31},
                                      {32, 32},
                                      {35, 64},
                                      {50, 67},
                                      {41, 100}})
    for (const int channels : {1, 3})
      for (const auto norm : testing::both_norms)
        for (const char* kind : {"noise", "board", "waves", "blocks"})
          for (const auto& [low, high] :
               {testing::thresholds{0, 0}, {100, 100}, {100, 200}, {600.5, 300.25}, {1500, 40000}}) {
            INFO(kind, " ", height, " x ", width, " x ", channels, ", norm ", static_cast<int>(norm), ", ", low, ", ", high);
            const tensor image = testing::image_of(kind, height, width, channels, 5);
            const sluice_canny_options options{low, high, static_cast<std::int32_t>(norm)};
            const auto t = sluice::base::canny_thresholds_of<sluice_canny_options>(&options, sizeof options);
            bitmap expected = reference::canny_image(sluice::core::array_of(image), options).edges();
            for (auto& byte : expected) byte &= 1;
            launch l(height, width);
            channels == 1 ? edges_by_words<1, false>(image, t, l) : edges_by_words<3, false>(image, t, l);
            launch m(height, width);
            if (width % 8 == 0) {
              channels == 1 ? edges_by_words<1, true>(image, t, m) : edges_by_words<3, true>(image, t, m);
              CHECK(m.candidates == l.candidates);
              CHECK(m.reached == l.reached);
            }
            CHECK(l.get(l.connect(1), height, width) == expected);
          }
}

TEST_CASE("what hangs together with a strong pixel") {
  std::uint64_t seed = 1;
  for (const auto& [h, w] : {std::pair{1, 1}, {1, 97}, {97, 1}, {32, 32}, {33, 33}, {64, 64}, {70, 200}, {130, 131}})
    for (const int percent : {3, 20, 35, 40, 45, 60, 100})
      for (const int strong_of_1000 : {0, 1, 10, 300}) {
        testing::numbers n(++seed);
        bitmap candidates(static_cast<std::size_t>(h * w)), strong(candidates.size());
        for (std::size_t i = 0; i < candidates.size(); ++i) {
          candidates[i] = n.below(100) < percent;
          strong[i] = candidates[i] != 0 && n.below(1000) < strong_of_1000;
        }
        INFO(h, " x ", w, ", ", percent, " %, ", strong_of_1000);
        launch l(h, w);
        l.set(l.candidates, candidates, h, w);
        l.set(l.reached, strong, h, w);
        CHECK(l.get(l.connect(seed), h, w) == flood_by_stack(candidates, strong, h, w));
      }
}

TEST_CASE("paths that wind through many tiles") {
  for (const int gap : {2, 3, 5})
    for (const auto& [h, w] : {std::pair{200, 300}, {257, 129}})
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        const bitmap candidates = spiral(h, w, gap);
        for (const bool inside : {false, true}) {
          bitmap strong(candidates.size());
          const auto from = inside ? static_cast<std::ptrdiff_t>(h / 2 * w + w / 4) : 0;
          strong[static_cast<std::size_t>(std::find(candidates.begin() + from, candidates.end(), 1) - candidates.begin())] =
              1;
          INFO(h, " x ", w, ", ", gap, ", ", inside);
          launch l(h, w);
          l.set(l.candidates, candidates, h, w);
          l.set(l.reached, strong, h, w);
          const bitmap got = l.get(l.connect(seed), h, w);
          CHECK(got == flood_by_stack(candidates, strong, h, w));
          CHECK(got == candidates);
        }
      }
}

TEST_CASE("the most components that a tile's border can have") {
  bitmap candidates(96 * 96), strong(96 * 96);
  for (int y = 0; y < 96; ++y)
    for (int x = 0; x < 96; ++x) candidates[static_cast<std::size_t>(y * 96 + x)] = y % 2 == 0 && x % 2 == 0;
  launch l(96, 96);
  l.set(l.candidates, candidates, 96, 96);
  l.set(l.reached, strong, 96, 96);
  CHECK(l.get(l.connect(1), 96, 96) == strong);
  CHECK(l.pending_count == 9);
  CHECK(*std::max_element(l.nodes.begin(), l.nodes.begin() + 9) <= tile_nodes);
}
