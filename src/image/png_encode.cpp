// A PNG of pixels, by libpng. As in png_decode.cpp, what libpng jumps over has no destructors.
#include <csetjmp>
#include <cstring>
#include <new>

#include <png.h>
#include <zlib.h>

#include "png.hpp"
#include "png_error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

class writer {
 public:
  writer(std::int64_t width, std::int64_t height, int channels)
      : width_(static_cast<std::size_t>(width)),
        height_(static_cast<std::size_t>(height)),
        channels_(static_cast<std::size_t>(channels)) {
    png_ = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &error_, png_fail, png_ignore, &error_, png_take_memory,
                                     png_free_memory);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_write_struct(&png_, nullptr);
      error_.no_memory = true;
      error_.raise("encode");
    }
  }
  ~writer() { png_destroy_write_struct(&png_, &info_); }
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  std::vector<std::byte> write(const std::uint8_t* rows) {
    if (!write_all(rows)) error_.raise("encode");
    return std::move(out_);
  }

 private:
  bool write_all(const std::uint8_t* rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_write_fn(png_, this, take, nullptr);
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);
    png_set_IHDR(png_, info_, static_cast<png_uint_32>(width_), static_cast<png_uint_32>(height_), 8,
                 channels_ == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    choose_compression();
    png_write_info(png_, info_);
    for (std::size_t y = 0; y < height_; ++y) png_write_row(png_, rows + y * width_ * channels_);
    png_write_end(png_, nullptr);
    return true;
  }

  // By runs: photographs take the time of level 1, and fewer bytes.
  void choose_compression() {
    png_set_filter(png_, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_set_compression_level(png_, 1);
    png_set_compression_strategy(png_, Z_RLE);
    png_set_compression_buffer_size(png_, 65536);
  }

  static void take(png_structp png, png_bytep bytes, std::size_t count) {
    auto& self = *static_cast<writer*>(png_get_io_ptr(png));
    if (self.append(bytes, count)) return;
    self.error_.no_memory = true;
    png_error(png, "no memory");
  }

  bool append(const std::uint8_t* bytes, std::size_t count) noexcept {
    try {
      const auto* first = reinterpret_cast<const std::byte*>(bytes);
      out_.insert(out_.end(), first, first + count);
      return true;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  std::size_t width_;
  std::size_t height_;
  std::size_t channels_;
  std::vector<std::byte> out_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_failure error_;
};

}  // namespace

std::vector<std::byte> encode_png(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels) {
  return writer(width, height, channels).write(rows);
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
