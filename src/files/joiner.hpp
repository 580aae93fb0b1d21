// join_rowsums for sums that come one by one, with one of them a level in memory: as a binary counter carries. `width` sums
// go side by side. Unrounded sums, f64 or i64, are handled as words of 8 bytes, which is how a journal keeps them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "sluice/dtype.hpp"

namespace sluice::files {

using words = std::vector<std::uint64_t>;

// a += b.
inline void add_words(bool floating, std::uint64_t* a, const std::uint64_t* b, std::size_t count) {
  if (floating)
    for (std::size_t i = 0; i < count; ++i)
      a[i] = std::bit_cast<std::uint64_t>(std::bit_cast<double>(a[i]) + std::bit_cast<double>(b[i]));
  else
    for (std::size_t i = 0; i < count; ++i) a[i] += b[i];
}

// Rounded to the dtype of sums, with one bit pattern for what is not a number, as rowsum promises.
inline void append_rounded(std::span<const std::uint64_t> sums, dtype to, std::vector<std::byte>& out) {
  const auto keep = [&](auto value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  for (const std::uint64_t word : sums) {
    if (!is_floating(to)) {
      keep(word);
      continue;
    }
    double sum = std::bit_cast<double>(word);
    if (sum != sum) sum = std::numeric_limits<double>::quiet_NaN();
    if (to == dtype::f32)
      keep(static_cast<float>(sum));
    else
      keep(sum);
  }
}

class joiner {
 public:
  explicit joiner(bool floating, std::size_t width = 1) : floating_(floating), width_(width) {}

  void add(words sums) {
    for (std::uint64_t n = count_++; n % 2 == 1; n /= 2) join_last(sums);
    levels_.push_back(std::move(sums));
  }
  void add(const void* sums) {
    words w(width_);
    if (width_ > 0) std::memcpy(w.data(), sums, width_ * sizeof(std::uint64_t));
    add(std::move(w));
  }
  // The sum of all, 0 of none; begins anew.
  words take() {
    if (levels_.empty()) return words(width_, 0);
    words sums = std::move(levels_.back());
    levels_.pop_back();
    while (!levels_.empty()) join_last(sums);
    count_ = 0;
    return sums;
  }

  // What is kept of `count` sums, and put back.
  [[nodiscard]] std::size_t state_words(std::uint64_t count) const {
    return static_cast<std::size_t>(std::popcount(count)) * width_;
  }
  void append_state(words& out) const {
    for (const auto& level : levels_) out.insert(out.end(), level.begin(), level.end());
  }
  void restore(std::uint64_t count, std::span<const std::uint64_t> state) {
    count_ = count;
    levels_.clear();
    for (; !state.empty(); state = state.subspan(width_)) levels_.emplace_back(state.data(), state.data() + width_);
  }

 private:
  void join_last(words& sums) {
    words& left = levels_.back();
    add_words(floating_, left.data(), sums.data(), width_);
    sums = std::move(left);
    levels_.pop_back();
  }

  bool floating_;
  std::size_t width_;
  std::vector<words> levels_;
  std::uint64_t count_ = 0;
};

}  // namespace sluice::files
