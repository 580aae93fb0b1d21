// Bodies for POST /v1/rowsum/stream, and the sums in its answers.
#pragma once

#include "service_testing.hpp"
#include "testing.hpp"

namespace testing {

inline const std::string stream_path = "/v1/rowsum/stream";
inline const headers raw_type{{"Content-Type", "application/octet-stream"}};

inline std::string_view bytes_in(const sluice::tensor& t) { return {static_cast<const char*>(t.data()), t.bytes()}; }

inline std::string query_of(const sluice::tensor& rows) {
  return cat("columns=", std::to_string(rows.extent(1)), "&dtype=", text(rows.dtype()));
}

// Passes `body` on in pieces of the sizes that `cut` gives.
inline sluice::response stream(sluice::service& s, std::string_view body, const std::string& query, headers with,
                               const std::function<std::size_t()>& cut, std::int64_t length = -1) {
  sluice::request r{.method = "POST", .path = stream_path, .query = query};
  r.header = [&](std::string_view name) -> std::string_view {
    for (const auto& [key, value] : with)
      if (key == name) return value;
    return {};
  };
  r.read_body = [&](const sluice::body_receiver& take) {
    for (auto rest = body; !rest.empty();) {
      const auto n = std::min(rest.size(), std::max<std::size_t>(1, cut()));
      if (!take(rest.substr(0, n))) return false;
      rest.remove_prefix(n);
    }
    return true;
  };
  r.content_length = length;
  return s.handle(r);
}

inline sluice::tensor sums_in(const sluice::response& r) {
  const auto body = r.text();
  CAPTURE(body.substr(0, 300));
  REQUIRE(r.status == 200);
  CHECK(r.header("Content-Type") == "application/x-npy");
  CHECK(r.size() == body.size());
  return sluice::decode_npy(std::as_bytes(std::span(body)));
}

}  // namespace testing
