// Fast path through a JSON body: keys as the endpoint names them, and plain nested lists of numbers.
#pragma once

#include <optional>
#include <vector>

#include "codec/body_buffer.hpp"
#include "codec/call_options.hpp"

namespace sluice::serving {

// The dtype to read `input` as, where the body names `wanted` or none; nothing where the input does not take it.
std::optional<dtype> json_dtype(const field& input, const std::optional<std::string_view>& wanted);

// `inputs`, in their order; nothing where the body is wrong or unusual: the general parser then reads it, and reports
// errors. All cores read large lists. Throws when memory runs out, and what options.ask() throws.
std::optional<std::vector<tensor>> read_plain_lists(const body_buffer& body, std::span<const field> inputs,
                                                    const service_limits& limits, const host_allocator& memory,
                                                    asked_options& options);

// A list in `text`, whose nesting tells the shape; nothing where it is wrong or unusual.
std::optional<tensor> read_plain_list(std::string_view text, dtype type, const service_limits& limits,
                                      const host_allocator& memory);

}  // namespace sluice::serving
