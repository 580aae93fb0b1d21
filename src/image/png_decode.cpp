// The pixels of a PNG, by libpng. It reports an error by longjmp: the functions that it jumps over hold no object with a
// destructor, and what they use belongs to their callers.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <png.h>

#include "png.hpp"
#include "png_error.hpp"
#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

// Chunks that are passed over, their checksums aside: transparency, colour spaces, text and the rest change no pixel here.
constexpr char passed_over[] =
    "tRNS\0bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt";

class reader {
 public:
  reader(std::span<const std::byte> bytes, const description& about, int channels, std::uint8_t* out)
      : rest_(bytes), about_(about), channels_(channels), out_(out) {
    png_ = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &error_, png_fail, png_ignore, &error_, png_take_memory,
                                    png_free_memory);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      error_.no_memory = true;
      error_.raise("decode");
    }
  }
  ~reader() {
    png_destroy_read_struct(&png_, &info_, nullptr);
    std::free(row_);
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  void read() {
    if (!read_header()) error_.raise("decode");
    if (!check_header()) refuse(refusal::corrupt, "PNG: two headers");
    // RGB before it becomes grey: a row, or all of them where they come in passes.
    if (from_colour_) {
      const auto bytes = row_bytes() * 3 * static_cast<std::size_t>(about_.progressive ? about_.height : 1);
      row_ = static_cast<std::uint8_t*>(std::malloc(bytes));
      error_.no_memory = row_ == nullptr;
      if (row_ == nullptr) error_.raise("decode");
    }
    if (!read_rows()) error_.raise("decode");
  }

 private:
  [[nodiscard]] std::size_t row_bytes() const { return static_cast<std::size_t>(about_.width); }

  static void give(png_structp png, png_bytep to, std::size_t count) {
    auto& rest = static_cast<reader*>(png_get_io_ptr(png))->rest_;
    if (rest.size() < count) png_error(png, "the bytes end");
    std::memcpy(to, rest.data(), count);
    rest = rest.subspan(count);
  }

  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_read_fn(png_, this, give);
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png_, 0);  // a wrong Adler-32 is one
    png_set_user_limits(png_, static_cast<png_uint_32>(about_.width), static_cast<png_uint_32>(about_.height));
    png_set_chunk_cache_max(png_, 16);
    // Not 65,536 alone: rows that do not compress, in small blocks, are longer than libpng expects.
    png_set_chunk_malloc_max(png_, std::max<std::size_t>(65536, rest_.size()));
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, reinterpret_cast<png_const_bytep>(passed_over),
                                sizeof passed_over / 5);
    png_read_info(png_, info_);
    png_set_expand(png_);    // a palette becomes RGB, 1 to 4 bits 8
    png_set_strip_16(png_);  // the upper 8
    png_set_strip_alpha(png_);
    if (channels_ == 3) png_set_gray_to_rgb(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }

  // Whether the library's rows are those that were checked and allocated.
  bool check_header() {
    const int given = png_get_channels(png_, info_);
    from_colour_ = given == 3 && channels_ == 1;
    return png_get_image_width(png_, info_) == static_cast<png_uint_32>(about_.width) &&
           png_get_image_height(png_, info_) == static_cast<png_uint_32>(about_.height) &&
           png_get_bit_depth(png_, info_) == 8 && (from_colour_ || given == channels_) &&
           (passes_ == 1) != about_.progressive &&
           png_get_rowbytes(png_, info_) == row_bytes() * static_cast<std::size_t>(given);
  }

  bool read_rows() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    const auto width = row_bytes();
    const bool keep = from_colour_ && about_.progressive;
    for (int pass = 0; pass < passes_; ++pass)
      for (std::size_t y = 0; y < static_cast<std::size_t>(about_.height); ++y) {
        std::uint8_t* const out = out_ + y * width * static_cast<std::size_t>(channels_);
        std::uint8_t* const colours = row_ + (keep ? y * width * 3 : 0);
        png_read_row(png_, from_colour_ ? colours : out, nullptr);
        if (from_colour_ && pass + 1 == passes_) make_grey(colours, width, out);
      }
    png_read_end(png_, info_);  // checks what follows the last row
    return true;
  }

  static void make_grey(const std::uint8_t* rgb, std::size_t width, std::uint8_t* out) {
    for (std::size_t x = 0; x < width; ++x)
      out[x] =
          static_cast<std::uint8_t>((rgb[3 * x] * 19595u + rgb[3 * x + 1] * 38470u + rgb[3 * x + 2] * 7471u + 32768u) >> 16);
  }

  std::span<const std::byte> rest_;
  const description& about_;
  int channels_;
  std::uint8_t* out_;
  std::uint8_t* row_ = nullptr;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_failure error_;
  int passes_ = 1;
  bool from_colour_ = false;
};

}  // namespace

void decode_png(std::span<const std::byte> bytes, const description& about, int channels, std::uint8_t* out) {
  reader(bytes, about, channels, out).read();
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
