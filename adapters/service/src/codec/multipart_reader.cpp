#include "codec/multipart_reader.hpp"

#include <algorithm>
#include <cstring>
#if defined(_WIN32)
#include <functional>
#endif

#include <fmt/format.h>

#include "codec/media_type.hpp"
#include "http/text.hpp"
#include "sluice/error.hpp"

namespace sluice::serving {
namespace {

constexpr std::size_t head_limit = 8192;  // bytes of a part's headers

[[noreturn]] void fail(const std::string& sentence) { throw error(error_code::malformed, "[multipart] " + sentence); }

// memmem is the fastest (10 GB/s); Windows does not have it.
std::size_t find(std::string_view in, std::string_view what, std::size_t from) {
#if defined(_WIN32)
  const auto at = std::search(in.begin() + static_cast<std::ptrdiff_t>(from), in.end(),
                              std::boyer_moore_horspool_searcher(what.begin(), what.end()));
  return at == in.end() ? in.npos : static_cast<std::size_t>(at - in.begin());
#else
  const void* const at = ::memmem(in.data() + from, in.size() - from, what.data(), what.size());
  return at == nullptr ? in.npos : static_cast<std::size_t>(static_cast<const char*>(at) - in.data());
#endif
}

// Whether a delimiter ends where `rest` begins: what follows is "--", or blanks and the line's end. Else the boundary is
// only the beginning of other text.
bool ends_delimiter(std::string_view rest) {
  if (rest.starts_with("--")) return true;
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  return rest.starts_with("\r\n");
}

}  // namespace

multipart_reader::multipart_reader(std::string_view body, std::string_view boundary)
    : delimiter_(fmt::format("\r\n--{}", boundary)), rest_(body) {
  // The first delimiter may open the body, or follow a preamble, which is ignored.
  const auto first = std::string_view(delimiter_).substr(2);
  if (rest_.starts_with(first) && ends_delimiter(rest_.substr(first.size())))
    rest_.remove_prefix(first.size());
  else if (!take_until_delimiter())
    fail(fmt::format("the body has no line --{}", shown(boundary)));
}

// The text up to the next delimiter; rest_ moves behind it.
std::optional<std::string_view> multipart_reader::take_until_delimiter() {
  for (std::size_t at = 0; (at = find(rest_, delimiter_, at)) != rest_.npos; at += delimiter_.size()) {
    const auto behind = rest_.substr(at + delimiter_.size());
    if (!ends_delimiter(behind)) continue;
    const auto before = rest_.substr(0, at);
    rest_ = behind;
    return before;
  }
  return std::nullopt;
}

std::optional<multipart_reader::part> multipart_reader::next() {
  if (rest_.starts_with("--")) return std::nullopt;
  ++part_;
  const auto head = rest_.substr(0, head_limit);
  const auto end = head.find("\r\n\r\n");
  if (end == head.npos) fail(fmt::format("part {} has no blank line in its first {} bytes", part_, head.size()));
  part p;
  for (auto lines = head.substr(0, end); !lines.empty();) {
    const auto line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(lines.size(), line.size() + 2));
    const auto colon = std::min(line.find(':'), line.size());
    const auto value = line.substr(std::min(colon + 1, line.size()));
    if (same_ignoring_case(line.substr(0, colon), "Content-Disposition"))
      p.name = parameter_of(value, "name").value_or("");
    else if (same_ignoring_case(line.substr(0, colon), "Content-Type"))
      p.content_type = value;
  }
  if (p.name.empty()) fail(fmt::format("part {} has no Content-Disposition with a name", part_));
  rest_.remove_prefix(end + 2);  // a delimiter may begin with the blank line: then the part is empty
  p.rest = rest_.substr(2);
  return p;
}

std::string_view multipart_reader::bytes_of(const part& p, std::size_t expected) {
  if (expected < p.rest.size() && p.rest.substr(expected).starts_with(delimiter_)) {
    const auto behind = p.rest.substr(expected + delimiter_.size());
    if (ends_delimiter(behind)) {
      rest_ = behind;
      return p.rest.substr(0, expected);
    }
  }
  const auto bytes = take_until_delimiter();
  if (!bytes) fail(fmt::format("the part {} does not end with a delimiter", json_string(shown(p.name))));
  return bytes->substr(std::min(bytes->size(), std::size_t{2}));
}

}  // namespace sluice::serving
