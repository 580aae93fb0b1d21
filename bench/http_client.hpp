// What the HTTP benchmarks share: bodies, and a client's connection.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace http_client {

// A square matrix of numbers in [0, 1), as JSON under `key`.
inline std::string json_matrix(int n, std::string_view key) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> unit(0, 1);
  std::string text = "{\"" + std::string(key) + "\":[";
  char number[32];
  for (int i = 0; i < n; ++i) {
    text += i == 0 ? "[" : ",[";
    for (int j = 0; j < n; ++j) {
      if (j > 0) text += ',';
      text.append(number, std::to_chars(number, std::end(number), unit(random)).ptr);
    }
    text += ']';
  }
  return text + "]}";
}

// The same as .npy of float32.
inline std::string npy_matrix(int n) {
  std::string head =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(n) + ", " + std::to_string(n) + "), }";
  head.resize((10 + head.size() + 1 + 63) / 64 * 64 - 11, ' ');
  head += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(head.size() & 0xff);
  bytes += static_cast<char>(head.size() >> 8);
  bytes += head;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> unit(0, 1);
  for (int i = 0; i < n * n; ++i) {
    const float x = unit(random);
    bytes.append(reinterpret_cast<const char*>(&x), sizeof x);
  }
  return bytes;
}

class connection {
 public:
  explicit connection(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)), buffer_(64 << 10) {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    open = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  ~connection() { ::close(fd_); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // Sends the bytes and reads one answer; its status, or 0 when the connection broke. An answer that comes before all is
  // sent ends the sending, as curl does it.
  int ask(std::string_view bytes) {
    while (!bytes.empty()) {
      pollfd p{.fd = fd_, .events = POLLIN | POLLOUT, .revents = 0};
      if (bytes.size() > 1 << 16 && ::poll(&p, 1, -1) > 0 && (p.revents & POLLIN) != 0) break;
      const auto n = ::send(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), 1 << 20),
                            MSG_NOSIGNAL | (bytes.size() > 1 << 16 ? MSG_DONTWAIT : 0));
      if (n < 0 && errno == EAGAIN) continue;
      if (n <= 0) break;  // there may be an answer
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    open = bytes.empty();
    std::size_t have = 0;
    std::size_t head = std::string_view::npos;
    while (head == std::string_view::npos) {
      const auto n = ::recv(fd_, buffer_.data() + have, buffer_.size() - have, 0);
      if (n <= 0) return open = false, 0;
      have += static_cast<std::size_t>(n);
      head = std::string_view(buffer_.data(), have).find("\r\n\r\n");
    }
    const std::string_view text(buffer_.data(), head);
    retry_after = static_cast<int>(number_in(text, {"\r\nRetry-After: ", "\r\nretry-after: "}));
    open = open && text.find("\r\nConnection: close") == text.npos;
    const int status = std::atoi(buffer_.data() + 9);
    long long rest =
        number_in(text, {"\r\nContent-Length: ", "\r\ncontent-length: "}) - static_cast<long long>(have - head - 4);
    while (rest > 0) {
      const auto n = ::recv(fd_, buffer_.data() + head, buffer_.size() - head, 0);
      if (n <= 0) return open = false, 0;
      rest -= n;
    }
    return status;
  }

  bool open = false;
  int retry_after = 0;  // of the last answer; 0: none

 private:
  static long long number_in(std::string_view head, std::initializer_list<std::string_view> names) {
    for (const auto name : names)
      if (const auto at = head.find(name); at != head.npos) return std::atoll(head.data() + at + name.size());
    return 0;
  }

  int fd_;
  std::vector<char> buffer_;
};

}  // namespace http_client
