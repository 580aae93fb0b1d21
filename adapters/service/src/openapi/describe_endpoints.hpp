// The catalogue's rows in the service's document.
#pragma once

#include "execution/endpoint_registry.hpp"
#include "openapi/document.hpp"

namespace sluice::serving {

// Schemas that those of rows refer to.
void describe_numbers(document& d);

// POST /v1/NAME.
operation describe_call(document& d, const endpoint& row, const service_limits& limits);

// `["f32","f64"]`
std::string json_list(const std::vector<std::string>& names);

// Lists of numbers nested as deep as `f` takes them, and what is small of the kind: [[1,2],[3,4]].
std::string numbers_schema(const field& f, int deepest);
std::string numbers_example(const field& f, int deepest);
int usual_rank(const field& f, int deepest);

}  // namespace sluice::serving
