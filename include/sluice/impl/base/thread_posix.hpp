// Linux and macOS. Included by thread.hpp.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

#include <algorithm>
#include <new>

#include "sluice/impl/base/thread.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline signal_block::signal_block() noexcept {
  static_assert(sizeof(sigset_t) <= sizeof before_ && alignof(sigset_t) <= 16);
  sigset_t blocked;
  ::sigfillset(&blocked);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) ::sigdelset(&blocked, own);
  ::pthread_sigmask(SIG_SETMASK, &blocked, new (before_) sigset_t);
}

inline signal_block::~signal_block() {
  ::pthread_sigmask(SIG_SETMASK, std::launder(reinterpret_cast<const sigset_t*>(before_)), nullptr);
}

inline void set_niceness([[maybe_unused]] int nice) noexcept {
#if defined(__linux__)
  const int process = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));  // that of its first thread
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), std::min(19, process + nice));
#endif
}

inline void set_thread_name([[maybe_unused]] const char* name) noexcept {
#if defined(__linux__)
  ::pthread_setname_np(::pthread_self(), name);
#elif defined(__APPLE__)
  ::pthread_setname_np(name);
#endif
}

inline void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  ::pthread_atfork(before, in_parent, in_child);
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
