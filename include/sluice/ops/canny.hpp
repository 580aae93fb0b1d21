/// @file
/// The edges of an image by Canny's method, the same pixels on every device: those of OpenCV's cv::Canny with an aperture
/// of 3.
///
///     auto e = sluice::canny(image, 100, 200);                                           // u8 (H, W, 3) -> u8 (H, W)
///     auto f = sluice::canny(frames, 50, 150, {.norm = sluice::edge_norm::l2}, "cuda");  // (N, H, W, 1) -> (N, H, W)
///
/// Gradients (dx, dy) are those of Sobel's 3x3 operator; beyond the image its border is repeated, and magnitudes are 0. Of
/// three channels a pixel has the gradient of largest magnitude, the first of equal ones. A pixel is a candidate where its
/// magnitude is a maximum along the gradient, which is taken as horizontal, vertical or diagonal by tan 22.5 degrees =
/// 13573 / 32768: larger than to the left and not smaller than to the right, larger than above and not smaller than below,
/// or larger than both diagonal neighbours. The thresholds, exchanged if reversed, are floored; for the norm l2 they are
/// capped at 32767 and squared before that, and so are magnitudes. Edges are the candidates above the high threshold, and
/// those above the low one that a path of such, over the 8 neighbours, connects to them.
#pragma once

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// The magnitude of a gradient (dx, dy).
enum class edge_norm {
  l1 = 1,  ///< |dx| + |dy|
  l2 = 2   ///< sqrt(dx^2 + dy^2)
};

/// How edges are found.
struct canny_options {
  edge_norm norm = edge_norm::l1;  ///< what the thresholds are compared with
};

/// Its descriptor. The type of its options is sluice_canny_options; the defaults are 100, 200 and the norm l1.
SLUICE_API const op_descriptor& canny_op() noexcept;

/// image is u8: one grey image (H, W), or (..., H, W, C) of C = 1 or 3 channels. Gives u8 (..., H, W): 255 on edges, else 0.
/// An operand elsewhere is copied to `where`, as matmul does. Throws invalid_argument for another dtype or shape, and for a
/// threshold that is not finite; unavailable when there is no device `where`; unsupported when it has no canny; device_lost;
/// out_of_memory. Later failures as in matmul().
SLUICE_API tensor canny(const tensor& image, double low, double high, canny_options options = {},
                        const device_request& where = {});

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY) || defined(SLUICE_DEFINE_OPS)
#include "sluice/impl/ops/canny.hpp"
#include "sluice/ops/all.hpp"
#endif
