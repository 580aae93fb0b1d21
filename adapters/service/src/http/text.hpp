// Text of answers and messages. Answers are small except for their numbers, which print_lists.cpp prints.
#pragma once

#include <string>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice::serving {

// `text` as a JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD, one a byte.
SLUICE_API std::string json_string(std::string_view text);
// The same, appended to `out`.
SLUICE_API void append_json_string(std::string& out, std::string_view text);

// At most `length` bytes of a client's text, for a message: "..." marks a cut, '?' replaces a control character (a zero byte
// would end the message).
SLUICE_API std::string shown(std::string_view text, std::size_t length = 40);

// For names that HTTP writes in any case.
SLUICE_API bool same_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace sluice::serving
