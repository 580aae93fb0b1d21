/// @file
/// view<T, R>: typed access of rank R to host memory.
///
///     auto v = t.view<float, 2>();
///     for (std::int64_t i = 0; i < v.extent(0); ++i)
///       for (std::int64_t j = 0; j < v.extent(1); ++j) v(i, j) += 1;
///
/// A view owns nothing: it is valid while the tensor's memory is. Indices are checked by assert() only.
#pragma once

#include <array>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Typed access of rank R >= 1 to elements T, const or not.
template <class T, int R>
class view {
 public:
  static_assert(R >= 1, "a view has at least one dimension");
  using value_type = T;  ///< const where the elements may only be read

  /// Over `data`, whose first element has all indices 0; `steps` in elements.
  view(T* data, const std::array<std::int64_t, R>& extents, const std::array<std::int64_t, R>& steps) noexcept
      : data_(data), extents_(extents), strides_(steps) {}
  /// A read-only view of the same elements.
  template <std::same_as<std::remove_const_t<T>> U>
  view(const view<U, R>& v) noexcept : data_(v.data_), extents_(v.extents_), strides_(v.strides_) {}

  /// Indices of dimension `r` are in [0, extent(r)).
  [[nodiscard]] std::int64_t extent(int r) const noexcept { return extents_[static_cast<std::size_t>(r)]; }
  /// From one index of dimension `r` to the next, in elements.
  [[nodiscard]] std::int64_t stride(int r) const noexcept { return strides_[static_cast<std::size_t>(r)]; }
  [[nodiscard]] T* data() const noexcept { return data_; }  ///< the first element

  /// The element at R indices.
  template <std::convertible_to<std::int64_t>... I>
  requires(sizeof...(I) == R) T& operator()(I... indices) const noexcept {
    std::int64_t offset = 0;
    int r = 0;
    ((assert(static_cast<std::int64_t>(indices) >= 0 && static_cast<std::int64_t>(indices) < extent(r)),
      offset += static_cast<std::int64_t>(indices) * stride(r), ++r),
     ...);
    return data_[offset];
  }

 private:
  template <class, int>
  friend class view;

  T* data_;
  std::array<std::int64_t, R> extents_;
  std::array<std::int64_t, R> strides_;
};

}  // namespace SLUICE_ABI
}  // namespace sluice
