// What a fuzz target is: libFuzzer's function, and the inputs that it starts from. tests/full gives it to libFuzzer; the
// short tier to mutate.cpp, which changes the same inputs in the same ways every time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "image_testing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

std::vector<std::string> fuzz_seeds();

namespace testing {

inline std::size_t accepted = 0;  // inputs that were decoded

inline void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// Bytes are decoded to the size that their header says, or refused, and the same way twice: what was in the memory before
// does not show. Returns whether they were decoded.
inline bool decode_twice(std::span<const std::byte> bytes, const image::decode_options& options) {
  image::description about;
  try {
    about = image::describe(bytes);
  } catch (const image::bad_image&) {
    return false;
  }
  must(about.width > 0 && about.height > 0 && (about.channels == 1 || about.channels == 3) && about.orientation >= 1 &&
           about.orientation <= 8,
       "describe() gives what does not exist");
  const auto decoded = [&](double before) -> std::optional<tensor> {
    try {
      if (about.width * about.height <= options.most_pixels)
        static_cast<void>(
            tensor::full({about.height, about.width, options.channels == 0 ? about.channels : options.channels}, before,
                         dtype::u8));  // and its memory is free for the next
      return image::decode(bytes, options);
    } catch (const image::bad_image&) {
      return std::nullopt;
    }
  };
  const auto first = decoded(0x55), second = decoded(0xaa);
  must(first.has_value() == second.has_value(), "decoded once and refused once");
  if (!first) return false;
  must(first->count() == about.width * about.height * (options.channels == 0 ? about.channels : options.channels),
       "another size");
  must(same_bits(*first, *second), "memory shows through");
  ++accepted;
  return true;
}

}  // namespace testing
