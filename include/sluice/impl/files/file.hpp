// Files as streams read them: regular files at offsets, mapped regions, and standard input. Paths and sizes are in every
// message; `operation` is the name in brackets before it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/impl/base/file.hpp"
#include "sluice/impl/files/mapped_region.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// What identifies a run or its input: names and values.
using named_values = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::string_view start_again = "start again with resume::never (sluice-rowsum --fresh)";

// FNV-1a: detects corruption and change, not forgery.
inline std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t sum = 0xcbf29ce484222325) {
  for (const std::byte b : bytes) sum = (sum ^ static_cast<unsigned char>(b)) * 0x100000001b3;
  return sum;
}

// Threads read from the page cache fastest in these; fewer than three are not worth waking a helper.
inline constexpr std::size_t read_block = 1 << 20;
void in_blocks(std::span<std::byte> out, const std::function<void(std::size_t begin, std::span<std::byte> block)>& read);

// Throws invalid_argument for what cannot be a path.
void check_path(const std::string& path, const char* operation);

// A regular file, open for reading. Throws io when it cannot be opened, invalid_argument when it is something else.
class file {
 public:
  file(std::string path, const char* operation);
  // A file that is open already, and is called `name`; a base::file_descriptor of its own.
  file(base::file_descriptor open, std::string name, const char* operation);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const char* operation() const noexcept { return operation_; }
  [[nodiscard]] const base::file_identity& id() const noexcept { return id_; }
  [[nodiscard]] std::int64_t size() const noexcept { return size_; }  // when it was opened

  // Fills `out`, or as much of it as there is before the end; returns the bytes read. Throws io.
  std::size_t read_some(std::int64_t offset, std::span<std::byte> out) const;
  // Fills `out`. Throws io; also, with both sizes, when the file ends before.
  void read(std::int64_t offset, std::span<std::byte> out) const;
  // The same, by several threads.
  void read_parallel(std::int64_t offset, std::span<std::byte> out) const;
  // The bytes without a copy; nothing, where that is refused, and on Windows. The first call installs a handler of
  // SIGBUS.
  [[nodiscard]] mapped_region map(std::int64_t offset, std::int64_t bytes) const;
  // Throws io, with both sizes, when the file ends before `end` now.
  void check_reaches(std::int64_t end) const;
  // Size, time of the last write and base::file_identity, when it was opened.
  [[nodiscard]] std::string fingerprint() const;
  // The time of the last change of its bytes or its status, likewise: it tells a file that was overwritten in place and
  // given its old time of writing.
  [[nodiscard]] std::string status() const;
  // A checksum of its first and last 4 KiB and of `blocks` in all, when it was first asked for; of one block the first.
  std::uint64_t sample(int blocks) const;
  // Throws io, with both sizes, when the file is no longer what it was when it was opened. A chmod, a rename, a link or a
  // removal changes its status alone: that is no change of the file, unless the sample differs too.
  void check_unchanged() const;

 private:
  void inspect();
  [[nodiscard]] std::uint64_t read_sample(int blocks) const;
  [[nodiscard]] base::file_status look() const;
  [[noreturn]] void fail_changed() const;

  std::string path_;
  const char* operation_;
  base::file_descriptor descriptor_;
  base::file_identity id_;
  std::int64_t size_ = 0;
  std::int64_t changed_ = 0;  // nanoseconds
  std::int64_t status_changed_ = 0;
  mutable std::mutex mutex_;        // of the next
  mutable base::file_status seen_;  // what check_unchanged() took for the same file last
  mutable std::string place_;       // likewise
  mutable std::optional<std::uint64_t> sample_;
  mutable int sample_blocks_ = 0;
};

// A regular file that is open as `number` already, by a base::file_descriptor of its own.
std::shared_ptr<const file> open_duplicate(int number, std::string name, const char* operation);

// Standard input. A regular file is opened for reading at offsets, and `begin` is where it stood; what else there is comes
// by read_standard_input(), which puts at least one byte into `out`, or returns 0 at the end, and throws io.
struct standard_input_file {
  std::shared_ptr<const file> in;  // none when it is no regular file
  std::int64_t begin = 0;
};
standard_input_file open_standard_input(const char* operation);
std::size_t read_standard_input(std::span<std::byte> out);

inline void check_path(const std::string& path, const char* operation) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] a path of {} bytes is empty or holds a zero byte", operation, path.size()));
}

inline void in_blocks(std::span<std::byte> out,
                      const std::function<void(std::size_t begin, std::span<std::byte> block)>& read) {
  const std::size_t blocks = (out.size() + read_block - 1) / read_block;
  if (blocks <= 2) return read(0, out);
  parallel_for(static_cast<std::int64_t>(blocks), [&](std::int64_t i) {
    const std::size_t begin = static_cast<std::size_t>(i) * read_block;
    read(begin, out.subspan(begin, std::min(read_block, out.size() - begin)));
  });
}

inline file::file(std::string path, const char* operation) : path_(std::move(path)), operation_(operation) {
  check_path(path_, operation_);
  if (const auto why = base::open_to_read(path_, base::links::follow, descriptor_); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, why.message()));
  inspect();
}

inline file::file(base::file_descriptor open, std::string name, const char* operation)
    : path_(std::move(name)), operation_(operation), descriptor_(std::move(open)) {
  inspect();
}

