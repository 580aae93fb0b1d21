// Parses a request's head strictly before httplib sees it, and writes the text that httplib reads instead.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/hardened/http_error.hpp"
#include "sluice/hardened/options.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool same(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

inline std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// True if `item` is in the comma-separated list `all`.
inline bool lists(std::string_view all, std::string_view item) noexcept {
  while (!all.empty()) {
    const auto comma = std::min(all.find(','), all.size());
    if (same(trimmed(all.substr(0, comma)), item)) return true;
    all.remove_prefix(std::min(comma + 1, all.size()));
  }
  return false;
}

inline bool is_token(std::string_view s) noexcept {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

inline bool has_control(std::string_view s) noexcept {
  return std::any_of(s.begin(), s.end(),
                     [](char c) { return (static_cast<unsigned char>(c) < 32 && c != '\t') || c == 127; });
}

// A Range of bytes as every httplib reads it. A position may have any number of digits (RFC 9110, 14.1.1), which 0.11.4
// answers with 416, or with an addition that overflows: those beyond 18 digits become 2^62, which no body reaches.
inline std::string in_62_bits(std::string_view range) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::string text;
  while (!range.empty()) {
    const auto run = static_cast<std::size_t>(std::find_if_not(range.begin(), range.end(), digit) - range.begin());
    const auto zeros = std::min(range.find_first_not_of('0'), run);
    text += run - zeros > 18 ? "4611686018427387904" : range.substr(zeros, run - zeros);
    if (run > 0 && zeros == run) text += '0';
    if (run < range.size()) text += range[run];
    range.remove_prefix(std::min(run + 1, range.size()));
  }
  return text;
}

class head {
 public:
  // `block` ends with the empty line.
  head(std::string_view block, const hardened_options& o) : options_(o) {
    text.reserve(block.size());
    const auto end = block.find("\r\n");
    read_request_line(block.substr(0, end));
    block.remove_prefix(end + 2);
    while (!why && block != "\r\n") {
      const auto line_end = block.find("\r\n");
      if (++count_ > o.headers) refuse(431, "there are more headers than this server allows");
      if (!why) read_header(block.substr(0, line_end));
      block.remove_prefix(line_end + 2);
    }
    if (!why) check();
    text += "\r\n";
  }

  std::string text{};     // for httplib
  std::string address{};  // the target, as it came
  http_error why{};       // the request cannot be read
  bool close = false;     // the client closes after this request
  bool expects = false;   // 100-continue
  bool chunked = false;
  std::int64_t length = 0;  // without chunks
  std::string encoding{};   // of the body

  [[nodiscard]] bool has_body() const noexcept { return chunked || length > 0; }

 private:
  void refuse(int status, const char* detail) noexcept {
    if (!why) why = {status, detail};
  }

  void read_request_line(std::string_view line) {
    const auto a = line.find(' '), b = line.rfind(' ');
    if (a == line.npos || a == b || !is_token(line.substr(0, a)) || has_control(line))
      return refuse(400, "the request line is not METHOD TARGET VERSION");
    const auto target = line.substr(a + 1, b - a - 1), version = line.substr(b + 1);
    if (target.empty() || target.find_first_of(" \t") != target.npos)
      return refuse(400, "the request target contains blanks");
    old_ = version == "HTTP/1.0";
    if (!old_ && version != "HTTP/1.1") return refuse(505, "the version is neither 1.1 nor 1.0");
    close = old_;
    // httplib answers 400 for methods that it has no handlers for.
    if (!lists(methods, line.substr(0, a))) return refuse(405, "the method is not among those of Allow");
    text.append(line).append("\r\n");
    address = target;
  }

  void read_header(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) return refuse(400, "a header name is not a token");
    const auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (has_control(value)) return refuse(400, "a header value contains control characters");
    // httplib 0.11.4 stores the connection's addresses under these header names, after the client's.
    for (const char* const own : {"REMOTE_ADDR", "REMOTE_PORT", "LOCAL_ADDR", "LOCAL_PORT"})
      if (same(name, own)) return;
    if (take(name, value)) text.append(name).append(": ").append(value).append("\r\n");
  }

  // True if the header is passed to httplib.
  bool take(std::string_view name, std::string_view value) {
    if (same(name, "Content-Length")) return take_length(value);
    if (same(name, "Transfer-Encoding")) {
      if (chunked || !same(value, "chunked")) refuse(501, "the only Transfer-Encoding supported is \"chunked\"");
      return chunked = true;
    }
    if (same(name, "Host") && ++hosts_ > 1) refuse(400, "there are two Host headers");
    if (same(name, "Connection")) {
      close = lists(value, "close") || (old_ && close && !lists(value, "keep-alive"));
    } else if (same(name, "Expect")) {
      if (!same(value, "100-continue")) refuse(417, "the only expectation supported is 100-continue");
      return !(expects = true);  // the stream answers it
    } else if (same(name, "Content-Encoding")) {
      if (!encoding.empty()) refuse(415, "there are two Content-Encoding headers");
      encoding = value;
    } else if (same(name, "Range")) {
      // Unknown range units are ignored (RFC 9110, 14.2); the name of one is in any case.
      if (value.size() < 6 || !same(value.substr(0, 6), "bytes=")) return false;
      if (std::count(value.begin(), value.end(), ',') >= static_cast<std::ptrdiff_t>(options_.ranges) ||
          ++range_headers_ > 1)
        refuse(416, "more ranges are requested than this server allows");
      text.append("Range: bytes=").append(in_62_bits(value.substr(6))).append("\r\n");
      return false;
    }
    return true;
  }

  bool take_length(std::string_view value) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (value.empty() || value.front() == '-' || error != std::errc{} || end != value.data() + value.size())
      refuse(400, "Content-Length is not a number of bytes");
    if (lengths_++ == 0) return length = n, true;
    if (n != length) refuse(400, "two Content-Length headers differ");
    return false;  // a repetition of the same value
  }

  void check() {
    if (chunked && lengths_ > 0) refuse(400, "both Transfer-Encoding and Content-Length are present");
    if (chunked && old_) refuse(400, "HTTP/1.0 has no chunked bodies");
    if (hosts_ == 0 && !old_) refuse(400, "Host is missing");
  }

  const hardened_options& options_;
  bool old_ = false;  // HTTP/1.0
  std::size_t count_ = 0;
  int hosts_ = 0, lengths_ = 0, range_headers_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
