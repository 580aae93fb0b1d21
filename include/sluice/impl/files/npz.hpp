// .npz archives: members by name, whole.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/files/crc32.hpp"
#include "sluice/impl/files/inflate.hpp"
#include "sluice/impl/files/npy.hpp"
#include "sluice/impl/files/zip_directory.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

inline archive archive_of(std::span<const std::byte> bytes) {
  return {[bytes](std::int64_t at, std::span<std::byte> out) {
            if (!out.empty()) std::memcpy(out.data(), bytes.data() + at, out.size());
          },
          static_cast<std::int64_t>(bytes.size()), "the archive"};
}

inline archive archive_of(const file& in) {
  return {[&in](std::int64_t at, std::span<std::byte> out) { in.read(at, out); }, in.size(), in.path()};
}

// A member's bytes in order.
class member_reader {
 public:
  member_reader(const archive& from, const npz_member& m)
      : from_(from), member_(m), name_(fmt::format("the member '{}' of {}", npy_shown(m.name), from.name)) {
    if (m.offset < 0 || m.stored_bytes < 0 || m.offset > from.size - m.stored_bytes)
      npz_fail(error_code::invalid_argument, name_ + " is not one of it");
    if (m.compressed) inflater_.emplace([this](std::span<std::byte> out) { return stored(out); }, name_);
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // Fills `out`. Throws malformed where the member ends before.
  void read(std::span<std::byte> out) {
    const std::size_t got = inflater_ ? inflater_->next(out) : stored(out);
    done_ += static_cast<std::int64_t>(got);
    if (got < out.size()) fail_length(fmt::format("{}", done_));
    sum_ = crc32(out, sum_);
  }

  // After all of it was read.
  void check_end() {
    if (inflater_ && !inflater_->at_end()) fail_length(fmt::format("more than {}, or its compressed bytes are more", done_));
    if (sum_ != member_.crc)
      npz_fail(error_code::malformed,
               fmt::format("{} has the CRC {:08x}, and by its header {:08x}", name_, sum_, member_.crc));
  }

 private:
  std::size_t stored(std::span<std::byte> out) {
    out = out.first(static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(out), member_.stored_bytes - at_)));
    from_.read(member_.offset + at_, out);
    at_ += std::ssize(out);
    return out.size();
  }

  [[noreturn]] void fail_length(const std::string& found) const {
    npz_fail(error_code::malformed, fmt::format("{} has {} bytes, and by its header {}", name_, found, member_.bytes));
  }

  const archive& from_;
  const npz_member& member_;
  std::string name_;
  std::optional<inflater> inflater_;
  std::int64_t at_ = 0;    // in the archive
  std::int64_t done_ = 0;  // given out
  std::uint32_t sum_ = 0;
};

inline npz_member find_member(const archive& from, std::string_view name) {
  const auto all = zip_directory(from).members();
  const auto found = std::find_if(all.begin(), all.end(), [&](const npz_member& m) { return m.name == name; });
  if (found != all.end()) return *found;
  std::string names;
  for (const auto& m : all) {
    if (names.size() > 200) {
      names += ", ...";
      break;
    }
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", npy_shown(m.name));
  }
  npz_fail(error_code::invalid_argument, fmt::format("{} has no member '{}': it has {}", from.name, npy_shown(name),
                                                     names.empty() ? std::string("none") : names));
}

inline tensor read_member(const archive& from, std::string_view name) {
  const npz_member m = find_member(from, name);
  member_reader in(from, m);
  std::vector<std::byte> head;
  const auto peek = [&](std::size_t count) -> std::span<const std::byte> {
    const auto had = head.size();
    head.resize(std::max(had, static_cast<std::size_t>(std::min<std::int64_t>(static_cast<std::int64_t>(count), m.bytes))));
    in.read(std::span(head).subspan(had));
    return std::span(head).first(std::min(count, head.size()));
  };
  const npy_header h = read_npy_header(peek, in.name());
  check_length(h, in.name(), m.bytes);
  tensor t = npy_tensor(h);
  const auto out = memory_of_tensor(t);
  const auto begun = std::span<const std::byte>(head).subspan(static_cast<std::size_t>(h.data_offset));
  if (!h.is_converted()) {
    if (!begun.empty()) std::memcpy(out.data(), begun.data(), begun.size());
    in.read(out.subspan(begun.size()));
  } else {
    std::vector<std::byte> elements(begun.begin(), begun.end());
    const auto count = h.shape.count();
    const auto size = static_cast<std::int64_t>(h.element_bytes());
    for (std::int64_t first = 0; first < count; first += converted_elements) {
      const auto had = elements.size();
      const auto wanted = static_cast<std::size_t>(std::min(converted_elements, count - first) * size);
      if (had < wanted) {
        elements.resize(wanted);
        in.read(std::span(elements).subspan(had));
      }
      convert_npy(h, std::span(elements).first(wanted), out.data() + first * static_cast<std::int64_t>(size_of(h.dtype)),
                  first);
      elements.erase(elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(wanted));
    }
  }
  in.check_end();
  return t;
}

}  // namespace files

SLUICE_FUNC std::vector<npz_member> npz_members(std::span<const std::byte> bytes) {
  const auto from = files::archive_of(bytes);
  return files::zip_directory(from).members();
}

SLUICE_FUNC std::vector<npz_member> npz_members(const std::string& path) {
  const files::file in(path, "npz_members");
  const auto from = files::archive_of(in);
  return files::zip_directory(from).members();
}

SLUICE_FUNC void unpack_npz(std::span<const std::byte> bytes, const npz_member& member, std::span<std::byte> out) {
  if (std::ssize(out) != member.bytes)
    files::npz_fail(error_code::invalid_argument, fmt::format("the member '{}' has {} bytes: {} are to be filled",
                                                              files::npy_shown(member.name), member.bytes, out.size()));
  auto from = files::archive_of(bytes);
  if (!member.compressed && out.data() == bytes.data() + member.offset)
    from.read = [](std::int64_t, std::span<std::byte>) {};
  files::member_reader in(from, member);
  in.read(out);
  in.check_end();
}

SLUICE_FUNC tensor decode_npz(std::span<const std::byte> bytes, std::string_view member) {
  return files::read_member(files::archive_of(bytes), member);
}

SLUICE_FUNC tensor read_npz(const std::string& path, std::string_view member) {
  const files::file in(path, "read_npz");
  return files::read_member(files::archive_of(in), member);
}

}  // namespace SLUICE_ABI
}  // namespace sluice
