#include "execution/placed_call.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "http/text.hpp"

namespace sluice::serving {

double placed_call::predicted() const { return decided ? decided->predicted() : std::numeric_limits<double>::quiet_NaN(); }

std::string placed_call::reason() const {
  if (!decided) return device + ": the endpoint has no estimate of its work";
  std::string text = decided->reason();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

void placed_call::add_headers(response& out) const {
  out.headers.emplace_back("X-Sluice-Device", device);
  if (const double s = predicted(); std::isfinite(s))
    out.headers.emplace_back("X-Sluice-Predicted", fmt::format("{:.3g}", s));
  out.headers.emplace_back("X-Sluice-Reason", reason());
}

std::string placed_call::json() const {
  const double s = predicted();
  return fmt::format(R"({{"device":{},{}"reason":{}}})", json_string(device),
                     std::isfinite(s) ? fmt::format(R"("predicted_seconds":{:.3g},)", s) : "", json_string(reason()));
}

}  // namespace sluice::serving
