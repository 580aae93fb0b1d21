#include "codec/base64.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice::serving {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t wrong = 1u << 31;

constexpr auto values = [] {
  std::array<std::uint32_t, 256> all{};
  all.fill(wrong);
  for (std::uint32_t i = 0; i < alphabet.size(); ++i) all[static_cast<unsigned char>(alphabet[i])] = i;
  return all;
}();

std::uint32_t value_of(char c) noexcept { return values[static_cast<unsigned char>(c)]; }

std::size_t padding_of(std::string_view text) noexcept { return text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0; }

}  // namespace

std::optional<std::size_t> base64_size(std::string_view text) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  return text.size() / 4 * 3 - padding_of(text);
}

std::size_t base64_decode(std::string_view text, std::span<char> out) noexcept {
  const auto letters = text.substr(0, text.size() - padding_of(text));
  const auto fail_in = [&](std::size_t from) {
    const auto at = std::find_if(letters.begin() + static_cast<std::ptrdiff_t>(from), letters.end(),
                                 [](char c) { return value_of(c) == wrong; });
    return static_cast<std::size_t>(at - letters.begin());
  };
  std::size_t to = 0, i = 0;
  for (; i + 4 <= letters.size(); i += 4, to += 3) {
    const auto bits = value_of(letters[i]) << 18 | value_of(letters[i + 1]) << 12 | value_of(letters[i + 2]) << 6 |
                      value_of(letters[i + 3]);
    const auto any = value_of(letters[i]) | value_of(letters[i + 1]) | value_of(letters[i + 2]) | value_of(letters[i + 3]);
    if ((any & wrong) != 0) return fail_in(i);
    out[to] = static_cast<char>(bits >> 16);
    out[to + 1] = static_cast<char>(bits >> 8);
    out[to + 2] = static_cast<char>(bits);
  }
  if (fail_in(i) != letters.size()) return fail_in(i);
  std::uint32_t bits = 0;
  const auto rest = letters.size() - i;
  for (; i < letters.size(); ++i) bits = bits << 6 | value_of(letters[i]);
  if (rest == 2) out[to] = static_cast<char>(bits >> 4);
  if (rest == 3) {
    out[to] = static_cast<char>(bits >> 10);
    out[to + 1] = static_cast<char>(bits >> 2);
  }
  return std::string_view::npos;
}

void append_base64(std::string& to, std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
  auto at = to.size();
  to.resize(at + (bytes.size() + 2) / 3 * 4, '=');
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const auto bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (const auto shift : {18u, 12u, 6u, 0u}) to[at++] = alphabet[bits >> shift & 63u];
  }
  if (i == bytes.size()) return;
  const bool two = i + 2 == bytes.size();
  const auto bits = byte(i) << 16 | (two ? byte(i + 1) << 8 : 0u);
  to[at++] = alphabet[bits >> 18];
  to[at++] = alphabet[bits >> 12 & 63u];
  if (two) to[at] = alphabet[bits >> 6 & 63u];
}

}  // namespace sluice::serving
