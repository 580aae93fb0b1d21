// No fork comes between the lock and the unlock of a BLAS or of the pool of host memory: a child may multiply.
#pragma once

#include "sluice/impl/base/fork.hpp"
#include "sluice/impl/cpu/memory.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

inline base::fork_gate blas_gate;

inline const bool forks_are_handled = (base::at_fork(
                                           [] {
                                             blas_gate.close(0);
                                             pool().lock();
                                           },
                                           [] {
                                             pool().unlock();
                                             blas_gate.open();
                                           },
                                           [] {
                                             pool().unlock();
                                             blas_gate.open_in_child(0);
                                           }),
                                       true);

// While it lives, this thread is in the BLAS.
class blas_pass {
 private:
  int depth_ = 0;
  base::fork_gate::pass inside_{blas_gate, depth_};
};

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
