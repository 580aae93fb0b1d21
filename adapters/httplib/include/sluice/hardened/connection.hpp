// One client, from accept to close.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "sluice/hardened/channel.hpp"
#include "sluice/hardened/head.hpp"

namespace sluice {
inline namespace v0 {
namespace hardened {

using clock = std::chrono::steady_clock;

inline clock::duration seconds(double s) {
  return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(s));
}

struct address {
  std::string ip{};
  int port = 0;

  static address of(int fd, int (*name)(int, sockaddr*, socklen_t*)) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    char text[INET6_ADDRSTRLEN] = "";
    if (name(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
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
};

// Whoever was handed it by the poller has it alone; what is atomic may be looked at by the timekeeper meanwhile.
class connection {
 public:
  enum class phase { handshake, fresh, head, body, idle, lingering };

  connection(int fd, std::unique_ptr<channel> c)
      : wire(std::move(c)), remote(address::of(fd, ::getpeername)), local(address::of(fd, ::getsockname)) {}
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  std::unique_ptr<channel> wire;
  address remote, local;
  std::string received{};           // and not yet given to a handler
  std::size_t scanned = 0;          // of it, without finding the head's end
  std::unique_ptr<head> request{};  // once its head is there,
  std::size_t head_size = 0;        // as it came,
  std::size_t wanted = 0;           // and what is to be there before a handler is asked
  std::size_t answered = 0;         // requests
  clock::time_point until{};        // when what is being received is to be there

  std::atomic<phase> at{phase::handshake};
  std::atomic<clock::time_point::rep> deadline{0};  // while it waits in the poller; 0: it does not
  std::atomic<bool> expired{false};
};

}  // namespace hardened
}  // namespace v0
}  // namespace sluice
