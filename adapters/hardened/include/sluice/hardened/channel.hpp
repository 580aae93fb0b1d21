// Bytes to and from a client, without waiting: over TCP here, over TLS in tls.hpp.
#pragma once

#include <cstddef>

#include "sluice/hardened/platform.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class channel {
 public:
  explicit channel(int fd) noexcept : socket_(fd) {}  // its own from now on
  virtual ~channel() = default;
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  [[nodiscard]] socket& below() noexcept { return socket_; }
  // count is 1 when it is done.
  virtual moved handshake() { return {.count = 1}; }
  virtual moved receive(char* to, std::size_t size) { return socket_.receive(to, size); }
  virtual moved send(const char* from, std::size_t size) { return socket_.send(from, size); }
  // The same, when more follows at once.
  virtual moved send_ahead(const char* from, std::size_t size) { return socket_.send(from, size, true); }
  // Whether bytes have come that the socket knows nothing of.
  [[nodiscard]] virtual bool holds() const noexcept { return false; }
  // No more is sent.
  virtual void finish() noexcept { socket_.finish_sending(); }
  // What a request is to know of it: httplib's Request::ssl.
  [[nodiscard]] virtual void* session() const noexcept { return nullptr; }

 private:
  socket socket_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
