#include "codec/picture_text.hpp"

#include <fmt/format.h>

#include "codec/base64.hpp"
#include "codec/codec_registry.hpp"
#include "http/text.hpp"

namespace sluice::serving {
namespace {

// What follows "data:image/png;base64,", as browsers write files in text.
std::string_view without_prefix(std::string_view text) {
  constexpr std::string_view mark = ";base64,";
  constexpr std::size_t longest = 128;
  if (!text.starts_with("data:")) return text;
  const auto at = text.substr(0, longest).find(mark);
  return at == text.npos ? text : text.substr(at + mark.size());
}

}  // namespace

tensor picture_in(std::string_view text, const field& input, const decode_context& c) {
  const auto fail = [&](const std::string& rule) {
    throw error(error_code::malformed, fmt::format("[base64] {} has {} characters: {}", input.name, text.size(), rule));
  };
  text = without_prefix(text);
  const auto size = base64_size(text);
  if (!size) fail("no multiple of 4; it is padded with '='");
  codec* by = nullptr;
  const auto file = body_buffer::filled(*size, host_allocator(device::cpu), [&](std::span<char> out) {
    if (const auto at = base64_decode(text, out); at != text.npos)
      fail(fmt::format("character {} is {}", at, json_string(shown(text.substr(at, 1)))));
    by = c.codecs.for_picture({out.data(), out.size()});
  });
  if (by == nullptr)
    throw error(error_code::unsupported,
                fmt::format("[{}] {} is a string: this server reads no image files, send numbers", c.endpoint, input.name));
  c.as_text = true;
  return by->decode({file, {file.data(), file.size()}, {}, input.name}, {&input, 1}, c).at(0);
}

std::string picture_text(const endpoint& row, const std::vector<tensor>& results, const encode_context& c,
                         std::string_view& media_type) {
  codec* const by = c.codecs.for_picture({});
  media_type = by->media_type();
  std::string bytes, text = "\"";
  for (const auto& piece : by->encode(row, results, c)) bytes += piece.bytes;
  append_base64(text, bytes);
  return text += '"';
}

}  // namespace sluice::serving
