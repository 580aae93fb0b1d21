// The dtype that a request asks its results to have: ?result_dtype=f64.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "sluice/service/endpoint.hpp"

namespace sluice::serving {

// Throws error (invalid_argument) for what is no dtype, http_error (400) as parse_query().
std::optional<dtype> result_dtype_in(std::string_view query);

// `row`, or that with the dtype of results that the query asks for. Throws the same, and error (invalid_argument) where
// `row` has no choice of them.
std::shared_ptr<const endpoint> row_for(const std::shared_ptr<const endpoint>& row, std::string_view query);

}  // namespace sluice::serving
