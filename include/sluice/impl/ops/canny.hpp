// canny: its checks and its cost. Backends find it by its name.
#pragma once

#include <bit>

#include <fmt/format.h>

#include "sluice/backend_api.h"
#include "sluice/impl/base/canny.hpp"
#include "sluice/impl/base/nan.hpp"
#include "sluice/impl/ops/image.hpp"
#include "sluice/impl/ops/run.hpp"
#include "sluice/ops/canny.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

// By bits: with -ffast-math std::isfinite is always true.
inline bool is_finite(double x) noexcept {
  constexpr auto infinity = base::patterns<double>::infinity;
  return (std::bit_cast<std::uint64_t>(x) & infinity) != infinity;
}

inline constexpr auto usual_canny = base::usual_canny_options<sluice_canny_options>();

inline operand_spec check_canny(std::span<const operand_spec> in, const op_options& options) {
  const shape& s = in[0].shape;
  check_image("canny", in[0]);
  const auto refuse = [&](const std::string& rule) { return bad_image("canny", in[0], rule); };
  const auto o = options.value_or(usual_canny);
  if (!is_finite(o.low) || !is_finite(o.high))
    throw refuse(fmt::format("the thresholds are {} and {}, and must be finite", o.low, o.high));
  if (o.norm != 1 && o.norm != 2) throw refuse(fmt::format("the norm is {}, and must be 1 or 2", o.norm));
  return {dtype::u8, s.rank() == 2 ? s : s.first(s.rank() - 1)};
}

// A pixel takes about 20 operations a channel for its gradient, and 20 for the comparison with its neighbours.
inline op_cost cost_of_canny(std::span<const operand_spec> in, const operand_spec& out) {
  return {.flops = 20.0 * static_cast<double>(in[0].shape.count()) + 20.0 * static_cast<double>(out.shape.count())};
}

// Of the parameters low, high and norm.
inline op_options canny_options_of(std::span<const double> values, option_storage& to) {
  static_assert(sizeof(sluice_canny_options) <= sizeof to.bytes);
  return *new (to.bytes) sluice_canny_options{values[0], values[1], values[2] == 0 ? 1 : 2};
}

}  // namespace ops

SLUICE_FUNC tensor canny(const tensor& image, double low, double high, canny_options options, const device_request& where) {
  const sluice_canny_options all{low, high, static_cast<std::int32_t>(options.norm)};
  return apply(canny_op(), {image}, where, all);
}

SLUICE_FUNC const op_descriptor& canny_op() noexcept {
  static constexpr std::string_view norms[] = {"l1", "l2"};
  static constexpr op_parameter parameters[] = {
      {.name = "low",
       .summary = "Above it a pixel is an edge where it is connected to one above the high threshold",
       .usual = ops::usual_canny.low},
      {.name = "high", .summary = "Above it a pixel is an edge", .usual = ops::usual_canny.high},
      {.name = "norm", .summary = "Of a gradient: l1 is |dx| + |dy|, l2 is sqrt(dx^2 + dy^2)", .choices = norms}};
  static constexpr op_descriptor op{.name = "canny",
                                    .summary = "The edges of images by Canny's method, 255 on edges, else 0",
                                    .inputs = ops::image_inputs,
                                    .result = {.name = "result",
                                               .dtypes = ops::image_dtypes,
                                               .min_rank = 2,
                                               .summary = "(..., height, width)",
                                               .kind = field_kind::mask},
                                    .check = ops::check_canny,
                                    .cost = ops::cost_of_canny,
                                    .parameters = parameters,
                                    .options_of = ops::canny_options_of,
                                    .stacks_from_rank = 3};
  return op;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
