// Results to bodies.
#pragma once

#include "media.hpp"
#include "sluice/service.hpp"

namespace sluice::http {

// `results`, on the CPU, as `row` names them. Throws refused: 422 where a number has no JSON, or .npy no type for it.
std::vector<body_piece> encode_json(const endpoint& row, const std::vector<tensor>& results, std::string_view device);
std::vector<body_piece> encode_npy(const tensor& result);

}  // namespace sluice::http
