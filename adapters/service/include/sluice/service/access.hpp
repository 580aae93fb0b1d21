/// @file
/// What is told of each request, for an access log.
///
///     options.on_request = [](const sluice::access_record& r) { std::puts(r.json().c_str()); };
///     {"time":"2026-05-04T03:02:01.123Z","request_id":"4f...","trace_id":"0a...","span_id":"b7...","method":"POST",
///      "route":"matmul","status":200,"bytes_in":512,"bytes_out":204,"seconds":0.000131,"device":"cpu","client":"10.0.0.7"}
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// Views that end with the call. No header of the request is among it but the id, which is of letters, digits and '-'.
struct access_record {
  std::chrono::system_clock::time_point time{};  ///< when the request came
  std::string_view request_id{};                 ///< X-Request-Id of the request, or one made for it
  std::string_view trace_id{};                   ///< by W3C Trace Context: the caller's trace, or a new one
  std::string_view span_id{};                    ///< our part in it
  std::string_view method{};                     ///< "other" when it is none of HTTP's
  std::string_view route{};                      ///< the endpoint's name, or the fixed route's; "none"
  int status = 0;                                ///< of the answer
  std::int64_t bytes_in = 0;                     ///< of the request's body
  std::int64_t bytes_out = 0;                    ///< of the answer's body
  double seconds = 0;                            ///< until the answer was there to be sent
  std::string_view device{};                     ///< that computed it; empty
  std::string_view client{};                     ///< address

  [[nodiscard]] SLUICE_API std::string json() const;  ///< one line, without its end
};

}  // namespace SLUICE_ABI
}  // namespace sluice
