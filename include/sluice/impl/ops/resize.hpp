// resize: its checks and its cost. Backends find it by its name.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include "sluice/backend_api.h"
#include "sluice/impl/base/resize.hpp"
#include "sluice/impl/ops/image.hpp"
#include "sluice/impl/ops/run.hpp"
#include "sluice/ops/resize.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

// The dimension of an image's height; that of its width follows.
inline int height_dimension(const shape& s) noexcept { return s.rank() == 2 ? 0 : s.rank() - 3; }

inline base::resize_extents extents_of_resize(const shape& image, const op_options& options) noexcept {
  const int at = height_dimension(image);
  return base::resize_extents_of<sluice_resize_options>(options.data, options.size, image[at], image[at + 1]);
}

inline operand_spec check_resize(std::span<const operand_spec> in, const op_options& options) {
  const shape& s = in[0].shape;
  check_image("resize", in[0]);
  const auto refuse = [&](const std::string& rule) { return bad_image("resize", in[0], rule); };
  constexpr std::int64_t most = base::most_resize_extent;
  const int at = height_dimension(s);
  if (s[at] < 1 || s[at + 1] < 1 || s[at] > most || s[at + 1] > most)
    throw refuse(fmt::format("its height and width must be 1 to {}", most));
  const auto o = options.value_or(sluice_resize_options{});
  for (const std::int64_t extent : {o.height, o.width, o.rows, o.columns, o.top, o.left})
    if (extent < 0 || extent > most)
      throw refuse(
          fmt::format("it is to become {} x {}, and of that {} x {} from row {} and column {}: 0 to {} are possible",
                      o.height, o.width, o.rows, o.columns, o.top, o.left, most));
  if (o.filter != 0 && o.filter != 1) throw refuse(fmt::format("the filter is {}, and must be 1", o.filter));
  if (o.order != 0 && o.order != 1) throw refuse(fmt::format("the order is {}, and must be 0 or 1", o.order));
  const auto e = extents_of_resize(s, options);
  if (e.rows.out > most || e.columns.out > most)
    throw refuse(
        fmt::format("in proportion it becomes {} x {}, and extents are at most {}", e.rows.out, e.columns.out, most));
  if (o.top >= e.rows.out || o.left >= e.columns.out || e.height > e.rows.out - o.top || e.width > e.columns.out - o.left)
    throw refuse(fmt::format("the window of {} x {} from row {} and column {} is not within the {} x {} that it becomes",
                             e.height, e.width, o.top, o.left, e.rows.out, e.columns.out));
  shape result = s;
  result[at] = e.height;
  result[at + 1] = e.width;
  return {dtype::u8, result};
}

// Samples of the image, of what the first pass leaves, twice, and of the result, times what a pass reads of each.
inline op_cost cost_of_resize(std::span<const operand_spec> in, const operand_spec& out) {
  const shape& s = in[0].shape;
  const int at = height_dimension(s);
  const auto of = [&](const shape& x, int dimension) { return static_cast<double>(x[at + dimension]); };
  const double samples = static_cast<double>(s.count()) / (of(s, 0) * of(s, 1));  // of a pixel, in all images
  const double between = of(s, 0) * of(out.shape, 1);
  return {
      .flops = 4 * samples *
               (of(s, 0) * std::max(of(s, 1), of(out.shape, 1)) + of(out.shape, 1) * std::max(of(s, 0), of(out.shape, 0))),
      .bytes = samples * (of(s, 0) * of(s, 1) + 2 * between + of(out.shape, 0) * of(out.shape, 1))};
}

// Square images of 3 channels, of `size` bytes at most.
inline void resize_calibration(shape_class, std::int64_t size, dtype type, std::span<operand_spec> in) {
  const auto side = static_cast<std::int64_t>(std::sqrt(static_cast<double>(size) / 3));
  in[0] = {type, {side, side, 3}};
}

}  // namespace ops

SLUICE_FUNC tensor resize(const tensor& image, std::int64_t height, std::int64_t width, resize_options options,
                          const device_request& where) {
  const resize_window& w = options.window;
  const sluice_resize_options all{height,
                                  width,
                                  w.top,
                                  w.left,
                                  w.height,
                                  w.width,
                                  static_cast<std::int32_t>(options.filter),
                                  static_cast<std::int32_t>(options.order)};
  return apply(resize_op(), {image}, where, all);
}

SLUICE_FUNC const op_descriptor& resize_op() noexcept {
  static constexpr std::int64_t sizes[] = {64 << 10, 512 << 10, 4 << 20, 24 << 20};
  static constexpr op_descriptor op{.name = "resize",
                                    .summary = "Images of another size, antialiased bilinear as Pillow resizes them",
                                    .inputs = ops::image_inputs,
                                    .result = {.name = "result",
                                               .dtypes = ops::image_dtypes,
                                               .min_rank = 2,
                                               .summary = "(height, width) or (..., height, width, channels)",
                                               .usual_rank = 2,
                                               .kind = field_kind::picture},
                                    .check = ops::check_resize,
                                    .cost = ops::cost_of_resize,
                                    .square_sizes = sizes,
                                    .calibration_operands = ops::resize_calibration,
                                    .stacks_from_rank = 3,
                                    .has_endpoint = false};
  return op;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
