// What is thrown, and names.
#include "sluice/image.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace image {
namespace {

error_code code_of(refusal reason) {
  switch (reason) {
    case refusal::unrecognised:
    case refusal::unsupported: return error_code::unsupported;
    case refusal::too_large: return error_code::limit_exceeded;
    case refusal::truncated:
    case refusal::corrupt: break;
  }
  return error_code::malformed;
}

}  // namespace

std::string_view name_of(format kind) noexcept { return kind == format::jpeg ? "jpeg" : "png"; }

std::string_view name_of(refusal reason) noexcept {
  switch (reason) {
    case refusal::unrecognised: return "unrecognised";
    case refusal::unsupported: return "unsupported";
    case refusal::too_large: return "too_large";
    case refusal::truncated: return "truncated";
    case refusal::corrupt: break;
  }
  return "corrupt";
}

bad_image::bad_image(refusal reason, const std::string& sentence) : error(code_of(reason), sentence), reason_(reason) {}
bad_image::~bad_image() = default;

}  // namespace image
}  // namespace SLUICE_ABI
}  // namespace sluice
