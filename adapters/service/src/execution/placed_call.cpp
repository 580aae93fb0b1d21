#include "execution/placed_call.hpp"
#include "codec/json_writer.hpp"

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
  if (!precision.empty()) out.headers.emplace_back("X-Sluice-Precision", precision);
  if (const double s = predicted(); std::isfinite(s))
    out.headers.emplace_back("X-Sluice-Predicted", fmt::format("{:.3g}", s));
  out.headers.emplace_back("X-Sluice-Reason", reason());
  if (gathered > 1) out.headers.emplace_back("X-Sluice-Gathered", std::to_string(gathered));
}

std::string placed_call::json() const {
  json_writer w;
  w.begin_object().member("device", device);
  if (!precision.empty()) w.member("precision", precision);
  if (const double s = predicted(); std::isfinite(s)) w.key("predicted_seconds").raw(fmt::format("{:.3g}", s));
  return w.member("reason", reason()).end_object().take();
}

}  // namespace sluice::serving
