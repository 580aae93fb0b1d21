// Between a head as it was read and httplib: its request is filled in, and its answer's head completed.
#pragma once

#include <httplib.h>

#include <charconv>
#include <string>
#include <string_view>

#include "sluice/hardened/head.hpp"
#include "sluice/httplib/server_extensions.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// Called between httplib's reading of h.text and its choice of a handler. No limit or decoding of httplib's is applied to
// what is set here; and it serves no ranges: it would cut every answer, of any method and status.
inline void fill(httplib::Request& r, const head& h) {
  r.target = h.asked.text;
  r.path = h.asked.path;
  r.params.clear();
  for (const auto& [key, value] : h.asked.query) r.params.emplace(key, value);
  r.ranges.clear();
  for (const auto& [name, value] : h.fields) r.headers.erase(name);
  for (const auto& [name, value] : h.fields) r.headers.emplace(name, value);
}

// The head of an answer, from httplib's.
class answer_head {
 public:
  // `bytes` ends with the empty line.
  answer_head(std::string_view bytes, const head& asked) {
    const auto end = bytes.find("\r\n");
    auto line = bytes.substr(0, end);
    if (line.size() >= 12) std::from_chars(line.data() + 9, line.data() + 12, status);
    bytes.remove_prefix(end + 2);
    bodiless = asked.head_only || status == 204 || status == 304;
    const bool whole = status == 206 && bytes.find("\r\nContent-Range: ") == bytes.npos &&
                       !bytes.starts_with("Content-Range: ") && bytes.find("multipart/byteranges") == bytes.npos;
    if (whole) status = 200;  // of httplib 0.11.4 for a file and any Range
    text.reserve(bytes.size() + 80);
    text.append(whole ? "HTTP/1.1 200 OK" : line).append("\r\n");
    for (; bytes != "\r\n"; bytes.remove_prefix(line.size() + 2)) {
      line = bytes.substr(0, bytes.find("\r\n"));
      take(line, asked);
    }
    if (!dated_) text.append("Date: ").append(detail::http_date()).append("\r\n");
    if (closes || asked.old) text.append(closes ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    text += "\r\n";
  }

  std::string text{};
  int status = 0;
  bool closes = false;      // the connection
  bool bodiless = false;    // whatever httplib sends behind it
  bool has_length = false;  // of its body

 private:
  void take(std::string_view line, const head& asked) {
    const auto name = line.substr(0, line.find(':'));
    if (same(name, "Connection")) {
      closes = closes || lists(line.substr(std::min(name.size() + 1, line.size())), "close");
      return;
    }
    const bool length = same(name, "Content-Length");
    if (bodiless && !asked.head_only && (length || same(name, "Transfer-Encoding"))) return;
    has_length = has_length || length;
    dated_ = dated_ || same(name, "Date");
    text.append(line).append("\r\n");
  }

  bool dated_ = false;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
