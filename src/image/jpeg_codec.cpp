// The pixels of a JPEG, by TurboJPEG's version 2 functions: errors come back as codes, nothing jumps over our frames.
#include <algorithm>
#include <memory>
#include <string_view>

#include <fmt/format.h>
#include <turbojpeg.h>

#include "jpeg.hpp"
#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

struct destroy {
  void operator()(void* handle) const noexcept { tjDestroy(handle); }
};
using instance = std::unique_ptr<void, destroy>;

[[noreturn]] void no_memory(const char* what) {
  throw error(error_code::out_of_memory, fmt::format("[image] JPEG: no memory to {}", what));
}

// Making one takes 0.5 us: threads keep none.
instance made(tjhandle handle) {
  if (handle == nullptr) no_memory("start");
  return instance(handle);
}

[[noreturn]] void fail(tjhandle handle, const char* what) {
  const std::string_view sentence = tjGetErrorStr2(handle);
  if (sentence.find("nsufficient memory") != sentence.npos || sentence.find("llocation fail") != sentence.npos)
    no_memory(what);
  refuse(refusal::corrupt, fmt::format("JPEG: {}", sentence));
}

}  // namespace

void decode_jpeg(std::span<const std::byte> bytes, const description& about, int channels, std::uint8_t* out) {
  const instance owner = made(tjInitDecompress());
  const tjhandle handle = owner.get();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  const int width = static_cast<int>(about.width), height = static_cast<int>(about.height);
  // What the library reads as the size is what was checked and allocated. (It also fails here for sampling factors without
  // a name, which it decodes nevertheless.)
  int seen_width = 0, seen_height = 0, sampling = 0, colours = 0;
  const int status = tjDecompressHeader3(handle, data, size, &seen_width, &seen_height, &sampling, &colours);
  if (status != 0 && seen_width == 0) fail(handle, "read the header");
  if (seen_width != width || seen_height != height)
    refuse(refusal::corrupt, fmt::format("JPEG: two sizes, {} x {} and {} x {}", width, height, seen_width, seen_height));
  if (tjDecompress2(handle, data, size, out, width, width * channels, height, channels == 1 ? TJPF_GRAY : TJPF_RGB,
                    TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0)
    fail(handle, "decode");
}

std::vector<std::byte> encode_jpeg_strip(const std::uint8_t* rows, std::int64_t width, std::int64_t height, int channels,
                                         int quality) {
  const instance owner = made(tjInitCompress());
  const tjhandle handle = owner.get();
  // Memory for the largest file, of which the written pages alone are touched: growing takes a fifth of the time.
  const int sampling = channels == 1 ? TJSAMP_GRAY : TJSAMP_420;
  unsigned long size = tjBufSize(static_cast<int>(width), static_cast<int>(height), sampling);
  const auto memory = std::make_unique_for_overwrite<unsigned char[]>(size);
  unsigned char* bytes = memory.get();
  const int status = tjCompress2(handle, rows, static_cast<int>(width), static_cast<int>(width * channels),
                                 static_cast<int>(height), channels == 1 ? TJPF_GRAY : TJPF_RGB, &bytes, &size, sampling,
                                 quality, TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT);  // as fast as the other, by SIMD
  if (status != 0) fail(handle, "encode");
  const auto* first = reinterpret_cast<const std::byte*>(bytes);
  return {first, first + size};
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
