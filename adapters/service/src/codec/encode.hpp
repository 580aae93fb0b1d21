// Results to bodies.
#pragma once

#include "codec/media_type.hpp"
#include "sluice/service.hpp"

namespace sluice::serving {

// `results`, on the CPU, as `row` names them. Throws http_error: 422 where a number has no JSON, or .npy no type for it.
std::vector<body_piece> encode_json(const endpoint& row, const std::vector<tensor>& results, std::string_view device);
std::vector<body_piece> encode_npy(const tensor& result);

// A contiguous tensor's numbers as one list. Throws http_error: 422 for NaN and infinities, and for half-precision floats.
std::vector<body_piece> print_flat(const tensor& t, const std::string& name);

// A tensor in parts: `elements` from number `first` on, in row-major order, with the brackets and commas that are theirs.
body_piece print_part(const shape& extents, dtype type, std::int64_t first, std::string_view elements);

// "shape":[2,3],"dtype":"f32"
std::string json_form(const shape& extents, dtype type);

// Short answers go out in one piece.
void join_small(std::vector<body_piece>& pieces);

}  // namespace sluice::serving
