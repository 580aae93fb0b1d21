// Ctrl-C and SIGTERM as a stop token. Signals that the program was started with as ignored stay so.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <thread>

class interrupt {
 public:
  // Made before any other thread: those must have the signals blocked too. A second signal ends the process at once.
  interrupt() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM}) {
      struct sigaction now {};
      if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) sigaddset(&set, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::thread([set, shared = shared_] {
      int signal = 0;
      if (sigwait(&set, &signal) != 0) return;
      shared->signal = signal;
      shared->stop.request_stop();
      if (sigwait(&set, &signal) == 0) ::_exit(128 + signal);
    }).detach();
  }

  [[nodiscard]] std::stop_token token() const { return shared_->stop.get_token(); }
  // As shells count: 130 after Ctrl-C.
  [[nodiscard]] int exit_code() const { return 128 + shared_->signal; }

 private:
  struct state {
    std::stop_source stop;
    std::atomic<int> signal{0};
  };
  std::shared_ptr<state> shared_ = std::make_shared<state>();
};
