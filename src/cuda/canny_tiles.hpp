// canny's hysteresis: the candidates that hang together with a strong one, in tiles of 32 x 32 pixels and between them.
//
// A tile is 32 words, one a row, held by the lanes of a warp; bit i is column i. `W` is what the lanes can do together, and
// W::rows a word of each lane: on the device a word, in a host's test 32 of them.
//
// First every tile floods from its strong pixels. What remains and touches the tile's border may hang together with more:
// its components become nodes of a forest over all tiles, and neighbours are joined in it, 0 being the node of all that is
// reached. Then every component whose root is 0 is reached too. So the number of steps is the same however long a path
// winds.
#pragma once

#include "canny_pairs.hpp"

namespace sluice::cuda {

constexpr int tile_side = 32;
// A component of the border takes two of its 124 pixels at least, itself and a gap.
constexpr unsigned tile_nodes = 64;

struct tile_grid {
  unsigned columns;
  unsigned rows;
  unsigned images;
  [[nodiscard]] SLUICE_ON_BOTH constexpr unsigned count() const { return columns * rows * images; }
};

// One launch's memory on the device.
struct canny_memory {
  word* candidates;  // 32 words a tile
  word* reached;     // likewise; the strong ones at first
  word* slots;       // of a tile with nodes, lane i: node of row i's first and last column and column i's first and last row
  word* parents;     // of nodes: tile * tile_nodes + slot + 1
  word* pending;     // tiles with nodes
  word* nodes;       // how many, in the same order
  word* pending_count;
};

// All of the runs of `mask` in each word that hold a bit of `seed`. A carry runs to the end of a run, one way; `reversed` is
// mask's bits in reverse.
template <class W>
SLUICE_ON_DEVICE inline typename W::rows fill_runs(typename W::rows seed, typename W::rows mask, typename W::rows reversed) {
  const auto up = (mask + seed) ^ mask;
  const auto down = W::reverse((reversed + W::reverse(seed)) ^ reversed);
  return (up | down | seed) & mask;
}

// What of `mask` hangs together with `seed`, a part of it.
template <class W>
SLUICE_ON_DEVICE inline typename W::rows flood(typename W::rows seed, typename W::rows mask) {
  const auto reversed = W::reverse(mask);
  for (;;) {
    const auto near = seed | W::above(seed) | W::below(seed);
    const auto grown = fill_runs<W>((near | near << 1 | near >> 1) & mask, mask, reversed);
    if (!W::any(grown ^ seed)) return seed;
    seed = grown;
  }
}

// Numbers the components of `weak` at the tile's border, and returns how many they are.
template <class W>
SLUICE_ON_DEVICE inline unsigned number_components(typename W::rows weak, typename W::rows& slots) {
  unsigned count = 0;
  slots = W::all(0);
  for (auto border = weak & W::border(); W::any(border); ++count) {
    const auto component = flood<W>(W::first(border), weak);
    const auto sides = (component & W::all(1)) | component >> 31 << 8 | W::across(W::row(component, 0)) << 16 |
                       W::across(W::row(component, 31)) << 24;
    slots = slots | sides * W::all(count);
    border = border & ~component;
  }
  return count;
}

// The forest. Parents are smaller than their children, so that 0 is a root; `P` loads, stores and exchanges them.
template <class P>
SLUICE_ON_DEVICE inline word find_root(P& parents, word node) {
  for (;;) {
    const word parent = parents.load(node);
    if (parent == node || parent == 0) return parent;
    const word next = parents.load(parent);
    if (next == parent) return parent;
    parents.store(node, next);  // halves the path; a store of another thread is a way up as well
    node = next;
  }
}

template <class P>
SLUICE_ON_DEVICE inline void join(P& parents, word a, word b) {
  for (;;) {
    a = find_root(parents, a);
    b = find_root(parents, b);
    if (a == b) return;
    const word child = a < b ? b : a;
    const word parent = a < b ? a : b;
    if (parents.exchange(child, child, parent) == child) return;
    // Another thread has given the child a parent: both are looked up again.
  }
}

// A tile's place, and its neighbours.
struct tile_place {
  unsigned tile, column, row;
  tile_grid grid;

