// What the ops on images have in common: u8 of (height, width) or (..., height, width, channels), 1 or 3 of these.
#pragma once

#include <fmt/format.h>

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace ops {

inline error bad_image(std::string_view op, const operand_spec& image, const std::string& rule) {
  return error(error_code::invalid_argument,
               fmt::format("[{}] image is {} {}: {}", op, name_of(image.dtype), image.shape.str(), rule));
}

// Throws invalid_argument for another dtype, rank or number of channels.
inline void check_image(std::string_view op, const operand_spec& image) {
  const shape& s = image.shape;
  if (image.dtype != dtype::u8) throw bad_image(op, image, "the dtype must be u8");
  if (s.rank() < 2) throw bad_image(op, image, "it must be (height, width) or (..., height, width, channels)");
  if (s.rank() > 2 && s.back() != 1 && s.back() != 3)
    throw bad_image(op, image, fmt::format("extent({}), the channels, must be 1 or 3", s.rank() - 1));
}

inline constexpr dtype image_dtypes[] = {dtype::u8};
inline constexpr op_field image_inputs[] = {{.name = "image",
                                             .dtypes = image_dtypes,
                                             .min_rank = 2,
                                             .summary = "(height, width) or (..., height, width, channels)",
                                             .usual_rank = 2,
                                             .kind = field_kind::picture}};

}  // namespace ops
}  // namespace SLUICE_ABI
}  // namespace sluice
