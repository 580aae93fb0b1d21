// Bytes to and from a client, without waiting: over TCP here, over TLS in tls.hpp.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace sluice {
inline namespace v0 {
namespace hardened {

// `count` bytes moved; or none, and `wait` says for what poll() is to wait (POLLIN, POLLOUT); or the connection is over.
struct moved {
  std::size_t count = 0;
  short wait = 0;
  [[nodiscard]] bool over() const noexcept { return count == 0 && wait == 0; }
};

class channel {
 public:
  explicit channel(int fd) noexcept : fd_(fd) {}  // its own from now on
  virtual ~channel() { ::close(fd_); }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  // count is 1 when it is done.
  virtual moved handshake() { return {.count = 1}; }
  virtual moved receive(char* to, std::size_t size) { return result(::recv(fd_, to, size, MSG_DONTWAIT), POLLIN); }
  virtual moved send(const char* from, std::size_t size) {
    return result(::send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL), POLLOUT);
  }
  // The same, when more follows at once: the client need not wake for this alone.
  virtual moved send_ahead(const char* from, std::size_t size) {
    return result(::send(fd_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE), POLLOUT);
  }
  // Whether bytes have come that poll() knows nothing of.
  [[nodiscard]] virtual bool holds() const noexcept { return false; }
  // No more is sent.
  virtual void finish() noexcept { ::shutdown(fd_, SHUT_WR); }
  // What a request is to know of it: httplib's Request::ssl.
  [[nodiscard]] virtual void* session() const noexcept { return nullptr; }

 private:
  static moved result(ssize_t n, short wait) noexcept {
    if (n > 0) return {.count = static_cast<std::size_t>(n)};
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? moved{.wait = wait} : moved{};
  }

  int fd_;
};

}  // namespace hardened
}  // namespace v0
}  // namespace sluice
