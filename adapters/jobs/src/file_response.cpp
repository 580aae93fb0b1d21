#include "file_response.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

constexpr std::int64_t piece_bytes = 256 << 10;

struct range {
  std::int64_t begin, end;
};

std::string_view trimmed(std::string_view s) {
  while (s.starts_with(' ') || s.starts_with('\t')) s.remove_prefix(1);
  while (s.ends_with(' ') || s.ends_with('\t')) s.remove_suffix(1);
  return s;
}

// Digits alone; what is beyond 63 bits is beyond every file.
std::optional<std::int64_t> position(std::string_view s) {
  if (s.empty() || s.find_first_not_of("0123456789") != s.npos) return std::nullopt;
  std::int64_t n = 0;
  return std::from_chars(s.data(), s.data() + s.size(), n).ec == std::errc{} ? n : INT64_MAX;
}

// Nothing for what is no single range of bytes: such a header is passed over.
std::optional<range> range_of(std::string_view text, std::int64_t size) {
  constexpr std::string_view unit = "bytes=";
  if (!same_ignoring_case(text.substr(0, unit.size()), unit)) return std::nullopt;
  text = trimmed(text.substr(unit.size()));
  const auto dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto first = text.substr(0, dash), last = text.substr(dash + 1);
  const auto begin = position(first), end = position(last);
  if (first.empty()) return end ? std::optional(range{std::max<std::int64_t>(0, size - *end), size}) : std::nullopt;
  if (!begin || (!last.empty() && (!end || *end < *begin))) return std::nullopt;
  return range{*begin, last.empty() || *end >= size ? size : *end + 1};
}

// Whether a list of tags, as in "a", W/"b", has this one, or is "*". To some conditions a weak one is as good.
bool lists(std::string_view tags, std::string_view quoted, bool weak_too) {
  while (!tags.empty()) {
    const auto comma = std::min(tags.find(','), tags.size());
    auto one = trimmed(tags.substr(0, comma));
    tags.remove_prefix(std::min(tags.size(), comma + 1));
    if (weak_too && one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == quoted) return true;
  }
  return false;
}

// The bytes of `part`, a piece a call.
auto pieces_of(base::file_descriptor file, range part) {
  struct state {
    base::file_descriptor file;
    std::int64_t at, end;
    std::vector<char> buffer;
  };
  const auto most = static_cast<std::size_t>(std::min<std::int64_t>(piece_bytes, part.end - part.begin));
  return [s = std::make_shared<state>(state{std::move(file), part.begin, part.end, std::vector<char>(most)})](
             const body_receiver& send) {
    const auto wanted = std::min<std::int64_t>(std::ssize(s->buffer), s->end - s->at);
    std::size_t n = 0;
    const auto why = base::read_at(s->file, s->at,
                                   std::as_writable_bytes(std::span(s->buffer.data(), static_cast<std::size_t>(wanted))), n);
    if (why || (n == 0 && wanted > 0))
      throw error(error_code::io, fmt::format("[http] a result of {} bytes cannot be read at byte {}", s->end, s->at));
    s->at += static_cast<std::int64_t>(n);
    return send({s->buffer.data(), n}) && s->at < s->end;
  };
}

}  // namespace

response file_response(const request& r, base::file_descriptor file, std::string_view type, std::string_view tag) {
  base::file_status found;
  if (const auto why = base::status_of(file, found); why)
    throw error(error_code::io, fmt::format("[http] the result's size cannot be read: {}", why.message()));
  const std::string quoted = fmt::format("\"{}\"", tag);
  response out{.headers = {{"Content-Type", std::string(type)}, {"ETag", quoted}, {"Accept-Ranges", "bytes"}}};
  if (const auto wanted = header(r, "If-Match"); !wanted.empty() && !lists(wanted, quoted, false))
    throw http_error{412,
                     "precondition_failed",
                     fmt::format("[http] the result is {}, not the one of If-Match: {}", quoted, shown(wanted)),
                     {{"ETag", quoted}}};
  if (lists(header(r, "If-None-Match"), quoted, true)) {
    out.status = 304;
    return out;
  }
  range part{0, found.size};
  const auto condition = trimmed(header(r, "If-Range"));
  // A range is asked for by GET alone; and with If-Range of another file, or of a date, the whole is wanted.
  if (r.method == "GET" && (condition.empty() || condition == quoted))
    if (const auto asked = range_of(header(r, "Range"), found.size)) {
      if (asked->begin >= asked->end)
        throw http_error{
            416,
            "range_not_satisfiable",
            fmt::format("[http] the range {} is not of the {} bytes that there are", header(r, "Range"), found.size),
            {{"Content-Range", fmt::format("bytes */{}", found.size)}}};
      part = *asked;
      out.status = 206;
      out.headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", part.begin, part.end - 1, found.size));
    }
  out.content_length = part.end - part.begin;
  out.write_body = pieces_of(std::move(file), part);
  return out;
}

}  // namespace sluice::serving
