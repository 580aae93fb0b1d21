// Hysteresis on bitmaps: against a search pixel by pixel, with a stack so small that passes are repeated.
#include "sluice/impl/cpu/canny_flood.hpp"

#include "testing.hpp"

using namespace testing;
namespace edges = sluice::cpu::edges;

namespace {

// Bitmaps of random candidates with a few edges; or of combs, whose teeth wait on the stack.
class plane {
 public:
  plane(std::int64_t rows, std::int64_t words, int density, std::uint64_t seed)
      : rows_(rows), stride_(words + 1), candidates_(size()), edges_(size()) {
    numbers n(seed);
    for (std::int64_t y = 0; y < rows; ++y)
      for (std::int64_t x = 0; x < 64 * words; ++x) {
        const bool comb = (rows - 1 - y) % 8 == 0 || (x % 2 == 0 && (rows - 1 - y) % 8 < 7) || (x % 32 == 31);
        if (density == 0 ? comb : n.below(100) < density) set(candidates_, y, x);
        if (density > 0 && has(candidates_, y, x) && n.below(200) == 0) set(edges_, y, x);
      }
    if (density == 0) set(edges_, rows - 1, 0);
  }

  [[nodiscard]] edges::bitmaps bitmaps() { return {candidates_.data(), edges_.data(), stride_}; }
  [[nodiscard]] const std::vector<std::uint64_t>& found() const { return edges_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }

  [[nodiscard]] std::vector<std::uint64_t> by_search() const {
    std::vector<std::uint64_t> reached = edges_;
    std::vector<std::pair<std::int64_t, std::int64_t>> growing;
    const std::int64_t width = 64 * (stride_ - 1);
    for (std::int64_t y = 0; y < rows_; ++y)
      for (std::int64_t x = 0; x < width; ++x)
        if (has(edges_, y, x)) growing.emplace_back(y, x);
    while (!growing.empty()) {
      const auto [y, x] = growing.back();
      growing.pop_back();
      for (std::int64_t v = std::max<std::int64_t>(0, y - 1); v < std::min(rows_, y + 2); ++v)
        for (std::int64_t u = std::max<std::int64_t>(0, x - 1); u < std::min(width, x + 2); ++u)
          if (has(candidates_, v, u) && !has(reached, v, u)) {
            set(reached, v, u);
            growing.emplace_back(v, u);
          }
    }
    return reached;
  }

 private:
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(rows_ * stride_); }
  [[nodiscard]] std::size_t at(std::int64_t y, std::int64_t x) const {
    return static_cast<std::size_t>(y * stride_ + x / 64);
  }
  [[nodiscard]] bool has(const std::vector<std::uint64_t>& map, std::int64_t y, std::int64_t x) const {
    return (map[at(y, x)] >> (x % 64) & 1) != 0;
  }
  void set(std::vector<std::uint64_t>& map, std::int64_t y, std::int64_t x) const {
    map[at(y, x)] |= std::uint64_t{1} << (x % 64);
  }

  std::int64_t rows_;
  std::int64_t stride_;
  std::vector<std::uint64_t> candidates_;
  std::vector<std::uint64_t> edges_;
};

}  // namespace

TEST_CASE("runs are filled from their seeds") {
  numbers n(1);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t of = n.next() | (i % 3 == 0 ? 0 : n.next()) | (i % 5 == 0 ? n.next() << 32 : 0);
    const std::uint64_t seeds = of & n.next() & n.next() & n.next();
    std::uint64_t expected = seeds;
    for (int k = 0; k < 64; ++k) expected |= of & (expected << 1 | expected >> 1);
    REQUIRE(edges::fill_runs(of, seeds) == expected);
  }
  CHECK(edges::fill_runs(~std::uint64_t{0}, std::uint64_t{1} << 63) == ~std::uint64_t{0});
}

TEST_CASE("edges grow to the fixed point, with any stack, and in parts that are joined") {
  for (const int density : {0, 10, 35, 42, 60, 100})
    for (const std::size_t stack : {1u, 4u, 1024u})
      for (const std::int64_t words : {1, 2, 7})
        for (const std::int64_t part : {1, 5, 64}) {
          INFO("density ", density, ", stack ", stack, ", ", words, " words, parts of ", part, " rows");
          plane p(45, words, density, static_cast<std::uint64_t>(density));
          const auto expected = p.by_search();
          std::vector<edges::flood::entry> memory(stack);
          for (std::int64_t y = 0; y < p.rows(); y += part)
            edges::flood(p.bitmaps(), y, std::min(p.rows(), y + part), memory).run();
          edges::flood all(p.bitmaps(), 0, p.rows(), memory);
          const auto before = p.found();
          std::vector<bool> changed(before.size());
          bool joined = true;
          for (std::int64_t y = part; y < p.rows(); y += part)
            joined = all.join(y - 1, [&](std::int64_t at) { changed[static_cast<std::size_t>(at)] = true; }) && joined;
          if (!joined)
            all.run();
          else
            for (std::size_t i = 0; i < before.size(); ++i)
              if (before[i] != p.found()[i]) CHECK(changed[i]);
          CHECK(p.found() == expected);
          if (stack == 1 && density == 0 && words == 7) CHECK((part == 64 || !joined));
        }
}