inline base::file_status file::look() const {
  base::file_status now;
  if (const auto why = base::status_of(descriptor_, now); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, why.message()));
  return now;
}

inline void file::inspect() {
  const base::file_status now = look();
  if (now.other != nullptr)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: not a regular file{}", operation_, path_, now.other,
                            std::string_view(now.other) == "a directory"
                                ? ""
                                : "; what comes once and in order is read as standard input (sluice-rowsum -) or by "
                                  "file_stream::from"));
  id_ = now.id;
  size_ = now.size;
  changed_ = now.changed;
  status_changed_ = now.status_changed;
  seen_ = now;
  place_ = base::current_path(descriptor_);
  base::expect_sequential(descriptor_);
}

inline std::size_t file::read_some(std::int64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t at = offset + static_cast<std::int64_t>(done);
    std::size_t n = 0;
    if (const auto why = base::read_at(descriptor_, at, out.subspan(done), n); why)
      throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, path_, why.message(), at));
    if (n == 0) break;
    done += n;
  }
  return done;
}

inline void file::read(std::int64_t offset, std::span<std::byte> out) const {
  if (read_some(offset, out) != out.size()) fail_changed();
}

inline void file::read_parallel(std::int64_t offset, std::span<std::byte> out) const {
  in_blocks(out,
            [&](std::size_t begin, std::span<std::byte> block) { read(offset + static_cast<std::int64_t>(begin), block); });
}

inline std::string file::fingerprint() const {
  return fmt::format("{} bytes, changed at {} ns, file {} of device {}", size_, changed_, id_.number, id_.device);
}

inline std::string file::status() const {
  return fmt::format("status of file {} changed at {} ns", id_.number, status_changed_);
}

inline constexpr std::int64_t sample_bytes = 4096;  // of a block

inline std::uint64_t file::read_sample(int blocks) const {
  std::vector<std::byte> block(static_cast<std::size_t>(std::min(size_, sample_bytes)));
  const std::int64_t last = size_ - std::ssize(block);
  const std::int64_t step = blocks > 1 ? std::max(last / (blocks - 1), std::min(last, sample_bytes)) : 0;
  std::uint64_t sum = checksum({});
  for (int i = 0; i < blocks; ++i) {
    const std::int64_t at = i + 1 < blocks ? std::min(last, step * i) : step > 0 ? last : 0;
    read(at, block);
    sum = checksum(block, sum);
    if (at == last) break;
  }
  return sum;
}

inline std::uint64_t file::sample(int blocks) const {
  const std::lock_guard lock(mutex_);
  if (!sample_) {
    sample_ = read_sample(blocks);
    sample_blocks_ = blocks;
  }
  return *sample_;
}

inline void file::check_unchanged() const {
  const base::file_status now = look();
  if (now.size != size_ || now.changed != changed_) fail_changed();
  const std::lock_guard lock(mutex_);
  if (now.status_changed == seen_.status_changed) return;
  std::string place = base::current_path(descriptor_);
  const bool explained = place.empty() || place != place_ || now.permissions != seen_.permissions ||
                         now.owner != seen_.owner || now.links != seen_.links;
  if (!explained || (sample_ && read_sample(sample_blocks_) != *sample_))
    throw error(
        error_code::io,
        fmt::format("[{}] {} changed while it was read: its status changed at {} ns, {}, though its time of writing is "
                    "{} ns as when it was opened",
                    operation_, path_, now.status_changed,
                    explained ? "and bytes with it" : "and no chmod, rename or link explains it", changed_));
  seen_ = now;
  place_ = std::move(place);
}

inline void file::check_reaches(std::int64_t end) const {
  base::file_status now;
  if (base::status_of(descriptor_, now) || now.size < end) fail_changed();
}

inline void file::fail_changed() const {
  const base::file_status now = look();
  if (now.size == size_ && now.changed != changed_)
    throw error(error_code::io,
                fmt::format("[{}] {} changed while it was read: its {} bytes were last written at {} ns when "
                            "it was opened, and at {} ns since",
                            operation_, path_, size_, changed_, now.changed));
  throw error(error_code::io,
              fmt::format("[{}] {} had {} bytes when it was opened and has {} now: it changed while it was read", operation_,
                          path_, size_, now.size));
}

inline std::shared_ptr<const file> open_duplicate(int number, std::string name, const char* operation) {
  base::file_descriptor own;
  if (const auto why = base::duplicate(number, own); why)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, why.message()));
  return std::make_shared<const file>(std::move(own), std::move(name), operation);
}

inline standard_input_file open_standard_input(const char* operation) {
  const std::string name = "standard input";
  base::file_status found;
  standard_input_file in;
  auto why = base::status_of_standard_input(found);
  if (!why && found.other != nullptr) return in;
  if (!why) why = base::position_of_standard_input(in.begin);
  if (why) throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, why.message()));
  in.in = open_duplicate(base::standard_input, name, operation);
  return in;
}

inline std::size_t read_standard_input(std::span<std::byte> out) {
  std::size_t done = 0;
  if (const auto why = base::read_standard_input(out, done); why)
    throw error(error_code::io, fmt::format("[file_stream] standard input: {}", why.message()));
  return done;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/files/mapped_region_windows.hpp"
#else
#include "sluice/impl/files/mapped_region_posix.hpp"
#endif
