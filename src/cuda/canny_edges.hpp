// canny's first kernel: gradients, magnitudes, suppression and thresholds, from the image to two bitmaps.
//
// A thread walks down a strip of `Columns` columns, and a second one `Rows` rows below it at the same time: the two share
// words, a half each, so that a row's neighbours need no shifting. What a row shares with the next stays in registers; what
// neighbouring threads share comes from the L1 cache.
#pragma once

#include "canny_pairs.hpp"

namespace sluice::cuda {

struct alignas(8) word_pair {
  word x[2];
};

// What one thread reads of a row: bytes [x * C - lead, ...), in words, of pixels [x - 2, x + Columns + 2) and their like.
template <class A, int C, int Columns>
struct row_window {
  static constexpr int lead = (2 * C + 3) / 4 * 4;
  static constexpr int words = (lead + (Columns + 2) * C + 3) / 4;

  // The byte of channel `c` of pixel x - 2 + j.
  SLUICE_ON_DEVICE static constexpr int byte_of(int j, int c) { return lead + (j - 2) * C + c; }

  // As f16, of two rows: 0x6400 + b is 1024 + b.
  static SLUICE_ON_DEVICE word pair(const word (&a)[words], const word (&b)[words], int byte) {
    const word two = A::permute(a[byte / 4], b[byte / 4], byte % 4 < 2 ? 0x5140 : 0x7362);
    return A::sub(A::permute(two, 0x64646464u, byte % 2 == 0 ? 0x4140 : 0x4342), pair_1024);
  }

  // Rows that begin on a word and are made of whole groups; `vectors` of 8 bytes where a group has as many.
  static SLUICE_ON_DEVICE void load_aligned(const std::uint8_t* row, std::int64_t x, std::int64_t width, word (&w)[words]) {
    constexpr int first = lead / 4;
    constexpr int own = Columns * C / 4;
    const auto* p = reinterpret_cast<const word*>(row + x * C);
    const bool left = x == 0;
    const bool right = x + Columns == width;
    if constexpr (own == 2) {
      const auto v = *reinterpret_cast<const word_pair*>(p);
      w[first] = v.x[0];
      w[first + 1] = v.x[1];
    } else {
      SLUICE_CUDA_UNROLL
      for (int i = 0; i < own; ++i) w[first + i] = p[i];
    }
    SLUICE_CUDA_UNROLL
    for (int i = 0; i < first; ++i) w[i] = left ? 0 : p[i - first];
    SLUICE_CUDA_UNROLL
    for (int i = first + own; i < words; ++i) w[i] = right ? 0 : p[i - first];
    const word begin = w[first];
    const word end = w[first + own - 1];
    if constexpr (C == 1) {
      if (left) w[0] = A::permute(begin, 0, 0x0000);
      if (right) w[words - 1] = A::permute(end, 0, 0x3333);
    } else {
      if (left) w[0] = A::permute(begin, 0, 0x1000), w[1] = A::permute(begin, 0, 0x2102);
      if (right) w[words - 2] = A::permute(end, 0, 0x1321), w[words - 1] = A::permute(end, 0, 0x3232);
    }
  }

  // Any other row. Near the ends of a row it is read byte by byte; elsewhere by the words that hold the bytes, which lie in
  // the row too, or share a word with its first byte.
  static SLUICE_ON_DEVICE void load_any(const std::uint8_t* row, std::int64_t x, std::int64_t width, word (&w)[words]) {
    const std::int64_t begin = x * C - lead;
    if (begin >= 0 && begin + 4 * (words + 1) <= width * C) {
      const std::uint8_t* at = row + begin;
      const auto shift = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(at) % 4);
      const auto* p = reinterpret_cast<const word*>(at - shift);
      word before = p[0];
      SLUICE_CUDA_UNROLL
      for (int i = 0; i < words; ++i) {
        const word next = p[i + 1];
        w[i] = A::shift_right(before, next, 8 * shift);
        before = next;
      }
      return;
    }
    SLUICE_CUDA_UNROLL
    for (int i = 0; i < words; ++i) w[i] = 0;
    SLUICE_CUDA_UNROLL
    for (int j = 0; j < Columns + 4; ++j) {
      const std::int64_t to = x + j - 2;
      const std::int64_t column = to < 0 ? 0 : to >= width ? width - 1 : to;
      SLUICE_CUDA_UNROLL
      for (int c = 0; c < C; ++c) {
        const int byte = byte_of(j, c);
        w[byte / 4] |= static_cast<word>(row[column * C + c]) << (byte % 4 * 8);
      }
    }
  }
};

