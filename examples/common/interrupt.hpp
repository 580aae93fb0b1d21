// Ctrl-C and SIGTERM as one call on a thread of its own. Signals that the program was started with as ignored stay so.
//
//     interrupt on_signal([&] { server.stop(); });
//
// The handler writes a byte and no more. A thread in sigwait would need the signals blocked in every other one, and a
// library may have threads before main() begins: OpenBLAS has.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

// One a process.
class interrupt {
 public:
  // `on_stop` is called once, after the first signal or stop(). The second signal finds no handler, and ends the process.
  explicit interrupt(std::function<void()> on_stop) {
    if (::pipe2(pipe_, O_CLOEXEC | O_NONBLOCK) != 0 || ::fcntl(pipe_[0], F_SETFL, 0) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
    for (int& end : pipe_) {  // not in the place of a closed standard stream, which others write to
      if (end > 2) continue;
      const int low = std::exchange(end, ::fcntl(end, F_DUPFD_CLOEXEC, 3));
      ::close(low);
    }
    thread_ = std::thread([on_stop = std::move(on_stop)] {
      char what = 0;
      while (::read(pipe_[0], &what, 1) < 0 && errno == EINTR) {
      }
      if (what == stop_byte) on_stop();
    });
    set([](struct sigaction& action) { action.sa_handler = forward; });
  }
  // The pipe stays open: a handler may be about to write to it.
  ~interrupt() {
    set([](struct sigaction& action) { action.sa_handler = SIG_DFL; });
    write(end_byte);
    thread_.join();
  }
  interrupt(const interrupt&) = delete;
  interrupt& operator=(const interrupt&) = delete;

  void stop() noexcept { write(stop_byte); }

  // As shells count: 130 after Ctrl-C. 0 while no signal has come.
  [[nodiscard]] static int exit_code() noexcept { return first_ == 0 ? 0 : 128 + first_; }

 private:
  static constexpr char stop_byte = 's';
  static constexpr char end_byte = 'e';

  template <class F>
  static void set(F change) {
    for (const int signal : {SIGINT, SIGTERM}) {
      struct sigaction action {};
      if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
      change(action);
      action.sa_flags = SA_RESTART | SA_RESETHAND;  // the next of its kind finds the default
      sigemptyset(&action.sa_mask);
      for (const int other : {SIGINT, SIGTERM}) sigaddset(&action.sa_mask, other);
      ::sigaction(signal, &action, nullptr);
    }
  }

  static void forward(int signal) noexcept {
    const int before = errno;
    int none = 0;
    if (first_.compare_exchange_strong(none, signal))
      write(stop_byte);
    else
      ::raise(signal);  // a second one of the other kind: the default takes it when this handler returns
    errno = before;
  }

  static void write(char what) noexcept {
    while (::write(pipe_[1], &what, 1) < 0 && errno == EINTR) {
    }
  }

  static inline int pipe_[2] = {-1, -1};
  static inline std::atomic<int> first_{0};  // signal
  std::thread thread_;
};
