#include "http/http_error.hpp"
#include "codec/json_writer.hpp"

#include <fmt/format.h>

#include "http/text.hpp"

namespace sluice {
namespace {

std::string_view title_of(int status) noexcept {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
  }
  return "Error";
}

}  // namespace

inline namespace SLUICE_ABI {

int status_of(error_code code) noexcept {
  switch (code) {
    case error_code::malformed: return 400;
    case error_code::limit_exceeded: return 413;
    case error_code::invalid_argument: return 422;
    case error_code::internal:
    case error_code::io: return 500;
    case error_code::unsupported: return 501;
    case error_code::out_of_memory:
    case error_code::device_lost:
    case error_code::unavailable:
    case error_code::cancelled: return 503;
  }
  return 500;
}

response problem(int status, std::string_view code, std::string_view detail) {
  serving::json_writer w;
  w.begin_object()
      .member("type", "about:blank")
      .member("title", title_of(status))
      .member("status", status)
      .member("detail", detail)
      .member("code", code)
      .end_object();
  return {.status = status,
          .headers = {{"Content-Type", "application/problem+json"}},
          .body = {body_piece::of(std::move(w).text())}};
}

}  // namespace SLUICE_ABI
}  // namespace sluice
