// A request's head, read strictly before httplib sees it, and written anew for it.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "sluice/hardened/options.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// Why a request is refused. Its text is ours alone: nothing of the request is in it.
struct fault {
  int status = 0;  // 0: none
  const char* detail = "";
  explicit operator bool() const noexcept { return status != 0; }
};

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool same(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

inline std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Whether `item` is in a list with commas.
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

inline constexpr std::string_view methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

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
      if (++count_ > o.headers) refuse(431, "there are more headers than this server takes");
      if (!why) read_header(block.substr(0, line_end));
      block.remove_prefix(line_end + 2);
    }
    if (!why) check();
    text += "\r\n";
  }

  std::string text{};     // for httplib
  std::string address{};  // the target, as it came
  fault why{};            // the request cannot be read
  bool close = false;     // the client says that it is its last
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
      return refuse(400, "the request's target has blanks in it");
    old_ = version == "HTTP/1.0";
    if (!old_ && version != "HTTP/1.1") return refuse(505, "the version is neither 1.1 nor 1.0");
    close = old_;
    // What httplib can have no handler for it would call malformed.
    if (!lists(methods, line.substr(0, a))) return refuse(405, "of methods this server takes those of Allow");
    text.append(line).append("\r\n");
    address = target;
  }

  void read_header(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) return refuse(400, "a header's name is not one");
    const auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (has_control(value)) return refuse(400, "a header's value has control characters in it");
    // httplib 0.11.4 keeps what it knows of the connection among the headers, after those of the client.
    for (const char* const own : {"REMOTE_ADDR", "REMOTE_PORT", "LOCAL_ADDR", "LOCAL_PORT"})
      if (same(name, own)) return;
    if (take(name, value)) text.append(name).append(": ").append(value).append("\r\n");
  }

  // Whether the header goes on to httplib.
  bool take(std::string_view name, std::string_view value) {
    if (same(name, "Content-Length")) return take_length(value);
    if (same(name, "Transfer-Encoding")) {
      if (chunked || !same(value, "chunked")) refuse(501, "of Transfer-Encodings only \"chunked\" is read");
      return chunked = true;
    }
    if (same(name, "Host") && ++hosts_ > 1) refuse(400, "there are two Hosts");
    if (same(name, "Connection")) {
      close = lists(value, "close") || (old_ && close && !lists(value, "keep-alive"));
    } else if (same(name, "Expect")) {
      if (!same(value, "100-continue")) refuse(417, "of expectations only 100-continue is met");
      return !(expects = true);  // the stream's to answer
    } else if (same(name, "Content-Encoding")) {
      if (!encoding.empty()) refuse(415, "there are two Content-Encodings");
      encoding = value;
    } else if (same(name, "Range")) {
      if (!value.starts_with("bytes=")) return false;  // units that are not known are as if not there (RFC 9110, 14.2)
      if (std::count(value.begin(), value.end(), ',') >= static_cast<std::ptrdiff_t>(options_.ranges) ||
          ++range_headers_ > 1)
        refuse(416, "more ranges are asked for than this server gives at once");
    }
    return true;
  }

  bool take_length(std::string_view value) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (value.empty() || value.front() == '-' || error != std::errc{} || end != value.data() + value.size())
      refuse(400, "Content-Length is not a number of bytes");
    if (lengths_++ == 0) return length = n, true;
    if (n != length) refuse(400, "there are two Content-Lengths");
    return false;  // the same again
  }

  void check() {
    if (chunked && lengths_ > 0) refuse(400, "both Transfer-Encoding and Content-Length are there");
    if (chunked && old_) refuse(400, "HTTP/1.0 has no chunks");
    if (hosts_ == 0 && !old_) refuse(400, "there is no Host");
  }

  const hardened_options& options_;
  bool old_ = false;  // HTTP/1.0
  std::size_t count_ = 0;
  int hosts_ = 0, lengths_ = 0, range_headers_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
