/// @file
/// The record of one request, for an access log.
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

/// Its views are valid during the call. It holds no header of the request but the id, which has letters, digits and '-'
/// only.
struct access_record {
  std::chrono::system_clock::time_point time{};  ///< when the request arrived
  std::string_view request_id{};                 ///< X-Request-Id of the request, or one made for it
  std::string_view trace_id{};                   ///< by W3C Trace Context: the caller's trace, or a new one
  std::string_view span_id{};                    ///< this request's span
  std::string_view method{};                     ///< "other" for one that HTTP does not define
  std::string_view route{};                      ///< the endpoint's name, or the fixed route's; "none"
  int status = 0;                                ///< of the answer
  std::int64_t bytes_in = 0;                     ///< of the request's body
  std::int64_t bytes_out = 0;                    ///< of the answer's body
  double seconds = 0;                            ///< from the request's arrival until its answer is ready
  std::string_view device{};                     ///< that computed it, or empty
  std::string_view client{};                     ///< address

  [[nodiscard]] SLUICE_API std::string json() const;  ///< one line, without its end
};

}  // namespace SLUICE_ABI
}  // namespace sluice
