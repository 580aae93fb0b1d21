// Parses a request's head strictly. httplib reads a text written anew, and its handlers the fields as they were read here.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/hardened/http_error.hpp"
#include "sluice/hardened/options.hpp"
#include "sluice/hardened/target.hpp"
#include "sluice/hardened/text.hpp"
#include "sluice/httplib/server_extensions.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// The codings of Accept-Encoding that may be used. httplib looks for "br" and "gzip" anywhere in it, whatever their weight.
inline std::string usable_codings(std::string_view value) {
  std::string out;
  bool refused = false, any = false;
  while (!value.empty()) {
    const auto item = next_item(value, ',');
    auto rest = item;
    const auto coding = next_item(rest, ';');
    const auto weight = trimmed(rest);
    const bool none = weight.size() > 2 && lower(weight[0]) == 'q' && weight[1] == '=' &&
                      weight.substr(2).find_first_not_of("0.") == weight.npos;
    const bool mistaken = !same(coding, "gzip") && !same(coding, "x-gzip") && !same(coding, "br") &&
                          (coding.find("gzip") != coding.npos || coding.find("br") != coding.npos);
    if (none && !same(coding, "identity")) refused = true;
    if (none || mistaken || coding.empty()) continue;
    if (coding == "*")
      any = true;
    else
      out.append(out.empty() ? "" : ", ").append(item);
  }
  if (any && !refused) out.append(out.empty() ? "*" : ", *");
  return out;
}

// A Content-Type with its media type in lower case. A form keeps its boundary alone: httplib 0.11.4 takes what follows for a
// part of it.
inline std::string plain_media_type(std::string_view value) {
  auto rest = value;
  std::string type(next_item(rest, ';'));
  std::transform(type.begin(), type.end(), type.begin(), lower);
  std::string_view boundary{};
  for (auto parameters = rest; !parameters.empty();) {
    auto item = next_item(parameters, ';');
    if (same(next_item(item, '='), "boundary") && boundary.empty()) boundary = trimmed(item);
  }
  if (type == "multipart/form-data" && !boundary.empty()) return type.append("; boundary=").append(boundary);
  return rest.empty() ? type : type.append("; ").append(trimmed(rest));
}

class head {
 public:
  // `block` ends with the empty line.
  head(std::string_view block, const hardened_options& o) : options_(o) {
    const auto end = block.find("\r\n");
    read_request_line(block.substr(0, end));
    block.remove_prefix(end + 2);
    std::size_t count = 0;
    while (!why && block != "\r\n") {
      const auto line_end = block.find("\r\n");
      if (++count > o.headers) refuse(431, "there are more headers than this server allows");
      if (!why) read_header(block.substr(0, line_end));
      block.remove_prefix(line_end + 2);
    }
    if (!why) finish();
  }

  std::string text{};  // for httplib: the framing, and what it reads before the handler's request can be set up
  target asked{};
  std::vector<std::pair<std::string, std::string>> fields{};  // each name once, repeated lists joined
  http_error why{};                                           // the request cannot be read
  bool close = false;                                         // the client closes after this request
  bool old = false;                                           // HTTP/1.0
  bool head_only = false;                                     // HEAD: its answer has no body
  bool expects = false;                                       // 100-continue
  bool chunked = false;
  std::int64_t length = 0;         // without chunks
  std::string_view encoding = {};  // of the body, one that is decoded; a literal

  [[nodiscard]] bool has_body() const noexcept { return chunked || length > 0; }

 private:
  void refuse(int status, const char* detail) noexcept {
    if (!why) why = {status, detail};
  }

