// Media types as HTTP's headers write them: parameters, and weights of Accept.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sluice/config.hpp"

namespace sluice::serving {

// What stands before the parameters of a header's value, in lower case: "multipart/form-data".
std::string main_value(std::string_view header_value);

// The value of the parameter called `name` (any case), without its quotes; nothing where there is none. Quoted values may
// hold
// ';' and escapes.
std::optional<std::string> parameter_of(std::string_view header_value, std::string_view name);

// Whether a body with this Content-Type is JSON; without any it is.
SLUICE_API bool is_json(std::string_view content_type);

// each(name, weight) for the items of a header such as Accept-Encoding: "gzip;q=0.5, *".
void each_weighted(std::string_view list, const std::function<void(std::string_view name, double weight)>& each);

// The weight that an Accept header gives a type, 0 to 1; the most specific item that fits counts. An empty header takes all.
double accepted_weight(std::string_view accept, std::string_view type);

// Which of `types` Accept gives the greatest weight: `usual` where several have it, else the first of them. Throws
// http_error (406) when it takes none.
std::size_t accepted_type(std::string_view accept, std::span<const std::string_view> types, std::size_t usual);

}  // namespace sluice::serving
