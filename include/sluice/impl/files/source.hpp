// Where the bytes of a stream come from: files as one, or a function that is called once and in order.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/file_stream.hpp"
#include "sluice/impl/files/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

class source {
 public:
  virtual ~source() = default;

  // For sentences: the path, "standard input", or what the caller calls it.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Bytes of all rows; -1: not known before the end.
  [[nodiscard]] std::int64_t bytes() const noexcept { return bytes_; }
  // Whether bytes can be read at any offset and again. What cannot is read by next(), once, by one thread at a time.
  [[nodiscard]] virtual bool seekable() const noexcept = 0;

  // Called before all of it is read: throws invalid_argument the second time where the source can be read once only.
  virtual void begin() {}
  // Fills `out` from `at` on; from any thread. Throws io.
  virtual void read(std::int64_t at, std::span<std::byte> out) const = 0;
  // Puts what one call of the system or of the caller's function gives into `out`, at least one byte; returns how many, and
  // 0 at the end, which must be behind a whole row. Throws io, malformed, and what the caller's own function throws.
  virtual std::size_t next_some(std::span<std::byte> out) = 0;
  // The same, until `out` is full: fewer bytes only at the end.
  std::size_t next(std::span<std::byte> out);
  // The bytes from `at` on, without a copy, where mapping was opted into, one file holds them all and the system does it;
  // else nothing, and read() is the way. Regions of 8 MiB are read fastest.
  [[nodiscard]] virtual mapped_region map(std::int64_t at, std::int64_t bytes) const = 0;
  // Whether map() is worth asking: until it found bytes that are not in memory, which come faster by reading.
  [[nodiscard]] virtual bool maps() const noexcept = 0;

  // As long as these are the same, the bytes are: of every file a line of its size, time of writing and base::file_identity
  // when it was opened, and where its rows begin ("input"); the time of its last change of status ("input_status"); and a
  // sample of its bytes ("input_sample"). Empty values for what cannot be read again. Throws io.
  [[nodiscard]] virtual named_values identity() const = 0;
  // Throws io, with both sizes, when a file is no longer what it was.
  virtual void check_unchanged() const = 0;
  // The regular files behind it, which no result may be written over.
  [[nodiscard]] virtual std::vector<base::file_identity> files() const = 0;

 protected:
  source(std::string name, std::int64_t bytes) : name_(std::move(name)), bytes_(bytes) {}

  std::string name_;
  std::int64_t bytes_;
};

// read() by several threads.
void read_parallel(const source& from, std::int64_t at, std::span<std::byte> out);

// A file's rows.
struct file_part {
  std::shared_ptr<const file> in;
  std::int64_t begin = 0;  // of row 0
  std::int64_t bytes = 0;
};

// Regular files as one.
class file_source final : public source {
 public:
  file_source(std::vector<file_part> parts, bool mapped);

  [[nodiscard]] bool seekable() const noexcept override { return true; }
  void read(std::int64_t at, std::span<std::byte> out) const override;
  std::size_t next_some(std::span<std::byte> out) override;
  [[nodiscard]] mapped_region map(std::int64_t at, std::int64_t bytes) const override;
  [[nodiscard]] bool maps() const noexcept override { return mapped_ && !cold_.load(std::memory_order_relaxed); }
  [[nodiscard]] named_values identity() const override;
  void check_unchanged() const override;
  [[nodiscard]] std::vector<base::file_identity> files() const override;

 private:
  // The part that byte `at` is in.
  [[nodiscard]] std::size_t part_of(std::int64_t at) const;

  std::vector<file_part> parts_;
  std::vector<std::int64_t> ends_;  // of each part, in bytes of rows
  bool mapped_;
  mutable std::atomic<bool> cold_{false};
  std::int64_t next_ = 0;
};

// Bytes that a function brings, once and in order.
class callback_source final : public source {
 public:
  using function = std::function<std::size_t(std::span<std::byte> out)>;

  // `files`: what it is known to read from.
  callback_source(function read, std::string name, std::vector<base::file_identity> files = {});

  // The first bytes, `count` of them or all there are; they stay.
  std::span<const std::byte> peek(std::size_t count);
  // Rows of `row_bytes` begin behind the first `offset` bytes: `bytes` of them, or, for -1, all that comes.
  void rows_begin(std::int64_t offset, std::int64_t row_bytes, std::int64_t bytes);

