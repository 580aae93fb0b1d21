// Results to inference answers: a JSON object, and the tensors that stand behind it in binary.
#pragma once

#include "kserve/infer_in.hpp"

namespace sluice::serving {

// `results`, on the CPU, are those of the model's row. Throws http_error where a number has no JSON.
response encode_inference(const model& m, const infer_request& asked, const std::vector<tensor>& results,
                          const placed_call& where);

// "gzip" or "deflate" where that alone is what a client accepts, else nothing. A list of codings is what HTTP libraries send
// unasked, and at zlib's speed an answer would take longer than without.
std::string_view wanted_encoding(std::string_view accept_encoding);

// `answer` in the coding that the request asks for, if its transport has one.
void compress(response& answer, const request& r);

}  // namespace sluice::serving
