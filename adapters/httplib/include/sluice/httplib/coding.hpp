// Content codings: which bodies this build of httplib decodes, and answers' bodies compressed.
#pragma once

#include <httplib.h>

#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "sluice/service/message.hpp"

#ifdef CPPHTTPLIB_ZLIB_SUPPORT
#include <zlib.h>
#endif

namespace sluice {
inline namespace v0 {
namespace detail {

inline bool can_decode(std::string_view coding) noexcept {
  if (coding.empty() || coding == "identity") return true;
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  if (coding == "gzip" || coding == "deflate") return true;
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
  if (coding == "br") return true;
#endif
  return false;
}

#ifdef CPPHTTPLIB_ZLIB_SUPPORT

// `pieces` as one, in "gzip" or in "deflate", which is zlib's format. At zlib's fastest: numbers gain little by more, and
// the next level takes twice as long.
inline std::vector<body_piece> compressed(const std::vector<body_piece>& pieces, std::string_view coding) {
  constexpr int window = 15, memory = 8, gzip = 16;
  z_stream z{};
  if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, coding == "gzip" ? window + gzip : window, memory, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ended(&z, deflateEnd);
  std::string out;
  std::vector<char> room(1 << 16);
  const auto run = [&](std::string_view in, int flush) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    do {
      z.next_out = reinterpret_cast<Bytef*>(room.data());
      z.avail_out = static_cast<uInt>(room.size());
      deflate(&z, flush);
      out.append(room.data(), room.size() - z.avail_out);
    } while (z.avail_out == 0);
  };
  for (const auto& piece : pieces)
    for (auto rest = piece.bytes; !rest.empty();) {  // zlib counts in 32 bits
      const auto part = rest.substr(0, 1u << 30);
      run(part, Z_NO_FLUSH);
      rest.remove_prefix(part.size());
    }
  run({}, Z_FINISH);
  return {body_piece::of(std::move(out))};
}

#endif

}  // namespace detail
}  // namespace v0
}  // namespace sluice
