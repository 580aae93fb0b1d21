// matmul: its checks, its cost and its call of the backend.
#pragma once

#include <fmt/format.h>

#include "sluice/impl/ops/run.hpp"
#include "sluice/ops/matmul.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

inline shape broadcast_leading(const shape& a, const shape& b) {
  const int ra = a.rank() - 2;
  const int rb = b.rank() - 2;
  const int rank = std::max(ra, rb);
  shape batch;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t ea = i < rank - ra ? 1 : a[i - (rank - ra)];
    const std::int64_t eb = i < rank - rb ? 1 : b[i - (rank - rb)];
    if (ea != eb && ea != 1 && eb != 1)
      throw error(
          error_code::invalid_argument,
          fmt::format("[matmul] a is {}, b is {}: leading extents {} and {} do not broadcast", a.str(), b.str(), ea, eb));
    batch = batch.with(ea == 1 ? eb : ea);
  }
  return batch;
}

inline operand_spec check_matmul(std::span<const operand_spec> in, const op_options&) {
  const operand_spec& a = in[0];
  const operand_spec& b = in[1];
  const auto refuse = [&](const std::string& rule) {
    return error(error_code::invalid_argument, fmt::format("[matmul] a is {} {}, b is {} {}: {}", name_of(a.dtype),
                                                           a.shape.str(), name_of(b.dtype), b.shape.str(), rule));
  };
  if (a.shape.rank() < 2 || b.shape.rank() < 2) throw refuse("both must have two dimensions at least");
  if (a.dtype != b.dtype) throw refuse("the dtypes must be the same");
  if (!is_floating(a.dtype)) throw refuse("the dtype must be f64, f32, f16 or bf16");
  if (a.shape.back() != b.shape.back(1))
    throw refuse(fmt::format("a.extent({}) must equal b.extent({})", a.shape.rank() - 1, b.shape.rank() - 2));
  if (a.shape.rank() == 2 && b.shape.rank() == 2) return {a.dtype, {a.shape[0], b.shape[1]}};
  return {a.dtype, broadcast_leading(a.shape, b.shape).with(a.shape.back(1)).with(b.shape.back())};
}

inline op_cost cost_of_matmul(std::span<const operand_spec> in, const operand_spec& out) {
  return {.flops = 2.0 * static_cast<double>(out.shape.count()) * static_cast<double>(in[0].shape.back())};
}

// Square products of size n, or 8 rows times a square matrix.
inline void calibrate_matmul(shape_class shapes, std::int64_t n, dtype type, std::span<operand_spec> in) {
  in[0] = {type, {shapes == shape_class::square ? n : 8, n}};
  in[1] = {type, {n, n}};
}

// On a CPU `fast` is `strict`, and so is `tensor_core` but for bf16, where the processor may have a unit for it; on other
// devices `tensor_core` of f64 is `fast`. As numbered in the descriptor.
inline std::size_t matmul_computed_as(std::size_t i, dtype type, const device& where) {
  constexpr std::size_t strict = 0, fast = 1, tensor_core = 2;
  if (i != tensor_core) return where.is_cpu() ? strict : i;
  if (where.is_cpu()) return type == dtype::bf16 ? tensor_core : strict;
  return type == dtype::f64 ? fast : tensor_core;
}

inline void matmul_batches(core::launch& l, const tensor& a, const tensor& b, const tensor& out, precision p) {
  const int n = out.rank() - 2;
  std::int64_t sa = 0;
  std::int64_t sb = 0;
  if (!merge_leading(a, n, sa) || !merge_leading(b, n, sb)) {
    for (std::int64_t i = 0; i < out.extent(0); ++i) matmul_batches(l, a[i], b[i], out[i], p);
    return;
  }
  const std::int64_t batch = out.shape().first(n).count();
  const auto x = merged_array(a, n, batch, sa);
  const auto y = merged_array(b, n, batch, sb);
  const auto z = merged_array(out, n, batch, checked_product(out.extent(n), out.extent(n + 1)));
  l.check(l.table().matmul(l.index(), l.queue(), &x, &y, &z, static_cast<std::int32_t>(p), l.message()));
}

inline void run_matmul(const operands& in, tensor& out, const op_options& options) {
  const tensor& a = in[0];
  const tensor& b = in[1];
  core::launch l(out.device(), "matmul", {core::storage_of(a), core::storage_of(b)}, {core::storage_of(out)});
  l.require(l.table().matmul);
  const auto p = options.value_or(precision::strict);
  if (a.rank() == 2 && b.rank() == 2) {
    matmul_batches(l, a, b, out, p);
    return l.finish();
  }
  const shape batch = out.shape().first(out.rank() - 2);
  matmul_batches(l, a.broadcast_to(batch.with(a.shape().back(1)).with(a.shape().back())),
                 b.broadcast_to(batch.with(b.shape().back(1)).with(b.shape().back())), out, p);
  l.finish();
}

}  // namespace ops

SLUICE_FUNC const op_descriptor& matmul_op() noexcept {
  static constexpr dtype floats[] = {dtype::f32, dtype::f64, dtype::f16, dtype::bf16};
  static constexpr op_field inputs[] = {{.name = "a", .dtypes = floats, .min_rank = 2, .summary = "(..., m, k)"},
                                        {.name = "b", .dtypes = floats, .min_rank = 2, .summary = "(..., k, n)"}};
  static constexpr std::int64_t square[] = {8, 32, 128, 512, 1024, 2048};
  static constexpr std::int64_t skinny[] = {32, 256, 1024, 2048};
  static constexpr precision values[] = {precision::strict, precision::fast, precision::tensor_core};
  static constexpr op_precision precisions[] = {
      {"strict", "One order of additions: the same bits on every device", values[0]},
      {"fast", "Sums in any order, in f32 (f64 for f64), rounded once", values[1]},
      {"tensor_core", "As fast; f32 may be rounded to TF32, and bf16 may lose denormals", values[2]}};
  static constexpr op_descriptor op{.name = "matmul",
                                    .summary = "The product of two matrices, or of two batches of matrices",
                                    .inputs = inputs,
                                    .result = {.name = "result", .dtypes = floats, .min_rank = 2, .summary = "(..., m, n)"},
                                    .check = ops::check_matmul,
                                    .cost = ops::cost_of_matmul,
                                    .model = time_model::roofline,
                                    .square_sizes = square,
                                    .skinny_sizes = skinny,
                                    .calibration_operands = ops::calibrate_matmul,
                                    .run = ops::run_matmul,
                                    .precisions = precisions,
                                    .computed_as = ops::matmul_computed_as};
  return op;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
