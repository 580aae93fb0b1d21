// Ids that follow a request across servers: X-Request-Id and W3C Trace Context.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice::serving {

// `given` if it has 1 to 64 letters, digits and '-'; else a new one.
SLUICE_API std::string request_id(std::string_view given);

struct trace {
  std::string id;    // 32 hexadecimal digits
  std::string span;  // 16: of this request
  bool sampled = false;

  // The caller's trace, with a new span in it; a new trace where `traceparent` is missing or not well formed.
  static trace begin(std::string_view traceparent);
  // The header for requests made while answering this one.
  [[nodiscard]] std::string traceparent() const;
};

}  // namespace sluice::serving
