// How libpng's errors and requests for memory are received: no C++ exception crosses its frames.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <png.h>

#include "refuse.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

// What an error leaves behind.
struct png_failure {
  std::array<char, 128> sentence{};
  bool no_memory = false;

  [[noreturn]] void raise(const char* what) const {
    if (no_memory) throw error(error_code::out_of_memory, fmt::format("[image] PNG: no memory to {}", what));
    refuse(refusal::corrupt, fmt::format("PNG: {}", sentence.data()));
  }
};

[[noreturn]] inline void png_fail(png_structp png, png_const_charp sentence) {
  auto& failure = *static_cast<png_failure*>(png_get_error_ptr(png));
  std::snprintf(failure.sentence.data(), failure.sentence.size(), "%s", sentence);
  png_longjmp(png, 1);
}

inline void png_ignore(png_structp, png_const_charp) {}  // warnings are of chunks that change no pixel

inline png_voidp png_take_memory(png_structp png, png_alloc_size_t bytes) {
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) static_cast<png_failure*>(png_get_mem_ptr(png))->no_memory = true;
  return memory;
}

inline void png_free_memory(png_structp, png_voidp memory) { std::free(memory); }

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
