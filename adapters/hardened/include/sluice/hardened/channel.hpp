// Non-blocking bytes to and from a client: TCP here, TLS in tls.hpp.
#pragma once

#include <cstddef>
#include <utility>

#include "sluice/hardened/platform.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class channel {
 public:
  explicit channel(descriptor d) noexcept : socket_(std::move(d)) {}
  virtual ~channel() = default;
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  [[nodiscard]] socket& below() noexcept { return socket_; }
  // count is 1 when done.
  virtual moved handshake() { return {.count = 1}; }
  virtual moved receive(char* to, std::size_t size) { return socket_.receive(to, size); }
  virtual moved send(const char* from, std::size_t size) { return socket_.send(from, size); }
  // Likewise, when more follows at once.
  virtual moved send_ahead(const char* from, std::size_t size) { return socket_.send(from, size, true); }
  // True if received bytes are buffered above the socket.
  [[nodiscard]] virtual bool holds() const noexcept { return false; }
  // Ends the sending direction.
  virtual void finish() noexcept { socket_.finish_sending(); }
  // For httplib's Request::ssl.
  [[nodiscard]] virtual void* session() const noexcept { return nullptr; }

 private:
  socket socket_;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
