// Threads of the service's own: of lower priority than those that hold connections, and without the application's signals.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace sluice::http {

// On Linux niceness is a thread's own; elsewhere it would be the application's.
inline void lower_priority([[maybe_unused]] int nice) {
#if defined(__linux__)
  if (nice > 0) ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), nice);
#endif
}

// Throws std::system_error when the system gives no thread.
template <class Work>
std::thread background(int nice, Work work) {
  struct masked {  // a new thread has its maker's mask
    masked() {
      sigset_t away;
      ::sigfillset(&away);
      for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) ::sigdelset(&away, own);
      ::pthread_sigmask(SIG_SETMASK, &away, &before);
    }
    ~masked() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
    sigset_t before{};
  } const mask;
  return std::thread([nice, own = std::move(work)] {
    lower_priority(nice);
    own();
  });
}

}  // namespace sluice::http
