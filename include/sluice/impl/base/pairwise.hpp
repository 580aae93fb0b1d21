// rowsum's order of additions beyond a block: block sums are joined as adjacent pairs, level by level, an odd one carried
// up.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "sluice/config.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline constexpr std::int64_t block_size = 1024;  // elements that the lanes of a block sum
inline constexpr std::int64_t lane_count = 32;    // element i of a block is added to lane i % lane_count

// a + b; integers wrap.
template <class T>
constexpr T add(T a, T b) noexcept {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) + static_cast<std::make_unsigned_t<T>>(b));
  else
    return a + b;
}

// The joined sum of `parts`, which it overwrites; 0 of none.
template <class T>
constexpr T join_pairwise(std::span<T> parts) noexcept {
  if (parts.empty()) return T{0};
  for (std::size_t n = parts.size(); n > 1; n = (n + 1) / 2) {
    for (std::size_t i = 0; i < n / 2; ++i) parts[i] = add(parts[2 * i], parts[2 * i + 1]);
    if (n % 2 == 1) parts[n / 2] = parts[n - 1];
  }
  return parts[0];
}

// The same for sums that arrive one by one: it keeps one sum a level, as a binary counter carries. `width` sums go side by
// side. A sum is a word of 8 bytes, an f64's bits or an i64, which is how a journal keeps it.
class pairwise_accumulator {
 public:
  using words = std::vector<std::uint64_t>;

  explicit pairwise_accumulator(bool floating, std::size_t width = 1) : floating_(floating), width_(width) {}

  // `sums`: `width` words.
  void add(words sums) {
    for (std::uint64_t n = count_++; n % 2 == 1; n /= 2) join_last(sums);
    levels_.push_back(std::move(sums));
  }
  void add(std::span<const std::uint64_t> sums) { add(words(sums.begin(), sums.end())); }
  // Returns the joined sum, 0 of none, and starts over.
  words take() {
    if (levels_.empty()) return words(width_, 0);
    words sums = std::move(levels_.back());
    levels_.pop_back();
    while (!levels_.empty()) join_last(sums);
    count_ = 0;
    return sums;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  // Words of the state after `count` sums; the state, appended to `out`; and the state put back.
  [[nodiscard]] std::size_t state_words(std::uint64_t count) const noexcept {
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

  // a += b, `count` words each.
  static void add_words(bool floating, std::uint64_t* a, const std::uint64_t* b, std::size_t count) noexcept {
    if (floating)
      for (std::size_t i = 0; i < count; ++i)
        a[i] = std::bit_cast<std::uint64_t>(std::bit_cast<double>(a[i]) + std::bit_cast<double>(b[i]));
    else
      for (std::size_t i = 0; i < count; ++i) a[i] += b[i];
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
  std::vector<words> levels_{};
  std::uint64_t count_ = 0;
};

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
