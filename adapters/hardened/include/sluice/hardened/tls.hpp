// TLS by OpenSSL. A program that uses hardened_tls_server links libssl and libcrypto itself.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "sluice/hardened/channel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

class tls_channel final : public channel {
 public:
  tls_channel(descriptor d, SSL_CTX* context) : channel(std::move(d)), ssl_(::SSL_new(context)) {
    if (!ssl_) throw std::bad_alloc();
    below().never_wait();
    ::SSL_set_options(ssl_.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
    ::SSL_set_mode(ssl_.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    ::SSL_set_fd(ssl_.get(), below().fd());
    ::SSL_set_accept_state(ssl_.get());
  }

  moved handshake() override {
    ::ERR_clear_error();
    return result(::SSL_do_handshake(ssl_.get()));
  }
  moved receive(char* to, std::size_t size) override {
    ::ERR_clear_error();
    return result(::SSL_read(ssl_.get(), to, at_most(size)));
  }
  moved send(const char* from, std::size_t size) override {
    ::ERR_clear_error();
    return result(::SSL_write(ssl_.get(), from, at_most(size)));
  }
  moved send_ahead(const char* from, std::size_t size) override { return send(from, size); }
  [[nodiscard]] bool holds() const noexcept override { return ::SSL_has_pending(ssl_.get()) != 0; }
  void finish() noexcept override {
    ::ERR_clear_error();
    if (!broken_) ::SSL_shutdown(ssl_.get());
    channel::finish();
  }
  [[nodiscard]] void* session() const noexcept override { return ssl_.get(); }

 private:
  struct destroy {
    void operator()(SSL* s) const noexcept { ::SSL_free(s); }
  };

  static int at_most(std::size_t size) noexcept {
    return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
  }
  moved result(int n) noexcept {
    if (n > 0) return {.count = static_cast<std::size_t>(n)};
    switch (::SSL_get_error(ssl_.get(), n)) {
      case SSL_ERROR_WANT_READ: return {.wait = readable};
      case SSL_ERROR_WANT_WRITE: return {.wait = writable};
      case SSL_ERROR_ZERO_RETURN: return {};
      default: broken_ = true; return {};
    }
  }

  std::unique_ptr<SSL, destroy> ssl_;
  bool broken_ = false;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
