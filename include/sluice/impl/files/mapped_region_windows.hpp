// Windows: files are not mapped, they are read instead. (Windows keeps a mapped file from being truncated by
// anyone, and reports a page that cannot be read by an exception.) Included by file.hpp.
#pragma once

#include "sluice/impl/files/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline mapped_region file::map(std::int64_t, std::int64_t) const { return {}; }

inline mapped_region::~mapped_region() = default;

inline bool mapped_region::in_memory() const noexcept { return true; }

inline void mapped_region::check() const {}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
