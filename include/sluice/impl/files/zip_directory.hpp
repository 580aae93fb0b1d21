// The directory of a zip archive (PKWARE's APPNOTE 6.3), read strictly: its records fill the archive's end, each member's
// two headers agree, and no two members share bytes. Names are labels, and never paths.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/files/npy_header.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Bytes that can be read at any offset: of a file, or of a body. read() fills `out`, which lies within `size`.
struct archive {
  std::function<void(std::int64_t at, std::span<std::byte> out)> read;
  std::int64_t size = 0;
  std::string name;  // in messages
};

inline constexpr std::int64_t npz_member_limit = 4096;
inline constexpr std::int64_t zip_directory_limit = std::int64_t{1} << 20;
// Deflate codes 258 bytes in two bits at best.
inline constexpr std::int64_t deflate_ratio_limit = 1032;

[[noreturn]] inline void npz_fail(error_code code, const std::string& what) { throw error(code, "[npz] " + what); }

// Little-endian fields one after the other.
class zip_fields {
 public:
  explicit zip_fields(std::string_view bytes) : rest_(bytes) {}

  // Of at most 8 bytes. Beyond the end there are zeros, and has_failed() is true.
  std::uint64_t take(std::size_t bytes) {
    std::uint64_t value = 0;
    const auto field = text(bytes);
    for (std::size_t i = field.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(field[i]);
    return value;
  }
  std::string_view text(std::size_t bytes) {
    failed_ = failed_ || bytes > rest_.size();
    const auto field = rest_.substr(0, bytes);
    rest_.remove_prefix(field.size());
    return field;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

// What both headers of a member have.
struct zip_entry {
  std::uint64_t flags = 0, method = 0, crc = 0, stored = 0, bytes = 0, offset = 0;
  std::string name;

  void read_common(zip_fields& f) {
    flags = f.take(2);
    method = f.take(2);
    f.take(4);  // time
    crc = f.take(4);
    stored = f.take(4);
    bytes = f.take(4);
  }

  static constexpr std::uint64_t encrypted = 1 << 0 | 1 << 6 | 1 << 13;
  static constexpr std::uint64_t sizes_follow = 1 << 3;  // the local header does not know them
  static constexpr std::uint64_t known = 1 << 1 | 1 << 2 | sizes_follow | 1 << 11;
};

class zip_directory {
 public:
  explicit zip_directory(const archive& from) : from_(from) {}

  std::vector<npz_member> members() {
    find();
    const std::string bytes = read(begin_, end_ - begin_);
    zip_fields fields(bytes);
    std::vector<zip_entry> entries;
    for (std::int64_t i = 0; i < count_; ++i) entries.push_back(central(fields));
    if (!fields.rest().empty()) malformed(fmt::format("its directory has {} bytes too many", fields.rest().size()));
    std::vector<npz_member> all;
    for (const auto& e : entries) all.push_back(located(e));
    check_apart(entries, all);
    return all;
  }

 private:
  static constexpr std::uint64_t in_64_bits = 0xffffffff;
  static constexpr std::int64_t end_bytes = 22, locator_bytes = 20, end64_bytes = 56, local_bytes = 30;

  [[noreturn]] void malformed(const std::string& what) const {
    npz_fail(error_code::malformed, fmt::format("{}: {}", from_.name, what));
  }

  std::string read(std::int64_t at, std::int64_t count) const {
    if (at < 0 || count < 0 || at > from_.size - count)
      malformed(fmt::format("a record of {} bytes at byte {} is beyond its {} bytes", count, at, from_.size));
    std::string bytes(static_cast<std::size_t>(count), '\0');
    from_.read(at, std::as_writable_bytes(std::span(bytes)));
    return bytes;
  }

  std::int64_t checked(std::uint64_t value, const char* what) const {
    if (value > static_cast<std::uint64_t>(from_.size))
      malformed(fmt::format("{} is {}, and it has {} bytes", what, value, from_.size));
    return static_cast<std::int64_t>(value);
  }

  // The directory's place and number of members, from the record at the end.
  void find() {
    std::string last = from_.size < end_bytes ? std::string() : read(from_.size - end_bytes, end_bytes);
    zip_fields f(last);
    if (f.take(4) != 0x06054b50)
      malformed(fmt::format("its last {} bytes are no end of a zip archive: it is none, is cut short, or has a comment",
                            end_bytes));
    const auto disk = f.take(2), first_disk = f.take(2);
    auto here = f.take(2), count = f.take(2), size = f.take(4), begin = f.take(4);
    if (f.take(2) != 0) malformed("its end record has a comment");
    end_ = from_.size - end_bytes;
    if (here == 0xffff || count == 0xffff || size == in_64_bits || begin == in_64_bits) find64(here, count, size, begin);
    if (disk != 0 || first_disk != 0 || here != count) malformed("it has several parts");
    if (count > static_cast<std::uint64_t>(npz_member_limit))
      npz_fail(error_code::limit_exceeded,
               fmt::format("{} has {} members: at most {} are read", from_.name, count, npz_member_limit));
    if (size > static_cast<std::uint64_t>(zip_directory_limit))
      npz_fail(error_code::limit_exceeded,
               fmt::format("{} has a directory of {} bytes: at most {} are read", from_.name, size, zip_directory_limit));
    count_ = static_cast<std::int64_t>(count);
    begin_ = checked(begin, "its directory's offset");
    if (begin_ + static_cast<std::int64_t>(size) != end_)
      malformed(fmt::format("its directory of {} bytes at byte {} does not end at byte {}", size, begin_, end_));
  }

  void find64(std::uint64_t& here, std::uint64_t& count, std::uint64_t& size, std::uint64_t& begin) {
    const std::string locator = read(end_ - locator_bytes, locator_bytes);
    zip_fields l(locator);
    if (l.take(4) != 0x07064b50 || l.take(4) != 0) malformed("its end record has no locator of the 64-bit one");
    const auto at = checked(l.take(8), "its 64-bit end record's offset");
    if (l.take(4) != 1 || at != end_ - locator_bytes - end64_bytes)
      malformed(fmt::format("its 64-bit end record at byte {} is not the {} bytes before the locator", at, end64_bytes));
    const std::string record = read(at, end64_bytes);
    zip_fields f(record);
    if (f.take(4) != 0x06064b50 || f.take(8) != end64_bytes - 12) malformed("its 64-bit end record is none");
    f.take(4);  // versions
    if (f.take(4) != 0 || f.take(4) != 0) malformed("it has several parts");
    here = f.take(8);
    count = f.take(8);
    size = f.take(8);
    begin = f.take(8);
    end_ = at;
  }

  // The 64-bit values of fields that do not hold theirs.
  void widen(std::string_view extra, std::initializer_list<std::uint64_t*> fields) const {
    zip_fields f(extra);
    while (f.rest().size() >= 4) {
      const auto id = f.take(2), size = f.take(2);
      zip_fields values(f.text(static_cast<std::size_t>(size)));
      if (id != 1) continue;
      for (auto* field : fields)
        if (*field == in_64_bits) *field = values.take(8);
      if (values.has_failed()) malformed("a 64-bit field is missing");
    }
    if (f.has_failed()) malformed("an extra field ends beyond its header");
  }

  zip_entry central(zip_fields& f) const {
    zip_entry e;
    const bool is_one = f.take(4) == 0x02014b50;
    f.take(4);  // versions
    e.read_common(f);
    const auto name = f.take(2), extra = f.take(2), comment = f.take(2), disk = f.take(2);
    f.take(6);  // attributes
    e.offset = f.take(4);
    e.name = f.text(static_cast<std::size_t>(name));
    widen(f.text(static_cast<std::size_t>(extra)), {&e.bytes, &e.stored, &e.offset});
    f.text(static_cast<std::size_t>(comment));
    if (!is_one || f.has_failed()) malformed("its directory ends early, or holds something else");
    if (disk != 0) malformed("it has several parts");
    check_readable(e);
    return e;
  }

  void check_readable(const zip_entry& e) const {
    const auto fail = [&](const std::string& what) {
      npz_fail(error_code::unsupported, fmt::format("{}: the member '{}' {}", from_.name, npy_shown(e.name), what));
    };
    if ((e.flags & zip_entry::encrypted) != 0) fail("is encrypted");
    if ((e.flags & ~zip_entry::known) != 0) fail(fmt::format("has the flags {:#06x}, which are not known", e.flags));
    if (e.method != 0 && e.method != 8)
      fail(fmt::format("is compressed by method {}: stored (0) and deflated (8) members are read", e.method));
    if (e.method == 0 && e.bytes != e.stored)
      malformed(fmt::format("the member '{}' is stored, has {} bytes and {} in the archive", npy_shown(e.name), e.bytes,
                            e.stored));
    if (e.stored > static_cast<std::uint64_t>(from_.size) ||
        e.bytes > e.stored * static_cast<std::uint64_t>(deflate_ratio_limit))
      malformed(fmt::format("the member '{}' claims {} bytes from {}: no more than {} times as many can come of them",
                            npy_shown(e.name), e.bytes, e.stored, deflate_ratio_limit));
  }

  // By its local header, which must say the same.
  npz_member located(const zip_entry& e) const {
    const auto at = checked(e.offset, "a member's offset");
    const std::string head = read(at, local_bytes);
    zip_fields f(head);
    zip_entry local;
    const bool is_one = f.take(4) == 0x04034b50;
    f.take(2);  // version
    local.read_common(f);
    const auto name = static_cast<std::int64_t>(f.take(2)), extra = static_cast<std::int64_t>(f.take(2));
    const std::string texts = read(at + local_bytes, name + extra);
    zip_fields t(texts);
    local.name = t.text(static_cast<std::size_t>(name));
    widen(t.rest(), {&local.bytes, &local.stored});
    const bool knows = (e.flags & zip_entry::sizes_follow) == 0;
    if (!is_one || local.name != e.name || local.flags != e.flags || local.method != e.method ||
        (knows && (local.crc != e.crc || local.stored != e.stored || local.bytes != e.bytes)))
      malformed(fmt::format("the member '{}' has another header at byte {} than in the directory", npy_shown(e.name), at));
    npz_member m{.name = e.name,
                 .bytes = static_cast<std::int64_t>(e.bytes),
                 .stored_bytes = static_cast<std::int64_t>(e.stored),
                 .offset = at + local_bytes + name + extra,
                 .crc = static_cast<std::uint32_t>(e.crc),
                 .compressed = e.method == 8};
    if (m.name.ends_with(".npy")) m.name.resize(m.name.size() - 4);
    return m;
  }

  void check_apart(const std::vector<zip_entry>& entries, const std::vector<npz_member>& all) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> places;
    for (std::size_t i = 0; i < all.size(); ++i)
      places.emplace_back(static_cast<std::int64_t>(entries[i].offset), all[i].offset + all[i].stored_bytes);
    std::sort(places.begin(), places.end());
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto next = i + 1 < places.size() ? places[i + 1].first : begin_;
      if (places[i].second > next)
        malformed(fmt::format("a member's bytes, {} to {}, reach into what begins at {}", places[i].first, places[i].second,
                              next));
    }
    std::vector<std::string_view> names;
    for (const auto& m : all) names.emplace_back(m.name);
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
      malformed(fmt::format("the member '{}' is there twice", npy_shown(*twice)));
  }

  const archive& from_;
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
