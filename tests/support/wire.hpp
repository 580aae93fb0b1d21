// A client that sends any bytes and reads until the server closes, or until a second without any; half a minute at most,
// for a server that never stops or never reads.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "service_testing.hpp"

namespace testing {

class wire {
 public:
  // `from`: the client's own address.
  explicit wire(int port, const char* from = "127.0.0.1") : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    REQUIRE(::inet_pton(AF_INET, from, &own.sin_addr) == 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const timeval second{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    const timeval half_minute{30, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &half_minute, sizeof half_minute);
  }
  ~wire() {
    if (fd_ >= 0) ::close(fd_);
  }
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  wire& send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return *this;
  }
  std::string read() {
    const auto end = clock::now() + std::chrono::seconds(30);
    std::string all;
    while (clock::now() < end && receive(all)) {
    }
    return all;
  }
  // Until `text` has come.
  std::string read_until(std::string_view text) {
    const auto end = clock::now() + std::chrono::seconds(30);
    std::string all;
    while (all.find(text) == all.npos && clock::now() < end && receive(all)) {
    }
    return all;
  }

  // Whether there is something to read, or the server has closed.
  [[nodiscard]] bool readable() const {
    char c = 0;
    return ::recv(fd_, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno == ECONNRESET;
  }

  // Closes the connection at once, whatever is under way.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(fd_);
    fd_ = -1;
  }

  bool closed = false;

 private:
  using clock = std::chrono::steady_clock;

  bool receive(std::string& all) {
    char buffer[4096];
    const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
    closed = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n > 0) all.append(buffer, static_cast<std::size_t>(n));
    return n > 0;
  }

  int fd_;
};

inline std::string chunk(std::string_view bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return cat(size, bytes, "\r\n");
}

inline std::size_t answers_in(std::string_view text) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find("HTTP/1.1 ", at)) != text.npos; ++at) ++n;
  return n;
}

}  // namespace testing
