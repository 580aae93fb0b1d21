// The part of a target behind '?': name=value pairs, percent-encoded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/config.hpp"

namespace sluice::serving {

// Names and values, decoded, in their order. Throws http_error (400): a name that is there twice, a '%' without two digits.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

// The value of `name`, if it is there. Throws the same.
SLUICE_API std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace sluice::serving
