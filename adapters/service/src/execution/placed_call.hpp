// Where a call was computed, and how an answer reports it.
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
  std::string device;               // of the first result, once it is there
  std::string precision;            // of the call; empty: the endpoint gives no choice
  int gathered = 1;                 // calls that were computed as one, this one included

  [[nodiscard]] std::string_view why() const { return decided ? name_of(decided->because) : "endpoint"; }
  [[nodiscard]] double predicted() const;    // seconds; NaN: not known
  [[nodiscard]] std::string reason() const;  // one sentence in printable ASCII
  // Adds the headers X-Sluice-Device, -Precision, -Predicted, -Reason and -Gathered.
  void add_headers(response& out) const;
  // {"device":"cuda:0","precision":"strict","predicted_seconds":0.00031,"reason":"..."}
  [[nodiscard]] std::string json() const;
};

}  // namespace sluice::serving
