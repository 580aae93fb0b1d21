// Linux and macOS.
#include "platform.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

// The handler writes a byte and no more. A thread in sigwait would need the signals blocked in every other one, and a
// library may have threads before main() begins.
namespace {

constexpr char stop_byte = 's';
constexpr char end_byte = 'e';

int ends[2] = {-1, -1};     // of a pipe
std::atomic<int> first{0};  // signal
std::thread waiting;

void write_byte(char what) noexcept {
  while (::write(ends[1], &what, 1) < 0 && errno == EINTR) {
  }
}

void forward(int signal) noexcept {
  const int before = errno;
  int none = 0;
  if (first.compare_exchange_strong(none, signal))
    write_byte(stop_byte);
  else
    ::raise(signal);  // a second one of the other kind: the default takes it when this handler returns
  errno = before;
}

void handle_by(void (*handler)(int)) {
  for (const int signal : {SIGINT, SIGTERM}) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the next of its kind finds the default
    sigemptyset(&action.sa_mask);
    for (const int other : {SIGINT, SIGTERM}) sigaddset(&action.sa_mask, other);
    ::sigaction(signal, &action, nullptr);
  }
}

bool open_pipe() {
#if defined(__linux__)
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
#else
  if (::pipe(ends) != 0) return false;
#endif
  for (int& end : ends) {  // not in the place of a closed standard stream, which others write to
    if (end < 3) {
      const int low = std::exchange(end, ::fcntl(end, F_DUPFD_CLOEXEC, 3));
      ::close(low);
    }
    if (end < 0 || ::fcntl(end, F_SETFD, FD_CLOEXEC) != 0) return false;
  }
  return ::fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0;  // the handler never waits
}

}  // namespace

interrupt::interrupt(std::function<void()> on_stop) {
  if (!open_pipe()) throw std::system_error(errno, std::generic_category(), "pipe");
  waiting = std::thread([on_stop = std::move(on_stop)] {
    char what = 0;
    while (::read(ends[0], &what, 1) < 0 && errno == EINTR) {
    }
    if (what == stop_byte) on_stop();
  });
  handle_by(forward);
}

// The pipe stays open: a handler may be about to write to it.
interrupt::~interrupt() {
  handle_by(SIG_DFL);
  write_byte(end_byte);
  waiting.join();
}

void interrupt::stop() noexcept { write_byte(stop_byte); }

int interrupt::exit_code() noexcept { return first == 0 ? 0 : 128 + first; }

bool error_is_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

int error_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void keep_standard_streams() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF)  // the lowest free number is this one
      static_cast<void>(::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

void keep_files_private() { ::umask(077); }

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

bool output_is(const std::string& path) {
  struct stat out {
  }, in{};
  if (::fstat(STDOUT_FILENO, &out) != 0 || !S_ISREG(out.st_mode)) return false;
  if ((path == "-" ? ::fstat(STDIN_FILENO, &in) : ::stat(path.c_str(), &in)) != 0) return false;
  return out.st_dev == in.st_dev && out.st_ino == in.st_ino;
}

std::error_code write_to_output(std::span<const std::byte> bytes, std::size_t& done) {
  static const auto ignored = ::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(ignored);
  done = 0;
  while (done < bytes.size()) {
    const auto n = ::write(STDOUT_FILENO, bytes.data() + done, bytes.size() - done);
    if (n >= 0) {
      done += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {  // it was opened as non-blocking
      pollfd writable{STDOUT_FILENO, POLLOUT, 0};
      ::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return {errno, std::generic_category()};
    }
  }
  return {};
}

std::error_code close_output() {
  return ::close(STDOUT_FILENO) == 0 ? std::error_code() : std::error_code(errno, std::generic_category());
}

std::function<std::size_t(std::span<std::byte>)> open_stream(const std::string& path) {
  int number = -1;
  while ((number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0 && errno == EINTR) {
  }
  if (number < 0) throw std::system_error(errno, std::generic_category(), path);
  const std::shared_ptr<int> opened(new int(number), [](int* n) {
    ::close(*n);
    delete n;
  });
  return [opened, path](std::span<std::byte> out) {
    for (;;) {
      const auto n = ::read(*opened, out.data(), out.size());
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR) throw std::system_error(errno, std::generic_category(), path);
    }
  };
}

void raise_descriptors() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

std::string unknown_host(const std::string& name) {
  addrinfo* found = nullptr;
  const int e = ::getaddrinfo(name.c_str(), nullptr, nullptr, &found);
  if (e == 0) ::freeaddrinfo(found);
  return e == 0 ? std::string() : ::gai_strerror(e);
}
