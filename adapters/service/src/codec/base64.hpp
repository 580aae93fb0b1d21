// Base64 (RFC 4648, section 4): bytes as text.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::serving {

// The bytes that `text` stands for; nothing where its length is none of base64's.
std::optional<std::size_t> base64_size(std::string_view text) noexcept;
// Writes them to `out`, which has that size. The place of the first character that is wrong; npos: none is.
std::size_t base64_decode(std::string_view text, std::span<char> out) noexcept;

void append_base64(std::string& to, std::string_view bytes);

}  // namespace sluice::serving
