/// @file
/// Every op of the library, and the list of their descriptors. A new op adds its header and its descriptor here, and nothing
/// else names it.
#pragma once

#include "sluice/ops/canny.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/ops/resize.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The descriptors of all ops.
inline std::span<const op_descriptor* const> all_ops() noexcept {
  static const op_descriptor* const all[] = {
      &matmul_op(),
      &rowsum_op(),
      &canny_op(),
      &resize_op(),
  };
  return all;
}

/// The op of that name; null: there is none.
inline const op_descriptor* find_op(std::string_view name) noexcept {
  for (const auto* op : all_ops())
    if (op->name == name) return op;
  return nullptr;
}

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/placement/placement.hpp"
#endif