  [[nodiscard]] bool seekable() const noexcept override { return false; }
  void begin() override;
  void read(std::int64_t at, std::span<std::byte> out) const override;
  std::size_t next_some(std::span<std::byte> out) override;
  [[nodiscard]] mapped_region map(std::int64_t, std::int64_t) const override { return {}; }
  [[nodiscard]] bool maps() const noexcept override { return false; }
  [[nodiscard]] named_values identity() const override { return {{"input", ""}}; }
  void check_unchanged() const override {}
  [[nodiscard]] std::vector<base::file_identity> files() const override { return files_; }

 private:
  std::size_t pull(std::span<std::byte> out);
  void check_end();

  function read_;
  std::vector<base::file_identity> files_;
  std::vector<std::byte> first_;  // peeked at, not yet handed out
  std::int64_t offset_ = 0;
  std::int64_t row_bytes_ = 1;
  std::int64_t done_ = 0;  // bytes of rows handed out
  bool begun_ = false;
  bool ended_ = false;
};

inline std::string name_of_all(const std::vector<file_part>& parts) {
  const std::string& first = parts.front().in->path();
  return parts.size() == 1 ? first : fmt::format("{} and {} more", first, parts.size() - 1);
}

inline void read_parallel(const source& from, std::int64_t at, std::span<std::byte> out) {
  in_blocks(out,
            [&](std::size_t begin, std::span<std::byte> block) { from.read(at + static_cast<std::int64_t>(begin), block); });
}

inline std::size_t source::next(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t n = next_some(out.subspan(done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

inline file_source::file_source(std::vector<file_part> parts, bool mapped)
    : source(name_of_all(parts), 0), parts_(std::move(parts)), mapped_(mapped) {
  for (const auto& part : parts_) {
    if (__builtin_add_overflow(bytes_, part.bytes, &bytes_))
      throw error(error_code::malformed,
                  fmt::format("[file_stream] {} and those before it have more bytes than fit in 63 bits", part.in->path()));
    ends_.push_back(bytes_);
  }
}

inline std::size_t file_source::part_of(std::int64_t at) const {
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), at) - ends_.begin());
}

inline void file_source::read(std::int64_t at, std::span<std::byte> out) const {
  for (std::size_t i = part_of(at); !out.empty(); ++i) {
    if (i >= parts_.size())
      throw error(error_code::internal, fmt::format("[file_stream] {} more bytes at {} of {}", out.size(), at, bytes_));
    const auto& part = parts_[i];
    const auto here = std::min(out.size(), static_cast<std::size_t>(ends_[i] - at));
    part.in->read(part.begin + part.bytes - (ends_[i] - at), out.first(here));
    out = out.subspan(here);
    at += static_cast<std::int64_t>(here);
  }
}

inline std::size_t file_source::next_some(std::span<std::byte> out) {
  out = out.first(std::min(out.size(), static_cast<std::size_t>(bytes_ - next_)));
  read(next_, out);
  next_ += static_cast<std::int64_t>(out.size());
  return out.size();
}

inline mapped_region file_source::map(std::int64_t at, std::int64_t bytes) const {
  const std::size_t i = part_of(at);
  if (!maps() || bytes <= 0 || i >= parts_.size() || bytes > ends_[i] - at) return {};
  const auto& part = parts_[i];
  mapped_region w = part.in->map(part.begin + part.bytes - (ends_[i] - at), bytes);
  if (w.in_memory()) return w;
  cold_ = true;
  return {};
}

// Blocks of a sample, in all: 16 of one file, which take 0.1 ms from the page cache, and at least the first of each.
inline constexpr std::int64_t sample_blocks = 256;

inline named_values file_source::identity() const {
  const auto blocks = static_cast<int>(std::clamp<std::int64_t>(sample_blocks / std::ssize(parts_), 1, 16));
  std::string files, status, sample;
  for (const auto& part : parts_) {
    files += fmt::format("{} from {}\n", part.in->fingerprint(), part.begin);
    status += part.in->status() + '\n';
    sample += fmt::format("checksum {:016x}\n", part.in->sample(blocks));
  }
  return {{"input", std::move(files)}, {"input_status", std::move(status)}, {"input_sample", std::move(sample)}};
}

