/// @file
/// JPEG and PNG to u8 tensors and back, for untrusted input, and what a model takes of them.
///
///     const std::vector<std::byte> bytes = ...;                             // a file, or the body of a request
///     const auto about = sluice::image::describe(bytes);                    // of the header alone
///     const sluice::tensor grey = sluice::image::decode(bytes, {.channels = 1});  // u8 (H, W, 1), upright
///     const auto edges = sluice::canny(grey, 100, 200);
///     const auto png = sluice::image::encode(edges, sluice::image::format::png, {.bilevel = true});
///     const auto input = sluice::image::prepare(sluice::image::decode(bytes, {.channels = 3}));  // f32 (1, 3, 224, 224)
///
/// The target is sluice::image, an optional component of the package: it links libjpeg-turbo and libpng, and the compiled
/// form of the library.
///
/// Everything becomes 8 bits of grey or RGB, each kind by one rule:
/// - *JPEG*: baseline, extended and progressive, Huffman-coded, 8 bits, grey, YCbCr or RGB. Inverse DCT and chroma
///   upsampling are libjpeg's defaults, so the pixels are those of Pillow and OpenCV. Grey of YCbCr is its Y. CMYK, YCCK,
///   12 bits, arithmetic coding, lossless and hierarchical modes, and a height given after the first scan (DNL) are
///   unsupported.
/// - *PNG*: every colour type and depth, interlaced or not. 1, 2 and 4 bits of grey are scaled to 8; of 16 bits the upper 8
///   are taken; a palette becomes its colours. Transparency (alpha, tRNS) is dropped: colours are as stored, not blended.
///   Gamma and colour profiles are not applied. Of an animation (APNG) the default image is decoded.
/// - *Grey of RGB* is (19595 R + 38470 G + 7471 B + 32768) >> 16 (Rec. 601); RGB of grey has three equal channels.
/// - *Orientation* is the EXIF tag 0x0112 of the first Exif APP1 segment, or of eXIf. It is 1 where the EXIF does not
///   parse or the value is outside 1 to 8: metadata never makes an image fail.
///
/// An image is decoded whole, with every checksum right and without a warning from its library, or refused; missing rows
/// are never filled in. Bytes after the end (EOI, IEND) are ignored, because cameras append there. Sizes are checked from
/// the header, against the limit and against what so many bytes can encode, before memory for pixels is allocated. That
/// memory is the result, as much again for an image that is turned or mirrored, 3 bytes a pixel for an interlaced PNG in
/// colour that is decoded to grey, and 2 bytes a coefficient for a JPEG of several scans.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sluice/tensor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

/// File formats.
enum class format : std::uint8_t {
  jpeg,  ///< image/jpeg
  png,   ///< image/png
};

/// Its name, as in `format`: "jpeg".
SLUICE_API std::string_view name_of(format kind) noexcept;

/// Why bytes are refused.
enum class refusal : std::uint8_t {
  unrecognised,  ///< neither JPEG nor PNG by their first bytes
  unsupported,   ///< a kind that is not decoded, such as CMYK; more than most_scans scans
  too_large,     ///< more pixels than most_pixels, or a PNG of more than 1,000,000 columns or rows
  truncated,     ///< the bytes end before the image does, or are too few for its size
  corrupt,       ///< a wrong checksum or marker, codes that do not decode
};

/// The reason's name, as in `refusal`: "too_large".
SLUICE_API std::string_view name_of(refusal reason) noexcept;

/// What describe() and decode() throw for bytes that they refuse. Its code() is unsupported for unrecognised and
/// unsupported, limit_exceeded for too_large, and malformed for truncated and corrupt.
class SLUICE_SHARED_TYPE bad_image : public error {
 public:
  /// `sentence` is what() as it is.
  bad_image(refusal reason, const std::string& sentence);
  ~bad_image() override;  ///< defined in the library, so that every module shares one type

  [[nodiscard]] refusal reason() const noexcept { return reason_; }  ///< which kind of refusal

 private:
  refusal reason_;
};

/// What an image's headers say.
struct description {
  format kind = format::jpeg;  ///< from the signature
  std::int64_t width = 0;      ///< columns as stored; decode() exchanges both extents where orientation is above 4
  std::int64_t height = 0;     ///< rows as stored
  int channels = 0;            ///< 1: grey, with or without alpha; 3: colour, with or without alpha or a palette
  int orientation = 1;         ///< of EXIF, 1 to 8: 1 is upright
  bool progressive = false;    ///< a progressive JPEG, an interlaced PNG
};

/// A JPEG of more scans is unsupported: each costs a pass over all blocks. Encoders write 1 to 3, or about 10 for
/// progressive ones.
inline constexpr int most_scans = 100;

