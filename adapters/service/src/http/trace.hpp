// Who asked, across servers: request ids and W3C Trace Context.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::serving {

// `given` if it is sane: 1 to 64 letters, digits and '-'; else a new one.
std::string request_id(std::string_view given);

struct trace {
  std::string id;    // 32 hexadecimal digits
  std::string span;  // 16: of this request
  bool sampled = false;

  // The caller's trace, with a new span in it; a new trace where `traceparent` is missing or not well formed.
  static trace begin(std::string_view traceparent);
  // For whom we ask in turn.
  [[nodiscard]] std::string traceparent() const;
};

}  // namespace sluice::serving
