// Linux for a hardened server: non-blocking sockets, an epoll, and the limit of descriptors.
#pragma once

#if !defined(__linux__)
#error "sluice/hardened_server.hpp is for Linux: elsewhere, mount() a service on httplib::Server (sluice/httplib.hpp)"
#endif

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// An event to wait for; 0: none.
using readiness = short;
inline constexpr readiness readable = POLLIN, writable = POLLOUT;

// `count` bytes moved; or 0, and `wait` is the event to wait for; or 0 and no event: the connection has ended.
struct moved {
  std::size_t count = 0;
  readiness wait = 0;
  [[nodiscard]] bool over() const noexcept { return count == 0 && wait == 0; }
};

struct address {
  std::string ip{};
  int port = 0;
};

// Owns one; negative: none.
class descriptor {
 public:
  explicit descriptor(int owned) noexcept : fd(owned) {}
  descriptor(descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }

  int fd;
};

// Owns a connected socket. Only wait() blocks.
class socket {
 public:
  explicit socket(descriptor d) noexcept : owner_(std::move(d)), fd_(owner_.fd) {}
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] address remote() const { return address_by(::getpeername); }
  [[nodiscard]] address local() const { return address_by(::getsockname); }

  moved receive(char* to, std::size_t size) noexcept { return result(::recv(fd_, to, size, MSG_DONTWAIT), readable); }
  // `ahead`: more follows at once, so the kernel may hold this back.
  moved send(const char* from, std::size_t size, bool ahead = false) noexcept {
    return result(::send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL | (ahead ? MSG_MORE : 0)), writable);
  }
  // Receives and drops up to `size` bytes, which are not copied.
  moved discard(std::size_t size) noexcept { return result(::recv(fd_, nullptr, size, MSG_DONTWAIT | MSG_TRUNC), readable); }
  // Bytes that have arrived and were not received yet, and those sent that the client's system has not confirmed.
  [[nodiscard]] bool has_received() const noexcept { return count(FIONREAD) > 0; }
  [[nodiscard]] bool has_unconfirmed() const noexcept { return count(SIOCOUTQ) > 0; }
  // Whether the client has closed its side, or the connection has failed. (A client that only ends its sending looks the
  // same.) `finished`: finish_receiving() was called, which looks the same too.
  [[nodiscard]] bool is_closed_by_peer(bool finished) const noexcept {
    pollfd p{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&p, 1, 0) > 0 && (!finished || (p.revents & (POLLHUP | POLLERR)) != 0);
  }
  void finish_sending() noexcept { ::shutdown(fd_, SHUT_WR); }
  void finish_receiving() noexcept { ::shutdown(fd_, SHUT_RD); }
  void cut() noexcept { ::shutdown(fd_, SHUT_RDWR); }
  // For a library that calls read and write itself.
  void never_wait() noexcept { ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK); }

  // Waits for `events`; false: they did not happen before `end`.
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

  int count(unsigned long what) const noexcept {
    int n = 0;
    return ::ioctl(fd_, what, &n) == 0 ? n : 0;
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

  const descriptor owner_;
  const int fd_;
};

// Sockets waiting for one event each, which one thread gets.
class poller {
 public:
  poller() {
    if (poll_.fd < 0 || stop_.fd < 0) throw std::system_error(errno, std::generic_category(), "epoll");
    control(EPOLL_CTL_ADD, stop_.fd, EPOLLIN, nullptr);
  }

  void add(const socket& s, readiness events, void* owner) noexcept { arm(EPOLL_CTL_ADD, s, events, owner); }
  void rearm(const socket& s, readiness events, void* owner) noexcept { arm(EPOLL_CTL_MOD, s, events, owner); }

  // The owner of the next socket with an event; null after stop().
  void* next() noexcept {
    for (;;) {
      epoll_event e{};
      const int n = ::epoll_wait(poll_.fd, &e, 1, -1);
      if (n > 0) return e.data.ptr;
      if (n < 0 && errno != EINTR) return nullptr;
    }
  }

  // next() returns null from now on, in every thread.
  void stop() noexcept {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_.fd, &one, sizeof one) < 0);
  }

 private:
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

// Those that this process may run on.
inline std::ptrdiff_t usable_cores() noexcept {
  cpu_set_t cores;
  return ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 64;
}

// `wanted` connections, or as many as the limit of open files allows beside other files.
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

// Has the system answer no new connection to `fd`, which listens, and waits, at most `time`, until those that it has begun
// are accepted: closing it resets what it still holds. A client that is not answered tries again and is refused once `fd` is
// closed.
inline void refuse_new_connections(int fd, std::chrono::milliseconds time) noexcept {
  // Of a TCP header: byte 13 has the flags; drops those with SYN (2) and without ACK (16).
  sock_filter code[]{BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
                     BPF_STMT(BPF_RET | BPF_K, 0xffffffff)};
  const sock_fprog filter{.len = std::size(code), .filter = code};
  if (::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0) return;
  const auto end = std::chrono::steady_clock::now() + time;
  for (int empty = 0; empty < 5 && std::chrono::steady_clock::now() < end;) {  // a handshake takes a round trip
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
    empty = info.tcpi_unacked == 0 ? empty + 1 : 0;  // of one that listens: not accepted yet
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// May be called again.
inline void set_backlog(int fd, int backlog) noexcept { ::listen(fd, backlog); }

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
