// An answer that refuses a request. Its text is ours alone: no byte of the request is in it.
#pragma once

#include <string>
#include <string_view>

#include "sluice/config.hpp"
#include "sluice/httplib/server_extensions.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

struct http_error {
  int status = 0;  // 0: none
  const char* detail = "";
  explicit operator bool() const noexcept { return status != 0; }
};

inline constexpr std::string_view methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

constexpr std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
  }
}

inline constexpr std::string_view problem_type = "application/problem+json";

// The body of a problem (RFC 9457), as the service writes them. `detail` is a literal of ours, with at most quotes to
// escape.
inline std::string problem_json(const http_error& e) {
  const std::string_view code = e.status == 503 ? "unavailable" : e.status == 500 ? "internal" : "refused";
  std::string json = R"({"type":"about:blank","title":")";
  json.append(reason_phrase(e.status))
      .append(R"(","status":)")
      .append(std::to_string(e.status))
      .append(R"(,"detail":"[http] )");
  for (const char c : std::string_view(e.detail)) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json.append(R"(","code":")").append(code).append("\"}");
}

// A whole answer that closes the connection. `head_only`: to HEAD, without the body.
inline std::string refusal(const http_error& e, bool head_only = false) {
  const auto body = problem_json(e);
  std::string text = "HTTP/1.1 " + std::to_string(e.status) + " ";
  text.append(reason_phrase(e.status)).append("\r\nDate: ").append(detail::http_date());
  if (e.status == 405) text.append("\r\nAllow: ").append(methods);
  text.append("\r\nContent-Type: ").append(problem_type).append("\r\nContent-Length: ").append(std::to_string(body.size()));
  return text.append("\r\nConnection: close\r\n\r\n").append(head_only ? "" : body);
}

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
