// JPEGs of at most 65,536 pixels. The last byte chooses channels and turning: it lies after EOI.
#include "fuzz.hpp"

using namespace testing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const unsigned choice = size == 0 ? 0 : data[size - 1];
  const int channels[] = {0, 1, 3};
  decode_twice(std::as_bytes(std::span(data, size)),
               {.channels = channels[choice % 3], .most_pixels = 65'536, .orient = choice % 2 == 0});
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  std::vector<std::string> seeds;
  for (const int channels : {1, 3})
    for (const std::int64_t extent : {1, 16, 37}) seeds.push_back(jpeg(extent, extent + 3, channels) + '\0');
  // Tables that coefficients can hide behind: a flat one is short, so that most changes meet a header.
  seeds.push_back(text_of(image::encode(tensor::full({24, 24, 3}, 128, dtype::u8), image::format::jpeg)) + '\1');
  const std::string exif("Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", 32);
  for (auto i = seeds.size(); i-- > 0;) seeds.push_back(seeds[i].substr(0, 2) + segment(0xe1, exif) + seeds[i].substr(2));
  // Two scans of a progressive file by hand: the same header with another marker, and its scan twice.
  auto progressive = seeds[0];
  progressive[find_marker(progressive, 0xc0) + 1] = '\xc2';
  seeds.push_back(progressive);
  return seeds;
}