inline void file_source::check_unchanged() const {
  for (const auto& part : parts_) part.in->check_unchanged();
}

inline std::vector<base::file_identity> file_source::files() const {
  std::vector<base::file_identity> all;
  for (const auto& part : parts_) all.push_back(part.in->id());
  return all;
}

inline callback_source::callback_source(function read, std::string name, std::vector<base::file_identity> files)
    : source(std::move(name), -1), read_(std::move(read)), files_(std::move(files)) {}

inline std::size_t callback_source::pull(std::span<std::byte> out) {
  if (ended_ || out.empty()) return 0;
  const std::size_t n = read_(out);
  if (n > out.size())
    throw error(error_code::invalid_argument,
                fmt::format("[file_stream] {}: its function returned {} for a buffer of {} bytes", name_, n, out.size()));
  ended_ = n == 0;
  return n;
}

inline std::span<const std::byte> callback_source::peek(std::size_t count) {
  while (first_.size() < count && !ended_) {
    const std::size_t had = first_.size();
    first_.resize(count);
    first_.resize(had + pull(std::span(first_).subspan(had)));
  }
  return std::span(first_).first(std::min(count, first_.size()));
}

inline void callback_source::rows_begin(std::int64_t offset, std::int64_t row_bytes, std::int64_t bytes) {
  // Skipped in small steps: an offset may be larger than memory.
  for (std::int64_t left = offset; left > 0;) {
    const auto step = static_cast<std::size_t>(std::min<std::int64_t>(left, 1 << 16));
    const std::size_t there = peek(step).size();
    if (there == 0)
      throw error(error_code::malformed,
                  fmt::format("[file_stream] {} has {} bytes: none at byte_offset {}", name_, offset - left, offset));
    first_.erase(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(there));
    left -= static_cast<std::int64_t>(there);
  }
  offset_ = offset;
  row_bytes_ = row_bytes;
  bytes_ = bytes;
}

inline void callback_source::begin() {
  if (std::exchange(begun_, true))
    throw error(error_code::invalid_argument,
                fmt::format("[file_stream] {} has been read: it can be read once only", name_));
}

inline void callback_source::read(std::int64_t at, std::span<std::byte>) const {
  throw error(error_code::invalid_argument,
              fmt::format("[file_stream] {} at byte {}: it can be read once only, in order", name_, offset_ + at));
}

inline std::size_t callback_source::next_some(std::span<std::byte> out) {
  if (bytes_ >= 0) out = out.first(std::min(out.size(), static_cast<std::size_t>(bytes_ - done_)));
  std::size_t got = std::min(out.size(), first_.size());
  if (got > 0) {
    std::memcpy(out.data(), first_.data(), got);
    first_.erase(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(got));
  } else {
    got = pull(out);
  }
  done_ += static_cast<std::int64_t>(got);
  check_end();
  return got;
}

inline void callback_source::check_end() {
  const auto fail = [&](const std::string& what) {
    throw error(error_code::malformed, fmt::format("[file_stream] {}{}", name_, what));
  };
  if (bytes_ >= 0 && done_ == bytes_ && !peek(1).empty())
    fail(fmt::format(" has bytes after its last row, at byte {}", offset_ + bytes_));
  if (!ended_ || !first_.empty()) return;
  if (bytes_ >= 0 && done_ < bytes_)
    fail(fmt::format(" has {} bytes, {} fewer than the {} of its header and its rows", offset_ + done_, bytes_ - done_,
                     offset_ + bytes_));
  if (bytes_ < 0 && done_ == 0) fail(fmt::format(" has {} bytes: no row", offset_));
  if (row_bytes_ > 0 && done_ % row_bytes_ != 0)
    fail(fmt::format(" has {} bytes{}: not a multiple of a row's {}, {} are left over", done_,
                     offset_ > 0 ? fmt::format(" after byte {}", offset_) : "", row_bytes_, done_ % row_bytes_));
}

// What a file_stream shows to the library alone.
struct stream_access {
  static source& source_of(const file_stream& in) noexcept { return *in.source_; }
};
inline source& source_of(const file_stream& in) noexcept { return stream_access::source_of(in); }

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
