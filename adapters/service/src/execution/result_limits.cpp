#include "execution/result_limits.hpp"

#include <limits>

#include <fmt/format.h>

namespace sluice::serving {
namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();

std::int64_t bytes_of(const operand_spec& s) {
  std::int64_t bytes = 0;
  return __builtin_mul_overflow(s.shape.count(), static_cast<std::int64_t>(size_of(s.dtype)), &bytes) ? largest : bytes;
}

// "result f32 (2, 3)"
std::string text_of(const endpoint& row, std::span<const operand_spec> all) {
  std::string text;
  for (std::size_t i = 0; i < all.size(); ++i)
    text += fmt::format("{}{} {} {}", i == 0 ? "" : ", ", i < row.outputs.size() ? row.outputs[i].name : "result",
                        name_of(all[i].dtype), all[i].shape.str());
  return text;
}

void check_sizes(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits) {
  for (const auto& s : results)
    if (s.shape.count() > limits.elements)
      throw error(
          error_code::limit_exceeded,
          fmt::format("[{}] {} has {} elements, {} bytes: a result has at most {} elements, and all of a call {} bytes",
                      row.name, text_of(row, results), s.shape.count(), bytes_of(s), limits.elements, limits.result_bytes));
  if (const auto bytes = serving::bytes_of(results); bytes > limits.result_bytes)
    throw error(error_code::limit_exceeded, fmt::format("[{}] {} has {} bytes: the results of a call have at most {}",
                                                        row.name, text_of(row, results), bytes, limits.result_bytes));
}

}  // namespace

std::int64_t bytes_of(std::span<const operand_spec> all) {
  std::int64_t sum = 0;
  for (const auto& s : all)
    if (__builtin_add_overflow(sum, bytes_of(s), &sum)) return largest;
  return sum;
}

void check_results(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits) {
  if (results.size() != row.outputs.size())
    throw error(error_code::internal,
                fmt::format("[{}] returned {} results: it must return {}", row.name, results.size(), row.outputs.size()));
  check_sizes(row, results, limits);
}

void check_run_results(const endpoint& row, std::span<const operand_spec> results, const service_limits& limits) {
  if (!row.finish) return check_results(row, results, limits);
  if (results.empty()) throw error(error_code::internal, fmt::format("[{}] run returned no results", row.name));
  check_sizes(row, results, limits);
}

void check_prepared(const endpoint& row, std::span<const tensor> inputs, const service_limits& limits) {
  for (const auto& t : inputs)
    if (t.count() > limits.elements)
      throw error(error_code::limit_exceeded,
                  fmt::format("[{}] the input becomes {} {}, of {} elements: at most {} are taken", row.name,
                              name_of(t.dtype()), t.shape().str(), t.count(), limits.elements));
}

void check_estimate(const endpoint& row, const work& cost, const service_limits& limits) {
  if (cost.result_bytes > limits.result_bytes)
    throw error(error_code::limit_exceeded,
                fmt::format("[{}] the results have {} bytes by the endpoint's estimate: those of a call have at most {}",
                            row.name, cost.result_bytes, limits.result_bytes));
}

std::vector<operand_spec> specs_of(std::span<const tensor> all) {
  std::vector<operand_spec> specs;
  specs.reserve(all.size());
  for (const auto& t : all) specs.push_back({t.dtype(), t.shape(), t.device(), false});
  return specs;
}

}  // namespace sluice::serving
