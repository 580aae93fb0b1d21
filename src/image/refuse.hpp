// How this room refuses bytes.
#pragma once

#include <string>

#include "sluice/image.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {

[[noreturn]] inline void refuse(refusal reason, const std::string& sentence) {
  throw bad_image(reason, "[image] " + sentence);
}

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
