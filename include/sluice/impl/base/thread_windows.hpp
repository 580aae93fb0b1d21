// Windows. Included by thread.hpp.
#pragma once

#include "sluice/impl/base/windows.hpp"

#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline signal_block::signal_block() noexcept : before_{} {}  // Windows delivers no signals to our threads
inline signal_block::~signal_block() = default;

inline void set_niceness(int nice) noexcept {
  ::SetThreadPriority(::GetCurrentThread(), nice >= 15  ? THREAD_PRIORITY_LOWEST
                                            : nice > 0  ? THREAD_PRIORITY_BELOW_NORMAL
                                            : nice == 0 ? THREAD_PRIORITY_NORMAL
                                                        : THREAD_PRIORITY_ABOVE_NORMAL);
}

inline void set_thread_name(const char*) noexcept {}

inline void at_fork(void (*)(), void (*)(), void (*)()) {}  // Windows has no fork

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
