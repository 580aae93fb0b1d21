// The quick way through a JSON body: keys as they stand in the catalogue, plain nested lists of numbers, nothing unusual.
#pragma once

#include <optional>
#include <vector>

#include "codec/body_buffer.hpp"

namespace sluice::serving {

// The dtype to read `input` as, where the body asks for `wanted`, or for none; nothing when there is no such.
std::optional<dtype> json_dtype(const field& input, const std::optional<std::string_view>& wanted);

// The inputs of `row`, in its order; or nothing, when the body is wrong or needs more care: whoever asks has another parser
// for it, whose word then holds. Large lists are read by all cores. Never throws but for want of memory.
std::optional<std::vector<tensor>> read_plain_lists(const body_buffer& body, const endpoint& row,
                                                    const service_limits& limits, const host_allocator& room);

}  // namespace sluice::serving
