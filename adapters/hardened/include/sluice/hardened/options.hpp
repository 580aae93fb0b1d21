/// @file
/// Limits of a hardened server.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Times are in seconds. The limit of a body is the server's set_payload_max_length(): 64 MiB unless it is called.
struct hardened_options {
  std::size_t threads = 64;  ///< that run handlers; idle connections, incomplete heads and what waits hold none of them
  std::size_t connections = 8192;  ///< open at once, within the process's limit of files; 503 beyond
  /// Threads beyond these, started as they are needed, for handlers that wait: for slow clients, to receive a large body or
  /// to send an answer, and for a worker of a mounted service. When all wait, the slowest client of the address with most of
  /// them is given up: 503; where no client is slow, the newcomer gets 503, or 429 from the service.
  std::size_t waiting_threads = 512;
  int backlog = 1024;  ///< connections that the system queues before they are accepted

  double head_seconds = 5;   ///< from a connection's beginning, or a request's first byte, to the end of the head
  double idle_seconds = 60;  ///< between requests
  /// A client may keep a thread waiting for grace_seconds, and one more second for each bytes_per_second that it moved. Time
  /// spent in handlers does not count.
  double grace_seconds = 5;
  std::size_t bytes_per_second = 16 << 10;  ///< minimum mean rate of a client that a thread waits for
  /// Total wait for one body; 0: no total, but no pause longer than idle_seconds, as for the paths of a mounted service that
  /// take bodies of any length.
  double body_seconds = 600;

  std::size_t line_bytes = 8192 + 64;  ///< of the request line: 414 beyond
  std::size_t head_bytes = 32 << 10;   ///< of all headers: 431 beyond
  std::size_t headers = 100;           ///< in number: 431 beyond

  /// Names that Host may have, with any port; none: any. Addresses are always taken. 421 for others: a web page whose name
  /// was made to lead here (DNS rebinding) sends its own.
  std::vector<std::string> hosts{};
  /// Origins, as "https://example.org", whose web pages may POST, PUT, PATCH and DELETE here, beside the server's own; "*":
  /// any. 403 for others. A browser tells where a page is from; what other clients send is not concerned.
  std::vector<std::string> origins{};
};

}  // namespace SLUICE_ABI
}  // namespace sluice
