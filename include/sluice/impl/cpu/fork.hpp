// No fork comes between the lock and the unlock of the pool of host memory: a child may allocate.
#pragma once

#include "sluice/impl/base/fork.hpp"
#include "sluice/impl/cpu/memory.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

inline const bool forks_are_handled =
    (base::at_fork([] { pool().lock(); }, [] { pool().unlock(); }, [] { pool().unlock(); }), true);

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
