// Bodies of .npy to tensors: one alone, or several as parts of multipart/form-data.
#pragma once

#include "codec/body_buffer.hpp"

namespace sluice::serving {

// The one input of `row`, laid over the body's memory. Throws error: malformed, limit_exceeded; refused 422 for an element
// type that this library has not.
std::vector<tensor> decode_npy_body(const body_buffer& body, const service_limits& limits);

// The inputs of `row`, in its order, from parts named after them.
std::vector<tensor> decode_multipart(const body_buffer& body, const std::string& boundary, const endpoint& row,
                                     const service_limits& limits);

}  // namespace sluice::serving
