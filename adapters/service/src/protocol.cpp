#include "protocol.hpp"

#include <fmt/format.h>

#include "status.hpp"
#include "text.hpp"

namespace sluice::http {

response text_response(std::string_view type, std::string text, int status) {
  return {.status = status, .headers = {{"Content-Type", std::string(type)}}, .body = {body_piece::of(std::move(text))}};
}

void fail_not_found(const request& r) {
  throw refused{404, "not_found", fmt::format("[http] nothing is served at {}", shown(r.path, 80))};
}

void check_method(const request& r, std::string_view allowed) {
  for (auto rest = allowed; !rest.empty();) {
    const auto one = rest.substr(0, rest.find(','));
    if (r.method == one) return;
    rest.remove_prefix(std::min(rest.size(), one.size() + 2));
  }
  throw refused{405,
                "method_not_allowed",
                fmt::format("[http] {} takes {}, not {}", shown(r.path), allowed, shown(r.method)),
                {{"Allow", std::string(allowed)}}};
}

}  // namespace sluice::http
