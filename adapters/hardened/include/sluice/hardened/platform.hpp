// What a hardened server asks of the operating system, which is Linux: sockets that do not wait, one poller, and how many
// descriptors there may be.
#pragma once

#if !defined(__linux__)
#error "sluice/hardened_server.hpp is for Linux: elsewhere, mount() a service on httplib::Server (sluice/httplib.hpp)"
#endif

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// What to wait for; 0: nothing.
using readiness = short;
inline constexpr readiness readable = POLLIN, writable = POLLOUT;

// `count` bytes moved; or none, and `wait` says for what to wait; or the connection is over.
struct moved {
  std::size_t count = 0;
  readiness wait = 0;
  [[nodiscard]] bool over() const noexcept { return count == 0 && wait == 0; }
};

struct address {
  std::string ip{};
  int port = 0;
};

// A connected socket, its own from now on. Nothing here waits but wait().
class socket {
 public:
  explicit socket(int fd) noexcept : fd_(fd) {}
  ~socket() { ::close(fd_); }
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] address remote() const { return address_by(::getpeername); }
  [[nodiscard]] address local() const { return address_by(::getsockname); }

  moved receive(char* to, std::size_t size) noexcept { return result(::recv(fd_, to, size, MSG_DONTWAIT), readable); }
  // `ahead` of more that follows at once: the client need not wake for this alone.
  moved send(const char* from, std::size_t size, bool ahead = false) noexcept {
    return result(::send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL | (ahead ? MSG_MORE : 0)), writable);
  }
  void finish_sending() noexcept { ::shutdown(fd_, SHUT_WR); }
  void finish_receiving() noexcept { ::shutdown(fd_, SHUT_RD); }
  void cut() noexcept { ::shutdown(fd_, SHUT_RDWR); }
  // For a library that reads and writes by itself.
  void never_wait() noexcept { ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK); }

  // Until `events` happen; false: not by `end`.
  bool wait(readiness events, std::chrono::steady_clock::time_point end) noexcept {
    pollfd p{.fd = fd_, .events = events, .revents = 0};
    for (auto now = std::chrono::steady_clock::now(); now < end; now = std::chrono::steady_clock::now()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - now).count();
      const int ready = ::poll(&p, 1, static_cast<int>(std::min<decltype(left)>(left, 60'000)));
      if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    }
    return false;
  }

 private:
  static moved result(ssize_t n, readiness wait) noexcept {
    if (n > 0) return {.count = static_cast<std::size_t>(n)};
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? moved{.wait = wait} : moved{};
  }

  address address_by(int (*name)(int, sockaddr*, socklen_t*)) const {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    char text[INET6_ADDRSTRLEN] = "";
    if (name(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
    if (storage.ss_family == AF_INET) {
      const auto& in = reinterpret_cast<const sockaddr_in&>(storage);
      return {::inet_ntop(AF_INET, &in.sin_addr, text, sizeof text) != nullptr ? text : "", ntohs(in.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
      const auto& in = reinterpret_cast<const sockaddr_in6&>(storage);
      return {::inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text) != nullptr ? text : "", ntohs(in.sin6_port)};
    }
    return {};
  }

  int fd_;
};

// Sockets that wait for what comes, each for one thread and one event at a time.
class poller {
 public:
  poller() {
    if (poll_.fd < 0 || stop_.fd < 0) throw std::system_error(errno, std::generic_category(), "epoll");
    control(EPOLL_CTL_ADD, stop_.fd, EPOLLIN, nullptr);
  }

  void add(const socket& s, readiness events, void* owner) noexcept { arm(EPOLL_CTL_ADD, s, events, owner); }
  void again(const socket& s, readiness events, void* owner) noexcept { arm(EPOLL_CTL_MOD, s, events, owner); }

  // The owner of the next socket for which something came; null after stop().
  void* next() noexcept {
    for (;;) {
      epoll_event e{};
      const int n = ::epoll_wait(poll_.fd, &e, 1, -1);
      if (n > 0) return e.data.ptr;
      if (n < 0 && errno != EINTR) return nullptr;
    }
  }

  // For every thread, now and later.
  void stop() noexcept {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_.fd, &one, sizeof one) < 0);
  }

 private:
  struct descriptor {
    int fd;
    ~descriptor() {
      if (fd >= 0) ::close(fd);
    }
  };

  void arm(int what, const socket& s, readiness events, void* owner) noexcept {
    control(what, s.fd(), static_cast<unsigned>(events == writable ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT, owner);
  }

  void control(int what, int fd, unsigned events, void* owner) noexcept {
    epoll_event e{};
    e.events = events;
    e.data.ptr = owner;
    ::epoll_ctl(poll_.fd, what, fd, &e);
  }

  const descriptor poll_{::epoll_create1(EPOLL_CLOEXEC)}, stop_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

// Of `wanted` connections, as many as the process may have open beside its other files.
inline std::size_t connections_within_limits(std::size_t wanted) noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
  return std::min(wanted, static_cast<std::size_t>(files.rlim_cur - files.rlim_cur / 16));
}

// SO_REUSEPORT would let a second server take half of the requests.
inline void reuse_address(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

// Of connections that wait to be accepted; may be called again.
inline void set_backlog(int fd, int backlog) noexcept { ::listen(fd, backlog); }

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
