// What a request asks for (RFC 9112, 3.2), and whom: the Host.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/hardened/text.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace hardened {

// "example.org:8080" without its port; "[::1]" keeps its brackets.
inline std::string_view host_of(std::string_view authority) noexcept {
  const auto colon = authority.find(':', authority.starts_with('[') ? std::min(authority.find(']'), authority.size()) : 0);
  return authority.substr(0, colon);
}

inline bool is_ip_address(std::string_view host) noexcept {
  return host.starts_with('[') ||
         (!host.empty() && std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; }));
}

// A name or an address, and perhaps a port (RFC 3986, 3.2). Commas, which a name could have, are none of ours: proxies join
// by them.
inline bool is_authority(std::string_view s) noexcept {
  const auto host = host_of(s);
  const auto rest = s.substr(host.size());
  if (rest.size() > 6 || !std::all_of(rest.begin() + (rest.empty() ? 0 : 1), rest.end(), is_digit)) return false;
  if (host.starts_with('['))
    return host.size() > 3 && host.ends_with(']') &&
           std::all_of(host.begin() + 1, host.end() - 1, [](char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; });
  return std::all_of(host.begin(), host.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("-._~%!$&'()*+;=").find(c) != std::string_view::npos;
  });
}

// Without %XX; a '%' that begins no such triple stays.
inline std::string percent_decoded(std::string_view s, bool plus_is_space) {
  std::string out;
  out.reserve(s.size());
  for (std::size_t i = 0; i < s.size(); ++i) {
    const int high = s[i] == '%' && i + 2 < s.size() ? hex_digit(s[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(s[i + 2]) : -1;
    if (low >= 0) i += 2;
    out += low >= 0 ? static_cast<char>(high * 16 + low) : s[i] == '+' && plus_is_space ? ' ' : s[i];
  }
  return out;
}

struct target {
  std::string text{};                                        // "/a%20b?c=d", or "*": of OPTIONS alone
  std::string path{};                                        // "/a b"
  std::vector<std::pair<std::string, std::string>> query{};  // {{"c", "d"}}
  std::string authority{};                                   // of an absolute URI

  // Returns why it is none, or null.
  const char* read(std::string_view as_it_came, bool of_options) {
    auto s = as_it_came.substr(0, as_it_came.find('#'));
    if (s == "*" && of_options) return text = path = s, nullptr;
    if (!s.starts_with('/')) {
      const auto colon = s.find("://");
      if (colon == s.npos || !(same(s.substr(0, colon), "http") || same(s.substr(0, colon), "https")))
        return "the request target is neither a path, nor a URI of http, nor the * of OPTIONS";
      s.remove_prefix(colon + 3);
      authority = s.substr(0, s.find_first_of("/?"));
      if (host_of(authority).empty() || !is_authority(authority)) return "the request target's host is none";
      s.remove_prefix(authority.size());
      if (s.empty() && of_options) return text = path = "*", nullptr;
    }
    text = s.starts_with('/') ? s : std::string("/").append(s);
    const auto whole = std::string_view(text);
    const auto mark = std::min(whole.find('?'), whole.size());
    path = percent_decoded(whole.substr(0, mark), false);
    if (path.find('\0') != path.npos) return "the request target contains a zero byte";
    for (auto rest = whole.substr(std::min(mark + 1, whole.size())); !rest.empty();) {
      const auto item = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      const auto equals = std::min(item.find('='), item.size());
      if (equals > 0)
        query.emplace_back(percent_decoded(item.substr(0, equals), true),
                           percent_decoded(item.substr(std::min(equals + 1, item.size())), true));
    }
    return nullptr;
  }
};

}  // namespace hardened
}  // namespace SLUICE_ABI
}  // namespace sluice
