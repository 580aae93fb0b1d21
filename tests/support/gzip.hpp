// Text as httplib itself compresses it, for servers to decode.
#pragma once

#include <httplib.h>

#include <string>

namespace testing {

#ifdef CPPHTTPLIB_ZLIB_SUPPORT
inline std::string gzip(const std::string& text) {
  std::string out;
  httplib::detail::gzip_compressor().compress(text.data(), text.size(), true, [&](const char* data, std::size_t n) {
    out.append(data, n);
    return true;
  });
  return out;
}
#endif

}  // namespace testing
