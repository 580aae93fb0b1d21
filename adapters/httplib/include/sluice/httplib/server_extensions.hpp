// What a server of ours offers to a handler beyond httplib: hardened_server provides it, mount() uses it, and neither knows
// more of the other.
#pragma once

#include <httplib.h>

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
#include <openssl/ssl.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

// httplib 0.38 and newer reads an unread body itself after the answer; a body that was read in part must not be read again.
template <class Request>
void mark_read(Request& r) {
  if constexpr (requires { r.body_consumed_; }) r.body_consumed_ = true;
}

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// For names that HTTP writes in any case.
inline bool same_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// The coding that a Content-Encoding names, as httplib reads it: "gzip", "deflate", "br", or "" where the bytes are as they
// were. Nothing where it cannot be decoded: httplib takes any value with "br" in it for brotli's, so none but these may
// reach it.
inline std::optional<std::string_view> decoded_coding(std::string_view value) noexcept {
  const auto is = [value](std::string_view name) { return same_ignoring_case(value, name); };
  if (value.empty() || is("identity")) return "";
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  if (is("gzip") || is("x-gzip")) return "gzip";
  if (is("deflate")) return "deflate";
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
  if (is("br")) return "br";
#endif
  return std::nullopt;
}

// Whether a browser sends this for a web page of another origin, which is not among `allowed` ("*": any). Other clients send
// neither of the first two; a browser always sends one of them with what changes something.
inline bool is_cross_site(std::string_view fetch_site, std::string_view origin, std::string_view host,
                          const std::vector<std::string>& allowed) noexcept {
  if (fetch_site.empty() && origin.empty()) return false;
  if (fetch_site == "same-origin" || fetch_site == "none") return false;
  if (std::any_of(allowed.begin(), allowed.end(), [&](const auto& one) { return one == "*" || one == origin; }))
    return false;
  if (!fetch_site.empty()) return true;
  const auto scheme = origin.find("://");
  auto own = scheme == origin.npos ? std::string_view{} : origin.substr(scheme + 3);
  for (auto* const name : {&own, &host})
    for (const std::string_view port : {":80", ":443"})
      if (name->ends_with(port)) name->remove_suffix(port.size());
  return own.empty() || !same_ignoring_case(own, host);
}

inline bool changes_something(std::string_view method) noexcept {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

// Now, as the Date header has it (RFC 9110, 5.6.7), in any locale.
inline std::string http_date(
    std::chrono::sys_seconds now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())) {
  using namespace std::chrono;
  constexpr const char *days_of = "SunMonTueWedThuFriSat", *months_of = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto today = floor<days>(now);
  const year_month_day date(today);
  const hh_mm_ss time(now - today);
  char text[64];
  std::snprintf(text, sizeof text, "%.3s, %02u %.3s %04d %02d:%02d:%02d GMT", days_of + 3 * weekday(today).c_encoding(),
                static_cast<unsigned>(date.day()), months_of + 3 * (static_cast<unsigned>(date.month()) - 1),
                static_cast<int>(date.year()) % 10000, static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return text;
}

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
template <class Server>
SSL_CTX* tls_context_of(Server& s) {
  if constexpr (requires { s.tls_context(); })
    return static_cast<SSL_CTX*>(s.tls_context());
  else
    return s.ssl_context();
}

// With TLS 1.2, keys of each connection's own: a private key that is stolen later decrypts nothing that was recorded.
// TLS 1.3 has no others. An application that must do otherwise sets its own list afterwards. Nothing where the certificate
// could not be read.
template <class Server>
void use_forward_secrecy(Server& s) {
  if (SSL_CTX* const context = tls_context_of(s); context != nullptr) {
    ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    ::SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  }
}
#endif

// How a request announces its body.
struct body_framing {
  bool chunked = false;
  std::int64_t length = 0;  // when not chunked

  [[nodiscard]] bool has_body() const noexcept { return chunked || length > 0; }
};

// The request under way on a server that owns its connections, for the handler that this thread calls: its framing, parsed
// once; a way to its body past httplib, which reads 4 KiB at a time and passes on a copy; and what only its connection
// knows.
class owned_request {
 public:
  owned_request() = default;
  owned_request(const owned_request&) = delete;
  owned_request& operator=(const owned_request&) = delete;

  // Reads the next bytes of the body, at most `size`, to `to`. Returns how many; 0 at the end, -1 when the body broke off.
  // Waits for the first byte.
  virtual std::ptrdiff_t read_body(char* to, std::size_t size) = 0;

  // Before this thread waits for something else than its client: held while it waits. Null: no thread may.
  virtual std::shared_ptr<void> begin_wait() = 0;
  // Whether the client has closed its connection. Any thread may ask while the handler runs.
  virtual bool is_gone() = 0;

  // The request `r` itself; null on another server.
  static owned_request* under_way(const httplib::Request& r) noexcept {
    return current != nullptr && current->request_ == &r ? current : nullptr;
  }
  // That of `r`; null on another server, and for a body that is chunked or compressed.
  static owned_request* with_body(const httplib::Request& r) noexcept {
    return current != nullptr && current->request_ == &r && current->readable_ ? current : nullptr;
  }
  // The framing of `r`, checked by the server; null on another server.
  static const body_framing* framing_of(const httplib::Request& r) noexcept {
    return current != nullptr && current->request_ == &r ? &current->framing_ : nullptr;
  }

 protected:
  ~owned_request() {
    if (current == this) current = nullptr;
  }
  // `readable`: the body's bytes are its content, without chunks or coding.
  void open_for(httplib::Request& r, const body_framing& framing, bool readable) noexcept {
    request_ = &r;
    framing_ = framing;
    readable_ = readable;
    current = this;
  }
  // From here on the body is read by read_body, not by httplib.
  void take() { mark_read(*request_); }

 private:
  httplib::Request* request_ = nullptr;
  body_framing framing_{};
  bool readable_ = false;
  inline static thread_local owned_request* current = nullptr;
};

// A server that limits bodies itself, and lifts the limit for some paths.
class long_bodies {
 public:
  // From now on `path` takes bodies of any length. Call it before the server listens.
  void take_long_bodies(std::string path) { paths_.push_back(std::move(path)); }

 protected:
  long_bodies() = default;
  virtual ~long_bodies() = default;  // mount() finds it by dynamic_cast
  long_bodies(const long_bodies&) = delete;
  long_bodies& operator=(const long_bodies&) = delete;

  // Compares the target as it came, before '?': a path that is percent-encoded otherwise gets the usual limit.
  [[nodiscard]] bool takes_long_body(std::string_view target) const noexcept {
    return std::find(paths_.begin(), paths_.end(), target.substr(0, target.find('?'))) != paths_.end();
  }

 private:
  std::vector<std::string> paths_;
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
