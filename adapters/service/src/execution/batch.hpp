// Calls as one: which may join, how many of those that wait do, and how inputs become those of a batch and results those of
// each call.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "execution/call.hpp"

namespace sluice::serving {

// Rows of a call, those of a batch, and parts of calls: calls themselves where the rule stacks them.
struct call_part {
  call* of;
  std::int64_t begin, end;

  [[nodiscard]] std::int64_t rows() const { return end - begin; }
};

// What calls that are to be one have in common.
const void* kind_of(const endpoint& row);
// The same where calls on the CPU join; else null.
const void* kind_on_cpu(const endpoint& row);

// How many rows a call has in a batch; 0: it does not join others.
std::int64_t rows_to_join(const call& c);
// Whether a call is to be run in several parts.
bool is_split(const endpoint& row, std::int64_t rows);
// Whether the inputs of both, which have rows to join, can be joined.
bool are_alike(const call& a, const call& b);

// What waits, in its order.
struct waiting_part {
  std::int64_t rows, result_bytes;
  std::chrono::steady_clock::time_point deadline;
  bool may_split;
};
struct batch_terms {
  const gather_rule& rule;
  const device& where;
  std::int64_t result_bytes;                                       // of a batch at most
  std::int64_t enough = std::numeric_limits<std::int64_t>::max();  // parts: no more join
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
};
// The rows at the front of what waits that run as one: see gather_rule::seconds. At least the first part's, or as many of
// them as a batch may have.
std::int64_t rows_of_batch(std::span<const waiting_part> waiting, const batch_terms& terms);
// Whether those that wait and `more` parts like them would run at more rows a second than they do now, by enough to wait for
// them until they are decoded, and would still be in time.
bool is_worth_waiting(std::span<const waiting_part> waiting, int more, const batch_terms& terms);

// Runs the endpoint once for all parts: the results of each, on the CPU, in memory of their own.
std::vector<std::vector<tensor>> compute_joint(std::span<const call_part> parts, const decision& decided);
// Runs the endpoint for one call, split where it has more rows than a batch. The results may be on any device.
std::vector<tensor> run_alone(call& c);
// One tensor of each output, on the CPU, of those of consecutive rows.
std::vector<tensor> concatenated(std::span<const std::vector<tensor>> parts);

}  // namespace sluice::serving
