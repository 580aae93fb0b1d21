// The bits of infinity, and of the one NaN that every device gives where a result is NaN, whatever it came from.
#pragma once

#include <cstdint>
#include <type_traits>

#include "sluice/impl/base/half.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Patterns of f32 and f64. Members of a class, since GCC exports variable templates whatever the visibility of their
// namespace.
template <class T>
struct patterns {
  using bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  static constexpr bits infinity = static_cast<bits>(sizeof(T) == 4 ? 0x7f800000u : 0x7ff0000000000000u);
  static constexpr bits nan = static_cast<bits>(sizeof(T) == 4 ? 0x7fc00000u : 0x7ff8000000000000u);
};

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
