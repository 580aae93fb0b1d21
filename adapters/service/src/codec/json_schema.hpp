// JSON Schema of bodies in JSON: lists of numbers, requests and answers of an endpoint.
#pragma once

#include <optional>

#include "codec/json_writer.hpp"
#include "openapi/document.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

// The schemas that those below refer to.
void describe_numbers(document& d);

// Nested lists of numbers of the ranks or extents that `f` takes, `deepest` levels at most.
json_value numbers_schema(const field& f, int deepest);
// A small example, [[1,2],[3,4]], and its shape; nothing where the extents make it a large one.
std::optional<json_value> numbers_example(const field& f, int deepest);
std::vector<std::int64_t> example_shape(const field& f, int deepest);

// An object with `properties`, of which those in `required` are always there; it has no others.
json_value object_schema(const std::vector<std::string>& required, const json_members& properties);
std::vector<std::string> names_of(const std::vector<field>& fields);

// Nothing where an input has no dtype that JSON can express.
std::optional<content> json_request(document& d, const endpoint& row, int deepest);
content json_answer(document& d, const endpoint& row);

}  // namespace sluice::serving
