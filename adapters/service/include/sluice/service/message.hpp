/// @file
/// A request and a response without a transport: what service::handle takes and gives.
///
///     sluice::request r{.method = "POST", .path = "/v1/rowsum", .body = R"({"a": [[1, 2], [3, 4]]})"};
///     sluice::response answer = service.handle(r);
///     answer.status;    // 200
///     answer.text();    // {"result":[3,7],"shape":[2],"dtype":"f32","device":"cpu"}
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Gets the next bytes of a body; returns false to have no more of them.
using body_receiver = std::function<bool(std::string_view)>;

/// Bytes of an answer, and what keeps them alive.
struct body_piece {
  std::string_view bytes;             ///< what is sent
  std::shared_ptr<const void> owner;  ///< of their memory

  /// A piece that owns its text.
  static body_piece of(std::string text) {
    auto held = std::make_shared<const std::string>(std::move(text));
    return {*held, held};
  }
};

/// What comes in.
struct request {
  std::string method{};  ///< "POST"
  std::string path{};    ///< decoded, below the prefix the service is mounted at: "/v1/matmul"
  std::string query{};   ///< after '?', as it came
  std::string client{};  ///< address, for the access log
  /// The value of the header called `name` (any case), or empty. A null function has no headers.
  std::function<std::string_view(std::string_view name)> header{};

  /// The body: either all of it, in memory that is valid until handle() returns,
  std::string_view body{};
  /// or the function to read it, called once at most: passes pieces on, in order, until they end or the receiver returns
  /// false. Returns true when the body was read to its end.
  std::function<bool(const body_receiver&)> read_body{};
  /// Beside read_body, where the transport can: reads the next bytes, `size` at most, into `to`, waiting for the first.
  /// Returns how many; 0 at the end of the body, -1 when the connection broke.
  std::function<std::ptrdiff_t(char* to, std::size_t size)> read_some{};
  /// Beside read_body, of a compressed body, where the transport can: passes on its bytes as they come, for `decode`. Of
  /// these ways to read only one is used for a request.
  std::function<bool(const body_receiver&)> read_encoded{};
  /// Decodes the next bytes that read_encoded has passed on, and passes the result on in pieces. Called by one thread at a
  /// time, not always the same. False when they are damaged, or the receiver returns false. Without bytes: whether the body
  /// may end here.
  std::function<bool(std::string_view bytes, const body_receiver&)> decode{};
  std::int64_t content_length = -1;  ///< bytes that will come over the wire; -1: not known
  bool compressed = false;           ///< read_body passes on more of them, decoded

  /// Whether the client has closed its connection. May be called by another thread while handle() has not returned. Null:
  /// the transport cannot tell.
  std::function<bool()> gone{};

  /// Where the transport has few threads: called before this thread waits for a worker. What it returns is held during the
  /// wait; null: no thread may wait, and the answer is 429. A null function: it may.
  std::function<std::shared_ptr<void>()> begin_wait{};

  /// Encodes an answer's body as "gzip" or "deflate" (zlib's format). Null: the transport cannot.
  std::function<std::vector<body_piece>(const std::vector<body_piece>&, std::string_view coding)> compress{};
};

/// What goes out.
struct response {
  int status = 200;                                            ///< of HTTP
  std::vector<std::pair<std::string, std::string>> headers{};  ///< Content-Type is among them, Content-Length is not
  std::vector<body_piece> body{};                              ///< sent one after the other
  std::shared_ptr<void> sending{};                             ///< release once sent; its destructor records the send time

  /// Instead of `body`: one that is not in memory, or not complete. The transport calls it repeatedly: each call passes on
  /// the next bytes, perhaps after a short wait, and returns whether to call it again. A receiver that returns false has
  /// lost its client. It throws when the body cannot be completed, which closes the connection.
  std::function<bool(const body_receiver&)> write_body{};
  std::int64_t content_length = -1;  ///< bytes that write_body passes on in all; -1: not known, they are sent chunked

  /// Bytes of the body, as far as they are known.
  [[nodiscard]] std::size_t size() const noexcept {
    if (write_body) return static_cast<std::size_t>(content_length < 0 ? 0 : content_length);
    std::size_t n = 0;
    for (const auto& piece : body) n += piece.bytes.size();
    return n;
  }
  /// The body in one string.
  [[nodiscard]] std::string text() const {
    std::string all;
    all.reserve(size());
    for (const auto& piece : body) all += piece.bytes;
    while (write_body && write_body([&](std::string_view bytes) { return all += bytes, true; })) {
    }
    return all;
  }
  /// The value of the header spelled `name`, or empty.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
    for (const auto& [key, value] : headers)
      if (key == name) return value;
    return {};
  }
};

/// An application/problem+json answer (RFC 9457): `code` is for programs, `detail` for people.
SLUICE_API response problem(int status, std::string_view code, std::string_view detail);

/// The HTTP status of an error: 400 malformed, 413 limit_exceeded, 422 invalid_argument, 501 unsupported, 500 internal and
/// io, 503 for the others.
SLUICE_API int status_of(error_code code) noexcept;

}  // namespace SLUICE_ABI
}  // namespace sluice
