// Where a call is computed, and how an answer tells of it.
#pragma once

#include <optional>
#include <string>

#include "sluice/placement.hpp"
#include "sluice/service/message.hpp"

namespace sluice::serving {

struct placed_call {
  placed_call() = default;
  explicit placed_call(const decision& d) : decided(d), device(d.where.str()) {}

  std::optional<decision> decided;  // none: the endpoint has no estimate
  mutable std::string device;       // of the first result, once it is there

  [[nodiscard]] std::string_view why() const { return decided ? name_of(decided->because) : "endpoint"; }
  [[nodiscard]] double predicted() const;    // seconds; NaN: not known
  [[nodiscard]] std::string reason() const;  // one sentence in printable ASCII
  // The headers X-Sluice-Device, -Predicted and -Reason.
  void tell(response& out) const;
  // {"device":"cuda:0","predicted_seconds":0.00031,"reason":"..."}
  [[nodiscard]] std::string json() const;
};

}  // namespace sluice::serving
