#include "http/access.hpp"
#include "codec/json_writer.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"
#include "sluice/service/access.hpp"

namespace sluice {
namespace serving {
namespace {

bool is_plain(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c > 32 && c < 127; });
}

std::vector<std::string> checked(std::vector<std::string> all, const char* what, bool secret) {
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!is_plain(all[i]))
      throw error(error_code::invalid_argument,
                  fmt::format("[service] {}[{}]{} must be of visible ASCII characters, at least one", what, i,
                              secret ? "" : " is " + json_string(all[i]) + ": it"));
  return all;
}

// Health and the documents.
bool is_open(std::string_view path) {
  if (path == "/openapi.json" || path == "/docs" || path.starts_with("/docs/")) return true;
  return path == "/health/live" || path == "/health/ready" || path == "/v2/health/live" || path == "/v2/health/ready";
}

// "Bearer TOKEN", the scheme in any case.
std::string_view bearer(std::string_view value) {
  constexpr std::string_view scheme = "bearer ";
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  if (value.size() <= scheme.size() ||
      !std::equal(scheme.begin(), scheme.end(), value.begin(), [&](char b, char a) { return same(a, b); }))
    return {};
  value.remove_prefix(scheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

access::access(std::vector<std::string> tokens, std::vector<std::string> origins)
    : tokens_(checked(std::move(tokens), "tokens", true)), origins_(checked(std::move(origins), "origins", false)) {}

// Its time depends on the given token's length and on the number of tokens, not on their contents.
bool access::knows(std::string_view token) const noexcept {
  unsigned found = 0;
  for (const auto& own : tokens_) {
    unsigned differs = own.size() != token.size();
    for (std::size_t i = 0; i < token.size(); ++i)
      differs |= static_cast<unsigned char>(token[i]) ^ static_cast<unsigned char>(own[i % own.size()]);
    found |= differs == 0;
  }
  return found != 0;
}

bool access::lists(std::string_view origin) const {
  return std::any_of(origins_.begin(), origins_.end(), [&](const auto& o) { return o == "*" || o == origin; });
}

void access::check(const request& r) const {
  if (tokens_.empty() || is_open(r.path)) return;
  const auto given = bearer(header(r, "Authorization"));
  if (given.empty())
    throw http_error{401, "unauthorized", "[http] a bearer token is needed", {{"WWW-Authenticate", "Bearer"}}};
  if (!knows(given))
    throw http_error{401,
                     "unauthorized",
                     "[http] the bearer token is unknown",
                     {{"WWW-Authenticate", R"(Bearer error="invalid_token")"}}};
}

std::optional<response> access::preflight(const request& r) const {
  if (r.method != "OPTIONS" || header(r, "Access-Control-Request-Method").empty() || !lists(header(r, "Origin"))) return {};
  return response{
      .status = 204,
      .headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE"},
                  {"Access-Control-Allow-Headers",
                   "Accept, Authorization, Content-Encoding, Content-Type, If-None-Match, If-Range, "
                   "Inference-Header-Content-Length, Last-Event-ID, Range, traceparent, X-Request-Id, X-Request-Timeout"},
                  {"Access-Control-Max-Age", "600"}}};
}

void access::admit(const request& r, response& answer) const {
  if (origins_.empty()) return;
  answer.headers.emplace_back("Vary", "Origin");
  const auto origin = header(r, "Origin");
  if (origin.empty() || !lists(origin)) return;
  // Listed origins are plain text; one that "*" admits may hold anything, so it is not echoed.
  const bool named = std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
  answer.headers.emplace_back("Access-Control-Allow-Origin", named ? std::string(origin) : "*");
  answer.headers.emplace_back(
      "Access-Control-Expose-Headers",
      "Content-Range, ETag, Inference-Header-Content-Length, Location, Retry-After, X-Request-Id, X-Sluice-Device, "
      "X-Sluice-Gathered, X-Sluice-Predicted, X-Sluice-Reason");
}

}  // namespace serving

inline namespace SLUICE_ABI {

std::string access_record::json() const {
  using namespace std::chrono;
  const auto ms = floor<milliseconds>(time);
  const auto today = floor<days>(ms);
  const year_month_day date(today);
  const hh_mm_ss utc(ms - today);
  serving::json_writer w;
  w.begin_object()
      .member("time",
              fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), utc.hours().count(),
                          utc.minutes().count(), utc.seconds().count(), utc.subseconds().count()))
      .member("request_id", request_id)
      .member("trace_id", trace_id)
      .member("span_id", span_id)
      .member("method", method)
      .member("route", route)
      .member("status", status)
      .member("bytes_in", bytes_in)
      .member("bytes_out", bytes_out)
      .key("seconds")
      .raw(fmt::format("{:.6f}", seconds))
      .member("device", device)
      .member("client", client);
  return w.end_object().take();
}

}  // namespace SLUICE_ABI
}  // namespace sluice
