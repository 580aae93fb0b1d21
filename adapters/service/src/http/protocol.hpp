// A protocol: which paths are its own, how it answers them, and how it words a refusal. A new one is a class of its own and
// a line in service.cpp; transports ask for the patterns.
#pragma once

#include <memory>

#include "openapi/document.hpp"
#include "execution/executor.hpp"

namespace sluice::serving {

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
  // The server is about to end: what it does on its own, beside answering, ends soon.
  virtual void drain() noexcept {}
  // Adds its routes to the service's document: document.hpp shows how.
  virtual void describe(document& d) const = 0;
};

std::unique_ptr<protocol> operations(executor& e);        // health, metrics, devices
std::unique_ptr<protocol> placement(executor& e);         // what would be computed where
std::unique_ptr<protocol> v1(executor& e);                // JSON and .npy
std::unique_ptr<protocol> v1_jobs(executor& e);           // work on files
std::unique_ptr<protocol> v1_rowsum_stream(executor& e);  // bodies of any length
std::unique_ptr<protocol> v2(executor& e);                // the Open Inference Protocol
// /openapi.json, written by `describe_all`, and the page of /docs that is drawn from it.
std::unique_ptr<protocol> docs(executor& e, std::function<void(document&)> describe_all);

// The value of the header called `name`, or empty.
inline std::string_view header(const request& r, std::string_view name) {
  return r.header ? r.header(name) : std::string_view{};
}

// When nobody waits for the answer any more, by the header X-Request-Timeout in seconds after `begin`. Throws http_error (400)
// when that is no decimal number.
std::chrono::steady_clock::time_point deadline_of(const request& r, std::chrono::steady_clock::time_point begin);

// What a transport holds while it sends an answer: the time goes to the metrics.
std::shared_ptr<void> until_sent(std::shared_ptr<metrics> to, std::string route);

response text_response(std::string_view type, std::string text, int status = 200);

// What to throw for a path that nothing is at, and unless the method is among `allowed`, as in "GET, HEAD".
[[noreturn]] void fail_not_found(const request& r);
void check_method(const request& r, std::string_view allowed);

}  // namespace sluice::serving
