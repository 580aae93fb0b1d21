// Outputs as records, a JSON object for each place in them: endpoint::records.
#pragma once

#include <span>

#include "codec/print_lists.hpp"

namespace sluice::serving {

// [{"label":"tabby","probability":0.83},...] for results of rank 1, and lists of such for those of rank 2; they are on the
// CPU, as `row` names them. Throws error (internal) where their shapes differ or are of another rank, http_error (422) for
// numbers that are refused.
body_piece print_records(const endpoint& row, std::span<const tensor> results, nonfinite numbers,
                         std::string_view otherwise);

// Memory that print_records takes at most. Throws error (limit_exceeded) as lists_bytes does.
std::int64_t records_bytes(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits);

}  // namespace sluice::serving
