// How large results may be, by their dtypes and shapes: checked before there is memory for them.
#pragma once

#include <span>
#include <vector>

#include "sluice/service.hpp"

namespace sluice::serving {

// Throws error (limit_exceeded) beyond limits.elements for one result, or limits.result_bytes for all of them.
void check_results(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits);
// The same for what `run` returned, which is not what is answered where the endpoint has a `finish`.
void check_run_results(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits);
// Throws error (limit_exceeded) beyond limits.elements for one input that `prepare` made.
void check_prepared(const endpoint& row, std::span<const tensor> inputs, const service_limits& limits);
// The same for results of which only the bytes are known.
void check_estimate(const endpoint& row, const work& cost, const service_limits& limits);

std::vector<operand_spec> specs_of(std::span<const tensor> all);
// Of all of them; 2^63 - 1 where they do not fit in it.
std::int64_t bytes_of(std::span<const operand_spec> all);

}  // namespace sluice::serving