/// Reads the headers and allocates nothing: time is linear in the segments before the first scan of a JPEG, of which a
/// prefix will do, or in the chunks of a PNG, which it needs whole. Throws bad_image, but too_large only for a PNG of more
/// than 1,000,000 columns or rows.
SLUICE_API description describe(std::span<const std::byte> bytes);

/// What decode() makes of the pixels.
struct decode_options {
  int channels = 0;                        ///< 1: grey, 3: RGB, 0: as stored, which is one of these
  std::int64_t most_pixels = 100'000'000;  ///< limit on width times height
  bool orient = true;                      ///< turn and mirror by the orientation, so that the result is upright
};

/// The pixels: u8 of shape (H, W, C), row-major, on the CPU. `kind` and `where` as in tensor's constructor: pinned memory is
/// host memory that `where` copies at full speed. Throws
/// - bad_image, with the numbers and the rule;
/// - invalid_argument for channels other than 0, 1 and 3, and for most_pixels below 1;
/// - out_of_memory, unavailable as tensor's constructor.
SLUICE_API tensor decode(std::span<const std::byte> bytes, const decode_options& options = {},
                         const device& where = device::cpu, memory kind = memory::device);

/// How encode() stores the pixels.
struct encode_options {
  int quality = 90;      ///< of a JPEG, 1 to 100; chroma is subsampled 4:2:0
  bool bilevel = false;  ///< a grey PNG of 1 bit a pixel: 0 is black, anything else white
};

/// Encodes a u8 tensor of shape (H, W), (H, W, 1) or (H, W, 3), which may have any strides and be on any device, as a
/// baseline JPEG, with restart markers between strips of 256 rows, or as a PNG compressed for speed. Strips of a JPEG and of
/// a bilevel PNG are encoded several at once; the bytes are the same by any number of threads. Throws
/// - invalid_argument for another dtype or shape, for an extent of 0 or above 65,500 (JPEG) or 1,000,000 (PNG), for a
///   quality outside 1 to 100, and for bilevel of a JPEG or of colours;
/// - out_of_memory; what the tensor's pending work failed with.
SLUICE_API std::vector<std::byte> encode(const tensor& image, format kind, const encode_options& options = {});

/// In which order the elements of a prepared picture lie.
enum class layout : std::uint8_t {
  nchw,  ///< (1, C, H, W): a plane of each channel, as PyTorch has them
  nhwc,  ///< (1, H, W, C): the channels of a pixel together, as TensorFlow has them
};

/// What a model was trained to take of a picture. The defaults are those of torchvision's ResNet: Resize(256),
/// CenterCrop(224), ToTensor and Normalize.
struct preparation {
  /// Pixels that the shorter side becomes; the longer one is resize_short * longer / shorter, rounded down. Smaller pictures
  /// are enlarged. 0: the picture is not resized.
  std::int64_t resize_short = 256;
  /// Height and width of the part that is taken from the centre: its first row is (height - crop) / 2, rounded half to even,
  /// its first column likewise. Where the resized picture is smaller, black pixels surround it, one more below and to the
  /// right where they are odd. 0: all of it, which may have any extents.
  std::int64_t crop = 224;
  /// What samples of 0 to 255 are multiplied by, in double, and rounded to f32. By 1/255 that is x / 255 in f32, for all.
  double scale = 1.0 / 255;
  std::array<float, 3> mean = {0.485f, 0.456f, 0.406f};  ///< then subtracted, in f32: of each channel of the result
  std::array<float, 3> std = {0.229f, 0.224f, 0.225f};   ///< then divided by, in f32: likewise; of 1 channel, the first
  image::layout layout = image::layout::nchw;            ///< order of the result's elements
  int channels = 3;                                      ///< of the result: 3, to which grey is repeated, or 1
  bool bgr = false;                                      ///< the channels are blue, green, red
};

/// A picture as a model takes it: u8 (H, W), (H, W, 1) or (H, W, 3), on any device, becomes f32 (1, C, crop, crop) on the
/// CPU, with the bits of torchvision's transforms on Pillow's images. Only the pixels of the crop are computed, by
/// resize(). Throws
/// - invalid_argument for another dtype or shape, for an extent of 0, for colours where channels is 1, and for values of
///   `how` outside their meaning: channels other than 1 and 3, negative or too large extents, a std of 0, scale, mean or std
///   that are not finite;
/// - out_of_memory; what the tensor's pending work failed with.
SLUICE_API tensor prepare(const tensor& picture, const preparation& how = {});

/// The same into a part of a batch: `out` is f32 (C, H, W) or (1, C, H, W), contiguous host memory, as batch[i] is of a
/// batch (N, C, H, W); by the layout nhwc (H, W, C) or (1, H, W, C). Throws what prepare() throws, and invalid_argument for
/// another `out`, which is then as it was.
SLUICE_API void prepare_into(tensor& out, const tensor& picture, const preparation& how = {});

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
