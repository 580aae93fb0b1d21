// What an op's descriptor says of operands, with the defaults of an elementwise op.
#pragma once

#include <cstring>

#include <fmt/format.h>

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

// "a is f32 (2, 3), b is f32 (4, 5)"
inline std::string spec_text(const op_descriptor& op, std::span<const operand_spec> in) {
  std::string text;
  for (std::size_t i = 0; i < in.size(); ++i)
    text += fmt::format("{}{} is {} {}", i == 0 ? "" : ", ", op.inputs[i].name, name_of(in[i].dtype), in[i].shape.str());
  return text;
}

inline void check_input(const op_descriptor& op, const op_field& f, std::span<const operand_spec> in,
                        const operand_spec& o) {
  const auto refuse = [&](const std::string& rule) {
    return error(error_code::invalid_argument, fmt::format("[{}] {}: {}", op.name, spec_text(op, in), rule));
  };
  if (std::find(f.dtypes.begin(), f.dtypes.end(), o.dtype) == f.dtypes.end()) {
    std::string taken;
    for (const auto t : f.dtypes) taken += fmt::format("{}{}", taken.empty() ? "" : ", ", name_of(t));
    throw refuse(fmt::format("{} must be of {}", f.name, taken));
  }
  if (o.shape.rank() < f.min_rank || o.shape.rank() > f.max_rank)
    throw refuse(fmt::format("{} must have {} to {} dimensions", f.name, f.min_rank, f.max_rank));
  if (o.shape != in[0].shape) throw refuse("the shapes must be equal");
}

}  // namespace ops

SLUICE_FUNC operand_spec result_of(const op_descriptor& op, std::span<const operand_spec> in, const op_options& options) {
  if (in.size() != op.inputs.size())
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} operands are given, and it takes {}", op.name, in.size(), op.inputs.size()));
  if (op.check != nullptr) return op.check(in, options);
  for (std::size_t i = 0; i < in.size(); ++i) ops::check_input(op, op.inputs[i], in, in[i]);
  return {op.result_dtype != nullptr ? op.result_dtype(in[0].dtype) : in[0].dtype, in[0].shape};
}

SLUICE_FUNC const op_precision* precision_of(const op_descriptor& op, const op_options& options) noexcept {
  if (op.precisions.empty()) return nullptr;
  if (options.data == nullptr) return &op.precisions.front();
  for (const auto& p : op.precisions)
    if (p.options.size == options.size && std::memcmp(p.options.data, options.data, options.size) == 0) return &p;
  return nullptr;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
