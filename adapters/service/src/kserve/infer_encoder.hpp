// Results to inference answers: a JSON object, followed by the tensors in binary.
#pragma once

#include "codec/encoded_size.hpp"
#include "codec/print_lists.hpp"
#include "execution/answer_budget.hpp"
#include "execution/call.hpp"
#include "kserve/infer_decoder.hpp"

namespace sluice::serving {

// `done.results`, on the CPU, are those of the model's row. Throws http_error where a number has no JSON.
response encode_inference(const model& m, const infer_request& asked, const call_result& done, const encode_context& c);

// What such an answer holds in memory.
encoded_size inference_size(const model& m, const infer_request& asked, std::span<const operand_spec> results,
                            const service_limits& limits);

// `answer` in the coding that the request asks for, if its transport has one and `memory` can grow by as much. For a client
// that lists others too, text alone: numbers in binary gain little, and zlib would delay them much.
void compress(response& answer, const request& r, answer_share& memory);

}  // namespace sluice::serving
