// JSON and Prometheus text by hand: answers are small but for their numbers, which encode.cpp prints.
#pragma once

#include <string>
#include <string_view>

namespace sluice::serving {

// `text` as a JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD, one a byte.
std::string json_string(std::string_view text);

// At most `length` bytes of something a client sent, for a message; "..." shows a cut, '?' a control character (a zero byte
// would end the message).
std::string shown(std::string_view text, std::size_t length = 40);

// For names that HTTP writes in any case.
bool same_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace sluice::serving
