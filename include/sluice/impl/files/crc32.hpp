// CRC-32 as zip archives have it, of bytes that come in pieces. Eight bytes a step: 2.6 GB/s on one core, where Debian's zlib
// gave 5.3; stored members must not need zlib.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// tables[k][b]: what byte b contributes when k bytes follow it.
inline constexpr auto crc32_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t sum = b;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ (sum % 2 == 1 ? 0xedb88320U : 0);
    tables[0][b] = sum;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b) tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
  return tables;
}();

// Of `bytes` behind those whose CRC is `sum`.
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t sum = 0) noexcept {
  const auto& t = crc32_tables;
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(bytes[i]); };
  sum = ~sum;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    sum ^= at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
    sum = t[7][sum & 0xff] ^ t[6][sum >> 8 & 0xff] ^ t[5][sum >> 16 & 0xff] ^ t[4][sum >> 24] ^ t[3][at(4)] ^ t[2][at(5)] ^
          t[1][at(6)] ^ t[0][at(7)];
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) sum = (sum >> 8) ^ t[0][(sum ^ at(i)) & 0xff];
  return ~sum;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