// The walk of one thread. `A` is its arithmetic, `M` the norm's magnitudes.
template <class A, class M, int C, int Columns, int Rows, bool Aligned>
class edge_walk {
 public:
  static constexpr int pixels = Columns + 4;
  static constexpr int centres = Columns + 2;  // with a magnitude
  using window = row_window<A, C, Columns>;
  using magnitude = typename M::type;

  // (x, y) is the upper strip's first pixel. It may lie outside the image.
  SLUICE_ON_DEVICE edge_walk(const std::uint8_t* image, std::int64_t width, std::int64_t height, std::int64_t x,
                             std::int64_t y, word low, word high)
      : image_(image),
        width_(width),
        height_(height),
        x_(Aligned && x >= width ? width - Columns : x),
        y_(y),
        low_(M::threshold(low)),
        high_(M::threshold(high)) {
    SLUICE_CUDA_UNROLL
    for (int j = 0; j < centres; ++j)
      if (x - 1 + j >= 0 && x - 1 + j < width) inside_ |= 1u << j;
  }

  // sink(row, candidates, strong) for each row of the strips: a bit a column in the low byte of the upper strip, and in the
  // third byte of the lower one.
  template <class Sink>
  SLUICE_ON_DEVICE void run(const Sink& sink) {
    word a[window::words];
    word b[window::words];
    load(0, a, b);
    SLUICE_CUDA_UNROLL_4
    for (int i = 0; i < Rows + 4; ++i) {
      word next_a[window::words];
      word next_b[window::words];
      if (i < Rows + 3) load(i + 1, next_a, next_b);  // under way while this row is worked on
      magnitude below[centres];
      word dx[Columns];
      word dy[Columns];
      differentiate(a, b, below, dx, dy);
      clear_outside(y_ - 3 + i, below);
      if (i >= 4) emit(i - 4, below, sink);
      SLUICE_CUDA_UNROLL
      for (int j = 0; j < centres; ++j) {
        above_[j] = centre_[j];
        centre_[j] = below[j];
      }
      SLUICE_CUDA_UNROLL
      for (int j = 0; j < Columns; ++j) {
        dx_[j] = dx[j];
        dy_[j] = dy[j];
      }
      SLUICE_CUDA_UNROLL
      for (int k = 0; k < window::words; ++k) {
        a[k] = next_a[k];
        b[k] = next_b[k];
      }
    }
  }

 private:
  // What a channel's next row is joined with.
  struct channel {
    word smooth[2][centres] = {};  // of the last row but one and the last: left + 2 * middle + right
    word across[centres] = {};     // of the last row: right - left
    word sum[centres] = {};        // of these two rows: across of the former + 2 * across of the latter
  };

  SLUICE_ON_DEVICE const std::uint8_t* row(std::int64_t y) const {
    const std::int64_t inside = y < 0 ? 0 : y >= height_ ? height_ - 1 : y;
    return image_ + inside * width_ * C;
  }

  SLUICE_ON_DEVICE void load(int i, word (&a)[window::words], word (&b)[window::words]) const {
    if constexpr (Aligned) {
      window::load_aligned(row(y_ - 2 + i), x_, width_, a);
      window::load_aligned(row(y_ - 2 + i + Rows), x_, width_, b);
    } else {
      window::load_any(row(y_ - 2 + i), x_, width_, a);
      window::load_any(row(y_ - 2 + i + Rows), x_, width_, b);
    }
  }

