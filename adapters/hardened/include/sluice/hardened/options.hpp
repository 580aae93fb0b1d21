/// @file
/// What a hardened server allows its clients.
#pragma once

#include <cstddef>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Times are in seconds. The limit of a body is the server's set_payload_max_length(): 64 MiB unless it is called.
struct hardened_options {
  std::size_t threads = 64;        ///< that run handlers; idle connections and incomplete heads hold none
  std::size_t connections = 8192;  ///< open at once, within what the process may open; others get 503
  /// Threads that may wait for slow clients at once: to send a large body, to take an answer. Others get 503. 0: 3/4.
  std::size_t waiting_threads = 0;
  int backlog = 1024;  ///< connections that the system holds before they are accepted

  double head_seconds = 5;   ///< from a connection's beginning, or a request's first byte, to the end of the head
  double idle_seconds = 60;  ///< between requests
  /// A client that is waited for, with a body or while it takes an answer, has grace_seconds and one more for each
  /// bytes_per_second that it moved. The time that handlers take counts for nothing.
  double grace_seconds = 5;
  std::size_t bytes_per_second = 16 << 10;  ///< moved by a client that is waited for, in the mean
  /// Of waiting for one body; 0: no such limit, but then no pause is longer than idle_seconds. So it is for the paths of a
  /// mounted service that take bodies of any length.
  double body_seconds = 600;

  std::size_t line_bytes = 8192 + 64;  ///< of the request line: 414 beyond
  std::size_t head_bytes = 32 << 10;   ///< of all headers: 431 beyond
  std::size_t headers = 100;           ///< in number: 431 beyond
  std::size_t ranges = 8;              ///< asked for at once: 416 beyond
};

}  // namespace SLUICE_ABI
}  // namespace sluice
