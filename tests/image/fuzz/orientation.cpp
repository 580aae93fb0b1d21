// The TIFF structure of EXIF.
#include "orientation.hpp"

#include "fuzz.hpp"

using namespace testing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Of its own memory, that a read beyond it is seen.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data),
                                     reinterpret_cast<const std::byte*>(data) + size);
  const int found = sluice::image::orientation_of(bytes);
  must(found >= 1 && found <= 8, "an orientation that does not exist");
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  return {std::string("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", 26),
          std::string("MM\0*\0\0\0\x08\0\2\1\x10\0\2\0\0\0\4abc\0\1\x12\0\3\0\0\0\1\0\x08\0\0\0\0\0\0", 38)};
}