  SLUICE_ON_DEVICE tile_place(unsigned index, const tile_grid& g)
      : tile(index), column(index % g.columns), row(index / g.columns % g.rows), grid(g) {}
  [[nodiscard]] SLUICE_ON_DEVICE bool has(int dx, int dy) const {
    return (dx < 0 ? column > 0 : dx == 0 || column + 1 < grid.columns) &&
           (dy < 0 ? row > 0 : dy == 0 || row + 1 < grid.rows);
  }
  [[nodiscard]] SLUICE_ON_DEVICE std::size_t at(int dx, int dy) const {
    return static_cast<std::size_t>(static_cast<std::ptrdiff_t>(tile) + dy * static_cast<std::ptrdiff_t>(grid.columns) + dx);
  }
};

// Joins the components of a tile with what is reached around it, and with those above it and to its left.
template <class W, class P>
class tile_joints {
 public:
  using rows = typename W::rows;

  SLUICE_ON_DEVICE tile_joints(const canny_memory& memory, const tile_grid& grid, unsigned tile, P& parents)
      : memory_(memory), place_(tile, grid), parents_(parents) {}

  SLUICE_ON_DEVICE void run() const {
    const std::size_t own = std::size_t{place_.tile} * tile_side;
    const rows reached = W::load(memory_.reached + own);
    const rows weak = W::load(memory_.candidates + own) & ~reached;
    const rows slots = W::load(memory_.slots + own);
    row_above(W::across(W::row(weak, 0)), slots >> 16 & W::all(0xff));
    row_below(W::across(W::row(weak, 31)), slots >> 24);
    column_left(weak & W::all(1), slots & W::all(0xff));
    column_right(weak >> 31, slots >> 8 & W::all(0xff));
  }

 private:
  [[nodiscard]] SLUICE_ON_DEVICE static word first_node(std::size_t tile) {
    return static_cast<word>(tile) * tile_nodes + 1;
  }

  // A neighbour's row: reached, and the candidates that are not.
  struct border_row {
    word reached = 0;
    word weak = 0;
  };
  [[nodiscard]] SLUICE_ON_DEVICE border_row row_of(int dx, int dy, int row) const {
    if (!place_.has(dx, dy)) return {};
    const std::size_t i = place_.at(dx, dy) * tile_side + static_cast<std::size_t>(row);
    const word reached = memory_.reached[i];
    return {reached, memory_.candidates[i] & ~reached};
  }

  SLUICE_ON_DEVICE static word near(word left, word middle, word right) {
    return middle | middle << 1 | middle >> 1 | left >> 31 | right << 31;
  }

  SLUICE_ON_DEVICE void reach(rows where, rows slots) const {
    const word first = first_node(place_.tile);
    W::each(where, slots, slots, [&](word slot, word) { join(parents_, first + slot, 0); });
  }
  SLUICE_ON_DEVICE void join_with(std::size_t tile, rows where, rows slots, rows others) const {
    const word first = first_node(place_.tile);
    const word other = first_node(tile);
    W::each(where, slots, others, [&](word slot, word theirs) { join(parents_, first + slot, other + theirs); });
  }

  SLUICE_ON_DEVICE void row_above(rows mine, rows slots) const {
    const border_row left = row_of(-1, -1, 31);
    const border_row middle = row_of(0, -1, 31);
    const border_row right = row_of(1, -1, 31);
    reach(mine & W::across(near(left.reached, middle.reached, right.reached)), slots);
    if (middle.weak != 0) {
      const rows theirs = W::load(memory_.slots + place_.at(0, -1) * tile_side) >> 24;
      join_with(place_.at(0, -1), mine & W::across(middle.weak), slots, theirs);
      join_with(place_.at(0, -1), mine & W::across(middle.weak << 1), slots, W::above(theirs));
      join_with(place_.at(0, -1), mine & W::across(middle.weak >> 1), slots, W::below(theirs));
    }
    if (left.weak >> 31 != 0)
      join_with(place_.at(-1, -1), mine & W::across(1), slots,
                W::all(memory_.slots[place_.at(-1, -1) * tile_side + 31] >> 24));
    if ((right.weak & 1) != 0)
      join_with(place_.at(1, -1), mine & W::across(0x80000000u), slots,
                W::all(memory_.slots[place_.at(1, -1) * tile_side] >> 24));
  }

