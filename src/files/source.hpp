// Where a stream's bytes come from: the elements of rows alone, headers and offsets already passed over, numbered from 0 as
// if one file after another were one. Errors name the file and the offset in that file.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "file.hpp"

namespace sluice::files {

class source {
 public:
  virtual ~source() = default;

  // For sentences: the path, "standard input", or what the caller calls it.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Bytes of all rows; -1: not known before the end.
  [[nodiscard]] std::int64_t bytes() const noexcept { return bytes_; }
  // Whether bytes can be read at any offset and again. What cannot is read by next(), once, by one thread at a time.
  [[nodiscard]] virtual bool seekable() const noexcept = 0;

  // Called by whoever is about to read all of it: throws invalid_argument the second time, where bytes come once.
  virtual void begin() {}
  // Fills `out` from `at` on; from any thread. Throws io.
  virtual void read(std::int64_t at, std::span<std::byte> out) const = 0;
  // Puts what one call of the system or of the caller's function gives into `out`, at least one byte; returns how many, and
  // 0 at the end, which must be behind a whole row. Throws io, malformed, and what the caller's own function throws.
  virtual std::size_t next_some(std::span<std::byte> out) = 0;
  // The same, until `out` is full: fewer bytes only at the end.
  std::size_t next(std::span<std::byte> out);
  // The bytes from `at` on, without a copy, where mapping was opted into, one file holds them all and the system does it;
  // else nothing, and read() is the way. Windows of 8 MiB are read fastest.
  [[nodiscard]] virtual window map(std::int64_t at, std::int64_t bytes) const = 0;
  // Whether map() is worth asking: until it found bytes that are not in memory, which come faster by reading.
  [[nodiscard]] virtual bool maps() const noexcept = 0;

  // Every file's size, time of last change and identity when it was opened, and where its rows begin: as long as this text
  // is the same, the bytes are. Empty for what cannot be read again.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  // Throws io, with both sizes, when a file is no longer what it was.
  virtual void check_unchanged() const = 0;
  // The regular files behind it, which no result may be written over.
  [[nodiscard]] virtual std::vector<identity> files() const = 0;

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
  [[nodiscard]] window map(std::int64_t at, std::int64_t bytes) const override;
  [[nodiscard]] bool maps() const noexcept override { return mapped_ && !cold_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string fingerprint() const override;
  void check_unchanged() const override;
  [[nodiscard]] std::vector<identity> files() const override;

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
class feed final : public source {
 public:
  using function = std::function<std::size_t(std::span<std::byte> out)>;

  // `files`: what it is known to read from.
  feed(function read, std::string name, std::vector<identity> files = {});

  // The first bytes, `count` of them or all there are; they stay.
  std::span<const std::byte> peek(std::size_t count);
  // Rows of `row_bytes` begin behind the first `offset` bytes: `bytes` of them, or, for -1, all that comes.
  void rows_begin(std::int64_t offset, std::int64_t row_bytes, std::int64_t bytes);

  [[nodiscard]] bool seekable() const noexcept override { return false; }
  void begin() override;
  void read(std::int64_t at, std::span<std::byte> out) const override;
  std::size_t next_some(std::span<std::byte> out) override;
  [[nodiscard]] window map(std::int64_t, std::int64_t) const override { return {}; }
  [[nodiscard]] bool maps() const noexcept override { return false; }
  [[nodiscard]] std::string fingerprint() const override { return {}; }
  void check_unchanged() const override {}
  [[nodiscard]] std::vector<identity> files() const override { return files_; }

 private:
  std::size_t pull(std::span<std::byte> out);
  void check_end();

  function read_;
  std::vector<identity> files_;
  std::vector<std::byte> first_;  // peeked at, not yet handed out
  std::int64_t offset_ = 0;
  std::int64_t row_bytes_ = 1;
  std::int64_t done_ = 0;  // bytes of rows handed out
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace sluice::files
