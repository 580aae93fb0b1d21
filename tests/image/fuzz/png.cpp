// PNGs of at most 65,536 pixels: as they are, and with the checksums of their chunks made right, or few changes would pass
// them.
#include "fuzz.hpp"

using namespace testing;

namespace {

std::uint32_t big32_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

std::string with_right_checksums(std::string bytes) {
  for (std::size_t at = png_signature.size(); bytes.size() >= at + 12;) {
    const std::size_t length = big32_at(bytes, at);
    if (length > bytes.size() - at - 12) break;
    bytes.replace(at, length + 12, chunk(bytes.substr(at + 4, 4), bytes.substr(at + 8, length)));
    at += length + 12;
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const unsigned choice = size == 0 ? 0 : data[size - 1];
  const int channels[] = {0, 1, 3};
  const image::decode_options options{.channels = channels[choice % 3], .most_pixels = 65'536, .orient = choice % 2 == 0};
  decode_twice(bytes_of(bytes), options);
  decode_twice(bytes_of(with_right_checksums(bytes)), options);
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  for (const auto& extents : {shape{3, 5}, shape{20, 17, 3}})
    for (char choice = 0; choice < 3; ++choice)
      seeds.push_back(text_of(image::encode(random(extents, dtype::u8), image::format::png)) + choice);
  seeds.push_back(text_of(image::encode(random({9, 9}, dtype::u8), image::format::png, {.bilevel = true})) + '\0');
  // Every colour type, with a palette, transparency and an orientation, interlaced and not; rows of zeros that are long
  // enough.
  const std::string exif("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x05\0\0\0\0\0\0", 26);
  for (const int colour_type : {0, 2, 3, 4, 6})
    for (const int interlace : {0, 1}) {
      const auto palette = colour_type == 3 ? chunk("PLTE", "abcdef") + chunk("tRNS", "\1") : std::string();
      std::string raw;  // 8 rows of 8 pixels: 15 rows where interlaced, and as many bytes of pixels
      const int samples = colour_type == 2 ? 3 : colour_type == 4 ? 2 : colour_type == 6 ? 4 : 1;
      const auto rows = [&](int count, int width) {
        raw += std::string(static_cast<std::size_t>(count * (1 + width * samples)), '\0');
      };
      if (interlace == 0)
        rows(8, 8);
      else
        for (const auto& [count, width] : {std::pair{1, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 4}, {4, 4}, {4, 8}})
          rows(count, width);
      seeds.push_back(std::string(png_signature) + ihdr(8, 8, 8, colour_type, interlace) + palette + chunk("eXIf", exif) +
                      chunk("IDAT", deflated(raw)) + chunk("IEND", "") + '\2');
      must(decode_twice(bytes_of(seeds.back()), {}), "a seed is not decoded");
    }
  return seeds;
}