  SLUICE_ON_DEVICE void row_below(rows mine, rows slots) const {
    reach(mine & W::across(near(row_of(-1, 1, 0).reached, row_of(0, 1, 0).reached, row_of(1, 1, 0).reached)), slots);
  }

  SLUICE_ON_DEVICE void column_left(rows mine, rows slots) const {
    if (!place_.has(-1, 0) || !W::any(mine)) return;
    const std::size_t tile = place_.at(-1, 0);
    const rows reached = W::load(memory_.reached + tile * tile_side);
    const rows weak = (W::load(memory_.candidates + tile * tile_side) & ~reached) >> 31;
    const rows column = reached >> 31;
    reach(mine & (column | W::above(column) | W::below(column)), slots);
    if (!W::any(weak)) return;
    const rows theirs = W::load(memory_.slots + tile * tile_side) >> 8 & W::all(0xff);
    join_with(tile, mine & weak, slots, theirs);
    join_with(tile, mine & W::above(weak), slots, W::above(theirs));
    join_with(tile, mine & W::below(weak), slots, W::below(theirs));
  }

  SLUICE_ON_DEVICE void column_right(rows mine, rows slots) const {
    if (!place_.has(1, 0) || !W::any(mine)) return;
    const rows column = W::load(memory_.reached + place_.at(1, 0) * tile_side) & W::all(1);
    reach(mine & (column | W::above(column) | W::below(column)), slots);
  }

  const canny_memory& memory_;
  const tile_place place_;
  P& parents_;
};

// A tile before anything is known of its neighbours: floods it, and numbers what may hang together with more. True when
// there is nothing of the latter: `rows` is then the result.
template <class W, class P>
SLUICE_ON_DEVICE inline bool settle_tile(const canny_memory& memory, unsigned tile, P& parents, typename W::rows& rows) {
  const std::size_t own = std::size_t{tile} * tile_side;
  const auto candidates = W::load(memory.candidates + own);
  rows = W::all(0);
  if (!W::any(candidates)) return true;
  const auto strong = W::load(memory.reached + own);
  rows = flood<W>(strong, candidates);
  if (W::any(rows ^ strong)) W::store(memory.reached + own, rows);
  const auto weak = candidates & ~rows;
  if (!W::any(weak & W::border())) return true;
  typename W::rows slots;
  const unsigned count = number_components<W>(weak, slots);
  W::store(memory.slots + own, slots);
  W::for_lanes(count, [&](unsigned slot) {
    const word node = tile * tile_nodes + slot + 1;
    parents.store(node, node);
  });
  W::once([&] {
    const word place = parents.append(memory.pending_count);
    memory.pending[place] = tile;
    memory.nodes[place] = count;
  });
  return false;
}

// The rows of a tile with nodes, once all are joined.
template <class W, class P>
SLUICE_ON_DEVICE inline typename W::rows finish_tile(const canny_memory& memory, unsigned tile, unsigned count, P& parents) {
  const std::size_t own = std::size_t{tile} * tile_side;
  const auto reached = W::load(memory.reached + own);
  const auto weak = W::load(memory.candidates + own) & ~reached;
  const auto slots = W::load(memory.slots + own);
  const std::uint64_t found =
      W::mask_of(count, [&](unsigned slot) { return find_root(parents, tile * tile_nodes + slot + 1) == 0; });
  if (found == 0) return reached;
  const auto top = W::in_row(0, W::gather(W::across(W::row(weak, 0)) & W::bits_of(found, slots >> 16 & W::all(0xff))));
  const auto bottom = W::in_row(31, W::gather(W::across(W::row(weak, 31)) & W::bits_of(found, slots >> 24)));
  const auto left = weak & W::bits_of(found, slots & W::all(0xff));
  const auto right = weak & W::bits_of(found, slots >> 8 & W::all(0xff)) << 31;
  return reached | flood<W>(top | bottom | left | right, weak);
}

}  // namespace sluice::cuda
