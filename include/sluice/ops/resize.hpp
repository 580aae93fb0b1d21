/// @file
/// Images of another size, with the bits of Pillow's Image.resize on every device.
///
///     auto small = sluice::resize(photo, 256, 455);                            // u8 (1080, 1920, 3) -> u8 (256, 455, 3)
///     auto same = sluice::resize(photo, 256, 0);                               // the width in proportion: 455
///     auto part = sluice::resize(photo, 256, 455, {.window = {16, 115, 224, 224}});  // its centre, and no more is computed
///
/// The filter is antialiased: when an image shrinks, its support grows with the scale, so that every pixel of the image
/// counts. As in Pillow, the width is resized first, then the height. Weights are computed in double, normalised to a sum of
/// 1 and rounded to 22 bits after the point; sums are exact, rounded half up to 8 bits after each of both passes, and cut at
/// 255. A pass that keeps its extent changes nothing. Every channel is resized by itself: transparency and gamma are
/// not considered.
#pragma once

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// How neighbouring pixels are weighted.
enum class resize_filter {
  bilinear = 1  ///< a triangle of the half-width 1, in pixels of the larger scale; Pillow's BILINEAR
};

/// A part of the resized image, in its pixels.
struct resize_window {
  std::int64_t top = 0;     ///< its first row
  std::int64_t left = 0;    ///< its first column
  std::int64_t height = 0;  ///< rows; 0: all below `top`
  std::int64_t width = 0;   ///< columns; 0: all to the right of `left`
};

/// Which pass comes first: where both change something, that decides how samples are rounded.
enum class resize_order {
  /// As Pillow 13 does it: the height, if it shrinks by more than twice as many pixels as the width, else the width.
  automatic = 0,
  width_first = 1  ///< as Pillow did it before, of images up to 100 times as high as wide
};

/// How an image is resized.
struct resize_options {
  resize_filter filter = resize_filter::bilinear;  ///< the weights
  resize_order order = resize_order::automatic;    ///< of the passes
  resize_window window{};                          ///< what is computed, with the bits of the whole; the default is all
};

/// Its descriptor. The type of its options is sluice_resize_options; by default the shorter side becomes 256 pixels long,
/// and the other one stays in proportion.
SLUICE_API const op_descriptor& resize_op() noexcept;

/// image is u8: one grey image (H, W), or (..., H, W, C) of C = 1 or 3 channels. Gives u8 of the same dimensions with
/// `height` and `width`, or those of the window, in place of H and W. One of both may be 0: it follows from the other in
/// proportion, rounded down, and is 1 at least; both 0: the shorter side becomes 256. An operand elsewhere is copied to
/// `where`, as matmul does. Throws invalid_argument for another dtype or shape, for H or W of 0, for extents that are
/// negative or above 16,777,216, and for a window that is not within the resized image; unavailable when there is no device
/// `where`; unsupported when it has no resize; device_lost; out_of_memory. Later failures as in matmul().
SLUICE_API tensor resize(const tensor& image, std::int64_t height, std::int64_t width, resize_options options = {},
                         const device_request& where = {});

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/resize.hpp"
#include "sluice/ops/all.hpp"
#endif