  std::string* find(std::string_view name) noexcept {
    const auto at = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return same(f.first, name); });
    return at == fields.end() ? nullptr : &at->second;
  }

  std::string_view value_of(std::string_view name) noexcept {
    const auto* const value = find(name);
    return value == nullptr ? std::string_view{} : *value;
  }

  // httplib answers 400 for methods that it has no handlers for.
  static bool is_known(std::string_view method) noexcept {
    for (auto rest = methods; !rest.empty();)
      if (next_item(rest, ',') == method) return true;
    return false;
  }

  void read_request_line(std::string_view line) {
    const auto a = line.find(' '), b = line.rfind(' ');
    if (a == line.npos || a == b || !is_token(line.substr(0, a)) || has_control(line))
      return refuse(400, "the request line is not METHOD TARGET VERSION");
    method_ = line.substr(0, a);
    head_only = method_ == "HEAD";
    const auto text_of = line.substr(a + 1, b - a - 1), version = line.substr(b + 1);
    if (text_of.empty() || text_of.find_first_of(" \t") != text_of.npos)
      return refuse(400, "the request target contains blanks");
    close = old = version == "HTTP/1.0";
    if (!old && version != "HTTP/1.1") return refuse(505, "the version is neither 1.1 nor 1.0");
    if (!is_known(method_)) return refuse(405, "the method is not among those of Allow");
    if (const char* const wrong = asked.read(text_of, method_ == "OPTIONS")) refuse(400, wrong);
  }

  void read_header(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon))) return refuse(400, "a header name is not a token");
    const auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (has_control(value)) return refuse(400, "a header value contains control characters");
    // httplib 0.11.4 stores the connection's addresses under these header names, after the client's.
    for (const char* const own : {"REMOTE_ADDR", "REMOTE_PORT", "LOCAL_ADDR", "LOCAL_PORT"})
      if (same(name, own)) return;
    if (same(name, "Content-Length")) return read_length(value);
    if (same(name, "Transfer-Encoding")) {
      if (chunked || !same(value, "chunked")) refuse(501, "the only Transfer-Encoding supported is \"chunked\"");
      chunked = true;
    } else if (same(name, "Host")) {
      if (++hosts_ > 1) refuse(400, "there are two Host headers");
      if (!is_authority(value)) refuse(400, "Host is not a name or an address, and perhaps a port");
      host_ = value;
    } else if (auto* const known = find(name)) {
      for (const char* const single : {"Authorization", "Content-Type", "Origin"})
        if (same(name, single)) refuse(400, "Authorization, Content-Type or Origin is present twice");
      if (!value.empty()) known->append(known->empty() ? "" : same(name, "Cookie") ? "; " : ", ").append(value);
    } else {
      fields.emplace_back(name, value);
    }
  }

  void read_length(std::string_view value) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (value.empty() || value.front() == '-' || error != std::errc{} || end != value.data() + value.size())
      refuse(400, "Content-Length is not a number of bytes");
    if (lengths_++ == 0)
      length = n;
    else if (n != length)
      refuse(400, "two Content-Length headers differ");
  }

  void finish() {
    if (chunked && lengths_ > 0) refuse(400, "both Transfer-Encoding and Content-Length are present");
    if (chunked && old) refuse(400, "HTTP/1.0 has no chunked bodies");
    if (hosts_ == 0 && !old) refuse(400, "Host is missing");
    if (!asked.authority.empty()) host_ = asked.authority;  // it counts, whatever Host says (RFC 9112, 3.2.2)
    if (!is_one_of_ours(host_of(host_))) refuse(421, "this server does not answer for the name in Host");
    if (detail::changes_something(method_) &&
        detail::is_cross_site(value_of("Sec-Fetch-Site"), value_of("Origin"), host_, options_.origins))
      refuse(403, "a web page of another origin may not change anything here");
    if (const auto* const value = find("Connection"))
      close = lists(*value, "close") || (old && !lists(*value, "keep-alive"));
    if (const auto* const value = find("Expect"); value != nullptr && !old) {  // the stream answers it
      if (!same(*value, "100-continue")) refuse(417, "the only expectation supported is 100-continue");
      expects = true;
    }
    if (auto* const value = find("Content-Type")) *value = plain_media_type(*value);
    if (auto* const value = find("Accept-Encoding")) *value = usable_codings(*value);
    read_coding();
    if (why) return;
    std::erase_if(fields, [](const auto& f) {
      return same(f.first, "Connection") || same(f.first, "Expect") || same(f.first, "Content-Encoding");
    });
    if (!host_.empty() || hosts_ > 0) fields.emplace_back("Host", host_);
    if (!encoding.empty()) fields.emplace_back("Content-Encoding", encoding);
    write();
  }

  void read_coding() {
    const auto* const value = find("Content-Encoding");
    if (value == nullptr || value->empty()) return;
    const auto known = detail::decoded_coding(*value);
    if (!known) refuse(415, "Content-Encoding is none that this server decodes");
    encoding = known.value_or("");
  }

  // Addresses always are: only a name can be made to lead here by someone else.
  [[nodiscard]] bool is_one_of_ours(std::string_view host) const noexcept {
    if (options_.hosts.empty() || is_ip_address(host) || (host.empty() && old)) return true;
    if (host.ends_with('.')) host.remove_suffix(1);
    return std::any_of(options_.hosts.begin(), options_.hosts.end(), [&](const auto& own) { return same(own, host); });
  }

  // httplib's own limits and readings are met by none of these lines; the rest of the fields it gets by fill().
  void write() {
    if (chunked) fields.emplace_back("Transfer-Encoding", "chunked");
    if (lengths_ > 0) fields.emplace_back("Content-Length", std::to_string(length));
    if (close || old) fields.emplace_back("Connection", close ? "close" : "Keep-Alive");
    text.append(method_).append(old ? " / HTTP/1.0\r\n" : " / HTTP/1.1\r\n");
    for (const auto& [name, value] : fields)
      for (const char* const early : {"Transfer-Encoding", "Content-Length", "Connection", "Accept", "X-Forwarded-For"})
        if (same(name, early) && value.size() < 4096) text.append(name).append(": ").append(value).append("\r\n");
    text += "\r\n";
  }

  const hardened_options& options_;
  std::string method_{}, host_{};
  int hosts_ = 0, lengths_ = 0;
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
