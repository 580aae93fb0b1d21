// Hysteresis on bitmaps: edges grow along candidates, over the 8 neighbours, up to the fixed point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace edges {

// Words of 64 pixels. Every row ends with a word of zeros, which parts it from the next.
struct bitmaps {
  std::uint64_t* candidates;  // word w of row r is at r * stride + w
  std::uint64_t* edges;       // candidates too
  std::int64_t stride;
};

// The runs of ones in `of` that have a bit of `seeds`, which are bits of `of`.
constexpr std::uint64_t fill_runs(std::uint64_t of, std::uint64_t seeds) noexcept {
  std::uint64_t filled = seeds | (of & ~(of + seeds));  // a carry runs from each seed to its run's end
  if ((of & ~filled & filled >> 1) == 0) return filled;
  for (int shift = 1; shift < 64; shift *= 2) {
    filled |= of & filled >> shift;
    of &= of >> shift;
  }
  return filled;
}

// Grows the edges of some rows. Every word is visited in order, and spreads to those around it; those before it wait on the
// stack for their turn. Where the stack is full they are found in another pass: time is linear for all images but such.
class flood {
 public:
  // A word and its edges that have not spread yet.
  struct entry {
    std::int64_t at;
    std::uint64_t bits;
  };

  flood(const bitmaps& of, std::int64_t first_row, std::int64_t last_row, std::span<entry> stack)
      : candidates_(of.candidates),
        edges_(of.edges),
        stride_(of.stride),
        begin_(first_row * of.stride),
        size_(static_cast<std::uint64_t>(last_row - first_row) * static_cast<std::uint64_t>(of.stride)),
        stack_(stack) {}

  // To the fixed point within the rows.
  void run() {
    do {
      lost_ = false;
      for (visited_ = begin_; inside(visited_); ++visited_) {
        if (edges_[visited_] == 0) continue;
        spread({visited_, edges_[visited_]});
        drain([](std::int64_t) {});
      }
    } while (lost_);
  }

  // From two rows that touch, each part of rows where edges have grown. Calls changed(word) for every word that it may have
  // changed. False: the stack was full, and run() is to follow.
  template <class F>
  bool join(std::int64_t upper_row, F changed) {
    lost_ = false;
    visited_ = begin_ + static_cast<std::int64_t>(size_);
    for (std::int64_t at = upper_row * stride_; at < (upper_row + 2) * stride_; ++at) {
      if (edges_[at] == 0) continue;
      spread({at, edges_[at]});
      drain(changed);
    }
    return !lost_;
  }

 private:
  [[nodiscard]] bool inside(std::int64_t at) const { return static_cast<std::uint64_t>(at - begin_) < size_; }

  template <class F>
  void drain(F changed) {
    while (count_ > 0) {
      const entry top = stack_[--count_];
      spread(top);
      changed(top.at);
    }
  }

  void spread(const entry& from) {
    constexpr std::uint64_t last = std::uint64_t{1} << 63;
    const std::uint64_t bits = fill_runs(candidates_[from.at], from.bits);
    edges_[from.at] |= bits;
    const std::uint64_t wide = bits | bits << 1 | bits >> 1;
    mark(from.at - stride_, wide);
    mark(from.at + stride_, wide);
    if ((bits & 1) != 0)
      for (std::int64_t row = -stride_; row <= stride_; row += stride_) mark(from.at + row - 1, last);
    if ((bits & last) != 0)
      for (std::int64_t row = -stride_; row <= stride_; row += stride_) mark(from.at + row + 1, 1);
  }

  void mark(std::int64_t at, std::uint64_t bits) {
    if (!inside(at)) return;
    const std::uint64_t fresh = bits & candidates_[at] & ~edges_[at];
    if (fresh == 0) return;
    edges_[at] |= fresh;
    if (at > visited_) return;  // its turn comes
    if (count_ < stack_.size())
      stack_[count_++] = {at, fresh};
    else
      lost_ = true;
  }

  const std::uint64_t* candidates_;
  std::uint64_t* edges_;
  std::int64_t stride_;
  std::int64_t begin_;
  std::uint64_t size_;  // words, from begin_ on
  std::int64_t visited_ = 0;
  std::span<entry> stack_;
  std::size_t count_ = 0;
  bool lost_ = false;
};

}  // namespace edges
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
