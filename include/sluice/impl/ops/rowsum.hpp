// rowsum: its checks, its cost and its call of the backend.
#pragma once

#include <algorithm>

#include <fmt/format.h>

#include "sluice/impl/ops/run.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

// The dtypes that sums of `of` may be rounded to.
inline std::span<const dtype> rowsum_dtypes(dtype of) noexcept {
  static constexpr dtype all[] = {dtype::i64, dtype::f64, dtype::f32, dtype::f16, dtype::bf16};
  return std::span(all).subspan(is_floating(of) ? 1 : 0);
}

// The dtype of the result; throws invalid_argument, with those that there are, for another one.
inline dtype rowsum_result_dtype(dtype of, const rowsum_options& options) {
  const dtype to = options.dtype.value_or(rowsum_dtype(of));
  const auto possible = rowsum_dtypes(of);
  if (std::find(possible.begin(), possible.end(), to) != possible.end()) return to;
  std::string names;
  for (const auto t : possible) names += fmt::format("{}{}", names.empty() ? "" : ", ", name_of(t));
  throw error(error_code::invalid_argument,
              fmt::format("[rowsum] sums of {} are rounded to one of {}, not to {}", name_of(of), names, name_of(to)));
}

inline operand_spec check_rowsum(std::span<const operand_spec> in, const op_options& options) {
  const operand_spec& a = in[0];
  if (a.shape.rank() < 1) throw error(error_code::invalid_argument, "[rowsum] a is (): it must have one dimension at least");
  return {rowsum_result_dtype(a.dtype, options.value_or(rowsum_options{})), a.shape.first(a.shape.rank() - 1)};
}

inline op_options rowsum_options_for(dtype result) noexcept {
  static constexpr rowsum_options all[] = {{dtype::f64}, {dtype::f32}, {dtype::f16}, {dtype::bf16},
                                           {dtype::i64}, {dtype::i32}, {dtype::u8}};
  return *std::find_if(std::begin(all), std::end(all) - 1, [&](const rowsum_options& o) { return o.dtype == result; });
}

inline op_cost cost_of_rowsum(std::span<const operand_spec> in, const operand_spec&) {
  return {.flops = static_cast<double>(in[0].shape.count())};
}

inline void rowsum_batches(core::launch& l, const tensor& a, const tensor& out) {
  const int n = a.rank() - 1;
  std::int64_t sa = 0;
  std::int64_t so = 1;
  if (!merge_leading(a, n, sa) || !merge_leading(out, n, so)) {
    for (std::int64_t i = 0; i < out.extent(0); ++i) rowsum_batches(l, a[i], out[i]);
    return;
  }
  const std::int64_t rows = out.count();
  const auto x = merged_array(a, n, rows, sa);
  const auto y = merged_array(out, n, rows, so);
  l.check(l.table().rowsum(l.index(), l.queue(), &x, &y, l.message()));
}

inline void sum_rows(const tensor& a, const tensor& out) {
  core::launch l(out.device(), "rowsum", {core::storage_of(a)}, {core::storage_of(out)});
  l.require(l.table().rowsum);
  rowsum_batches(l, a, out);
  l.finish();
}

// Backends give sums of the usual dtype, and unrounded ones. Their conversion rounds the latter to any other dtype.
inline void run_rowsum(const operands& in, tensor& out, const op_options&) {
  const tensor& a = in[0];
  const dtype unrounded = unrounded_rowsum_dtype(a.dtype());
  if (out.dtype() == rowsum_dtype(a.dtype()) || out.dtype() == unrounded) return sum_rows(a, out);
  const tensor sums(out.shape(), unrounded, out.device());
  sum_rows(a, sums);
  out.assign(sums);
}

}  // namespace ops

SLUICE_FUNC const op_descriptor& rowsum_op() noexcept {
  static constexpr dtype taken[] = {dtype::f32, dtype::f64, dtype::i64, dtype::i32, dtype::u8, dtype::f16, dtype::bf16};
  static constexpr dtype given[] = {dtype::f32, dtype::f64, dtype::i64, dtype::f16, dtype::bf16};
  static constexpr op_field inputs[] = {
      {.name = "a", .dtypes = taken, .min_rank = 1, .summary = "(..., columns)", .usual_rank = 2}};
  static constexpr op_descriptor op{.name = "rowsum",
                                    .summary = "The sum of every row, bit for bit the same on every device",
                                    .inputs = inputs,
                                    .result = {.name = "result", .dtypes = given, .summary = "(...)"},
                                    .result_dtype = rowsum_dtype,
                                    .check = ops::check_rowsum,
                                    .cost = ops::cost_of_rowsum,
                                    .model = time_model::row_length,
                                    .run = ops::run_rowsum,
                                    .options_for = ops::rowsum_options_for};
  return op;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