  // The gradient of the row before this one: of the channel of largest magnitude, the first of them.
  SLUICE_ON_DEVICE void differentiate(const word (&a)[window::words], const word (&b)[window::words],
                                      magnitude (&m)[centres], word (&dx)[Columns], word (&dy)[Columns]) {
    SLUICE_CUDA_UNROLL
    for (int c = 0; c < C; ++c) {
      channel& s = channels_[c];
      word pixel[pixels];
      SLUICE_CUDA_UNROLL
      for (int j = 0; j < pixels; ++j) pixel[j] = window::pair(a, b, window::byte_of(j, c));
      SLUICE_CUDA_UNROLL
      for (int j = 0; j < centres; ++j) {
        const word smooth = A::fma(pixel[j + 1], pair_two, A::add(pixel[j], pixel[j + 2]));
        const word across = A::sub(pixel[j + 2], pixel[j]);
        const word x = A::add(s.sum[j], across);
        const word y = A::sub(smooth, s.smooth[0][j]);
        s.smooth[0][j] = s.smooth[1][j];
        s.smooth[1][j] = smooth;
        s.sum[j] = A::fma(across, pair_two, s.across[j]);
        s.across[j] = across;
        const magnitude length = M::of(x, y);
        const word larger = c == 0 ? ~word{0} : M::greater(length, m[j]);
        m[j] = c == 0 ? length : M::select(larger, length, m[j]);
        if (j == 0 || j > Columns) continue;
        dx[j - 1] = c == 0 ? x : choose(larger, x, dx[j - 1]);
        dy[j - 1] = c == 0 ? y : choose(larger, y, dy[j - 1]);
      }
    }
  }

  // Outside the image magnitudes are 0.
  SLUICE_ON_DEVICE void clear_outside(std::int64_t y, magnitude (&m)[centres]) const {
    const bool upper = y >= 0 && y < height_;
    const bool lower = y + Rows >= 0 && y + Rows < height_;
    if (upper && lower && inside_ == (1u << centres) - 1) return;
    const word rows = (upper ? 0xffffu : 0u) | (lower ? 0xffff0000u : 0u);
    SLUICE_CUDA_UNROLL
    for (int j = 0; j < centres; ++j) m[j] = M::keep((inside_ >> j & 1) != 0 ? rows : 0, m[j]);
  }

  template <class Sink>
  SLUICE_ON_DEVICE void emit(int row, const magnitude (&below)[centres], const Sink& sink) const {
    word over[Columns];
    word any = 0;
    SLUICE_CUDA_UNROLL
    for (int j = 0; j < Columns; ++j) any |= over[j] = M::greater(centre_[j + 1], low_);
    word candidates = 0;
    word strong = 0;
    if (any != 0) {
      SLUICE_CUDA_UNROLL
      for (int j = 0; j < Columns; ++j) {
        const word bit = 0x10001u << j;
        candidates |= over[j] & largest(j, below) & bit;
        strong |= M::greater(centre_[j + 1], high_) & bit;
      }
    }
    sink(row, candidates, candidates & strong);
  }

  // Where the centre's magnitude is the largest along its gradient.
  SLUICE_ON_DEVICE word largest(int j, const magnitude (&below)[centres]) const {
    const word x = A::abs(dx_[j]);
    const word y = A::abs(dy_[j]);
    const word level = below_tangent<A>(x, y);                               // less than 22.5 degrees
    const word upright = above_tangent<A>(x, A::fma(x, pair_minus_two, y));  // more than 67.5
    const word falling = A::negative(dx_[j] ^ dy_[j]);                       // the signs differ
    const magnitude& m = centre_[j + 1];
    const magnitude one = M::select(falling, above_[j + 2], above_[j]);
    const magnitude other = M::plus_one(M::select(falling, below[j], below[j + 2]));
    const magnitude first = M::select(level, centre_[j], M::select(upright, above_[j + 1], one));
    const magnitude second = M::select(level, centre_[j + 2], M::select(upright, below[j + 1], other));
    return M::greater(m, first) & M::at_least(m, second);
  }

  const std::uint8_t* image_;
  std::int64_t width_, height_, x_, y_;
  magnitude low_, high_;
  unsigned inside_ = 0;  // a bit for each centre whose column is in the image
  channel channels_[C];
  magnitude above_[centres] = {};
  magnitude centre_[centres] = {};
  word dx_[Columns] = {};
  word dy_[Columns] = {};
};

}  // namespace sluice::cuda
