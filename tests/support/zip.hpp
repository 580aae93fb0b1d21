// Zip archives, right and wrong, written field by field.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace testing {

inline std::string little(std::uint64_t value, int bytes) {
  std::string s;
  for (int i = 0; i < bytes; ++i) s += static_cast<char>(value >> (8 * i) & 0xff);
  return s;
}

// The slow, obvious CRC-32.
inline std::uint32_t crc_of(std::string_view bytes) {
  std::uint32_t sum = ~0U;
  for (const char c : bytes) {
    sum ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xedb88320U : 0);
  }
  return ~sum;
}

// As deflate, in blocks that hold bytes as they are.
inline std::string deflated(std::string_view bytes) {
  std::string s;
  do {
    const auto block = bytes.substr(0, 65535);
    bytes.remove_prefix(block.size());
    s += bytes.empty() ? '\1' : '\0';
    s.append(little(block.size(), 2)).append(little(~block.size(), 2)).append(block);
  } while (!bytes.empty());
  return s;
}

struct zip_member {
  std::string name, data;  // as they stand in the archive
  std::uint64_t bytes, crc;
  std::uint64_t method = 0, flags = 0;
  bool wide = false;         // 64-bit sizes
  std::int64_t at = -1;      // another local header's place
  std::string local_name{};  // another name there
  std::uint64_t local_flags = 0;
};

inline zip_member stored(std::string name, std::string data) {
  return {.name = std::move(name), .data = data, .bytes = data.size(), .crc = crc_of(data)};
}
inline zip_member compressed(std::string name, std::string_view data) {
  return {.name = std::move(name), .data = deflated(data), .bytes = data.size(), .crc = crc_of(data), .method = 8};
}

struct zip_end {
  bool wide = false;
  std::int64_t count = -1, begin = -1, size = -1;  // other values than the right ones
};

inline std::string zip_of(const std::vector<zip_member>& members, const zip_end& end = {}) {
  constexpr std::uint64_t none = 0xffffffff;
  std::string all, directory;
  for (const auto& m : members) {
    const auto at = m.at >= 0 ? static_cast<std::uint64_t>(m.at) : all.size();
    const auto stored_bytes = m.data.size();
    std::string extra;
    if (m.wide) extra.append(little(1, 2)).append(little(16, 2)).append(little(m.bytes, 8)).append(little(stored_bytes, 8));
    const auto sizes = [&](bool known) {
      return little(known ? m.crc : 0, 4) +
             little(!known   ? 0
                    : m.wide ? none
                             : stored_bytes,
                    4) +
             little(!known   ? 0
                    : m.wide ? none
                             : m.bytes,
                    4);
    };
    if (m.at < 0) {
      const auto& name = m.local_name.empty() ? m.name : m.local_name;
      all.append(little(0x04034b50, 4)).append(little(45, 2)).append(little(m.flags | m.local_flags, 2));
      all.append(little(m.method, 2)).append(little(0, 4)).append(sizes((m.flags & 8) == 0));
      all.append(little(name.size(), 2)).append(little(extra.size(), 2)).append(name).append(extra).append(m.data);
    }
    directory.append(little(0x02014b50, 4)).append(little(45, 2)).append(little(45, 2)).append(little(m.flags, 2));
    directory.append(little(m.method, 2)).append(little(0, 4)).append(sizes(true));
    directory.append(little(m.name.size(), 2)).append(little(extra.size(), 2)).append(little(0, 8)).append(little(0, 2));
    directory.append(little(at, 4)).append(m.name).append(extra);
  }
  const auto value = [](std::int64_t wrong, std::uint64_t right) {
    return wrong >= 0 ? static_cast<std::uint64_t>(wrong) : right;
  };
  const auto count = value(end.count, members.size()), begin = value(end.begin, all.size());
  const auto size = value(end.size, directory.size());
  all += directory;
  if (end.wide) {
    const auto at = all.size();
    all.append(little(0x06064b50, 4))
        .append(little(44, 8))
        .append(little(0, 8))
        .append(little(0, 4))
        .append(little(count, 8));
    all.append(little(count, 8)).append(little(size, 8)).append(little(begin, 8));
    all.append(little(0x07064b50, 4)).append(little(0, 4)).append(little(at, 8)).append(little(1, 4));
  }
  all.append(little(0x06054b50, 4)).append(little(0, 4)).append(little(end.wide ? 0xffff : count, 2));
  all.append(little(end.wide ? 0xffff : count, 2)).append(little(end.wide ? none : size, 4));
  return all.append(little(end.wide ? none : begin, 4)).append(little(0, 2));
}

}  // namespace testing
