// A protocol: which paths it owns, how it answers them, and how it words a refusal. A new one is a class and a line in
// service.cpp, or in a library of its own is passed to service::add_protocol, as jobs is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "execution/request_context.hpp"
#include "openapi/document.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

class codec_registry;
class executor;
class metrics;

inline constexpr std::string_view rowsum_stream_path = "/v1/rowsum/stream";

class protocol {
 public:
  protocol() = default;
  virtual ~protocol() = default;
  protocol(const protocol&) = delete;
  protocol& operator=(const protocol&) = delete;

  // Its paths as regular expressions (ECMAScript). Bounded: cpp-httplib's matcher recurses once a character.
  [[nodiscard]] virtual std::vector<std::string> patterns() const = 0;
  [[nodiscard]] virtual bool owns(std::string_view path) const = 0;
  // Answers a request for a path that it owns, or throws: http_error, error, or whatever an endpoint throws.
  virtual response answer(const request& r, request_context& record) = 0;
  [[nodiscard]] virtual response refusal(int status, std::string_view code, std::string_view detail) const {
    return problem(status, code, detail);
  }
  // The server is shutting down: background work stops soon.
  virtual void drain() noexcept {}
  // Adds its routes to the service's document: document.hpp shows how.
  virtual void describe(document& d) const = 0;
  // Appends its own lines to the metrics.
  virtual void print_metrics(std::string& out) const { static_cast<void>(out); }
};

// In the order in which they are asked whose a path is.
using protocol_list = std::vector<std::unique_ptr<protocol>>;

std::unique_ptr<protocol> operations(executor& e, const protocol_list& all);  // health, devices, metrics of all
std::unique_ptr<protocol> placement(executor& e);                             // what would be computed where
std::unique_ptr<protocol> v1(executor& e, codec_registry codecs);             // JSON, .npy and other codecs
std::unique_ptr<protocol> no_jobs();                                          // the paths of jobs, where none were added
std::unique_ptr<protocol> v1_rowsum_stream(executor& e);                      // bodies of any length
std::unique_ptr<protocol> v2(executor& e, codec_registry codecs);             // the Open Inference Protocol
// /openapi.json, written by `describe_all`, and the page of /docs that is drawn from it.
std::unique_ptr<protocol> docs(executor& e, std::function<void(document&)> describe_all);

// The value of the header called `name`, or empty.
inline std::string_view header(const request& r, std::string_view name) {
  return r.header ? r.header(name) : std::string_view{};
}

// The deadline that the header X-Request-Timeout sets, in seconds after `begin`. Throws http_error (400) when it is not a
// decimal number.
std::chrono::steady_clock::time_point deadline_of(const request& r, std::chrono::steady_clock::time_point begin);

// What a transport holds while it sends an answer: its destructor records the time in the metrics, and gives back the
// answer's memory.
std::shared_ptr<void> until_sent(std::shared_ptr<metrics> to, const request_context& call);

SLUICE_API response text_response(std::string_view type, std::string text, int status = 200);

// Whether `read`, a function of a request's, passed all of its body on to `take`. What that throws is thrown here, and does
// not cross the transport's frames.
bool read_all(const std::function<bool(const body_receiver&)>& read, const std::function<void(std::string_view)>& take);

// A short body as text, and its length in `record`. Throws http_error (413, 400) as body_buffer::read.
SLUICE_API std::string read_text(const request& r, std::int64_t limit, request_context& record);

// Throws http_error: 404, and 405 unless the method is among `allowed`, as in "GET, HEAD".
[[noreturn]] SLUICE_API void fail_not_found(const request& r);
SLUICE_API void check_method(const request& r, std::string_view allowed);

}  // namespace sluice::serving
