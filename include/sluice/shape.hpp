/// @file
/// Extents and strides of at most max_rank dimensions, held in place.
///
///     sluice::shape s{2, 3};
///     s.rank();      // 2
///     s[1];          // 3
///     s.count();     // 6; throws when the product of extents does not fit
///     s.str();       // "(2, 3)"
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The most dimensions that a tensor has.
inline constexpr int max_rank = 8;

/// a * b for sizes and extents. Throws invalid_argument when it does not fit in 63 bits; both must be >= 0.
inline std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    throw error(error_code::invalid_argument,
                "[shape] " + std::to_string(a) + " x " + std::to_string(b) + " does not fit in 63 bits");
  return product;
}

/// A short list of numbers, one a dimension. As `shape` its numbers are extents, as `strides` steps in elements.
class shape {
 public:
  using value_type = std::int64_t;  ///< as ranges call it

  shape() = default;  ///< rank 0: one element
  /// Throws invalid_argument for more than max_rank numbers.
  shape(std::initializer_list<std::int64_t> values) : shape(std::span(values.begin(), values.size())) {}
  /// Throws invalid_argument for more than max_rank numbers.
  explicit shape(std::span<const std::int64_t> values) {
    if (values.size() > static_cast<std::size_t>(max_rank))
      throw error(error_code::invalid_argument, "[shape] rank is " + std::to_string(values.size()) + ": at most " +
                                                    std::to_string(max_rank) + " dimensions");
    for (const auto v : values) values_[static_cast<std::size_t>(rank_++)] = v;
  }

  [[nodiscard]] int rank() const noexcept { return rank_; }  ///< how many numbers, at most max_rank
  /// rank(), as ranges call it.
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(rank_); }
  /// Number `i` of [0, rank()), which is not checked.
  std::int64_t& operator[](int i) noexcept { return values_[static_cast<std::size_t>(i)]; }
  /// Number `i` of [0, rank()), which is not checked.
  std::int64_t operator[](int i) const noexcept { return values_[static_cast<std::size_t>(i)]; }
  /// The last number, or the one `from_end` before it. Not checked either.
  [[nodiscard]] std::int64_t back(int from_end = 0) const noexcept { return (*this)[rank_ - 1 - from_end]; }
  auto begin() noexcept { return values_.begin(); }                            ///< of the numbers
  auto end() noexcept { return values_.begin() + rank_; }                      ///< of the numbers
  [[nodiscard]] auto begin() const noexcept { return values_.begin(); }        ///< of the numbers
  [[nodiscard]] auto end() const noexcept { return values_.begin() + rank_; }  ///< of the numbers

  /// The same rank and the same numbers.
  friend bool operator==(const shape& a, const shape& b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }

  /// Elements of a tensor with these extents. Throws invalid_argument for a negative extent, or when the product does not
  /// fit in 63 bits.
  [[nodiscard]] std::int64_t count() const {
    std::int64_t product = 1;
    for (const auto extent : *this)
      if (extent < 0) throw error(error_code::invalid_argument, "[shape] " + str() + " has a negative extent");
    for (const auto extent : *this)
      if (extent == 0) return 0;
    for (const auto extent : *this)
      if (__builtin_mul_overflow(product, extent, &product))
        throw error(error_code::invalid_argument,
                    "[shape] " + str() + ": the product of the extents does not fit in 63 bits");
    return product;
  }

  /// The first `n` numbers, 0 <= n <= rank().
  [[nodiscard]] shape first(int n) const { return shape(std::span(values_.data(), static_cast<std::size_t>(n))); }
  /// All but the first `n` numbers, 0 <= n <= rank().
  [[nodiscard]] shape without_first(int n) const {
    return shape(std::span(values_.data() + n, static_cast<std::size_t>(rank_ - n)));
  }
  /// These numbers, then one more. Throws invalid_argument when there are max_rank already.
  [[nodiscard]] shape with(std::int64_t value) const {
    if (rank_ == max_rank)
      throw error(error_code::invalid_argument,
                  "[shape] " + str() + " has " + std::to_string(max_rank) + " dimensions already");
    shape s = *this;
    s.values_[static_cast<std::size_t>(s.rank_++)] = value;
    return s;
  }

  /// "(2, 3)"; "()" for rank 0.
  [[nodiscard]] std::string str() const {
    std::string s = "(";
    for (int i = 0; i < rank_; ++i) s += (i == 0 ? "" : ", ") + std::to_string((*this)[i]);
    return s + ")";
  }

 private:
  std::array<std::int64_t, max_rank> values_{};
  int rank_ = 0;
};

/// Steps from one index to the next, in elements, one a dimension.
using strides = shape;

namespace detail {
// The step of the next dimension out. Only in a tensor without elements can it not fit, and there no step is ever taken.
constexpr std::int64_t next_step(std::int64_t step, std::int64_t extent) noexcept {
  std::int64_t product = 0;
  if (extent <= 1) return step;
  return __builtin_mul_overflow(step, extent, &product) ? std::numeric_limits<std::int64_t>::max() : product;
}
}  // namespace detail

/// Strides of a row-major (C order) tensor without gaps.
inline strides row_major(const shape& s) {
  strides steps = s;
  std::int64_t step = 1;
  for (int i = s.rank() - 1; i >= 0; --i) {
    steps[i] = step;
    step = detail::next_step(step, s[i]);
  }
  return steps;
}

/// Strides of a column-major (Fortran order) tensor without gaps.
inline strides column_major(const shape& s) {
  strides steps = s;
  std::int64_t step = 1;
  for (int i = 0; i < s.rank(); ++i) {
    steps[i] = step;
    step = detail::next_step(step, s[i]);
  }
  return steps;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
