// Where a stream's bytes come from: the elements of rows alone, headers and offsets already passed over, numbered from 0 as if
// one file after another were one. Errors name the file and the offset in that file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "file.hpp"

namespace sluice::stream {

// Bytes mapped for reading, unmapped at the end. A file that was cut short beneath it reads as zeros, and check() says so.
class window {
 public:
  window() = default;
  window(window&& other) noexcept;
  window& operator=(window&& other) noexcept;
  ~window();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }  // empty: nothing is mapped
  // After the last use of the bytes and before anything is done with what came of them. Throws io.
  void check() const;

 private:
  friend class mapping;
  std::span<const std::byte> bytes_;
  // (private parts are the author's)
};

class source {
 public:
  virtual ~source() = default;

  // For sentences: the path, "standard input", or what the caller calls it.
  [[nodiscard]] virtual const std::string& name() const noexcept = 0;
  // Bytes of all rows; -1: not known before the end.
  [[nodiscard]] virtual std::int64_t bytes() const noexcept = 0;
  // Whether bytes can be read at any offset and again. What cannot is read by next(), once, by one thread at a time.
  [[nodiscard]] virtual bool seekable() const noexcept = 0;

  // Fills `out` from `at` on; from any thread. Throws io.
  virtual void read(std::int64_t at, std::span<std::byte> out) const = 0;
  // Fills `out` with what comes next; fewer bytes than that only at the end. Throws io.
  virtual std::size_t next(std::span<std::byte> out) = 0;
  // The bytes from `at` on, without a copy, where mapping was opted into and one file holds them all; else nothing.
  [[nodiscard]] virtual window map(std::int64_t at, std::int64_t bytes) const = 0;

  // Every file's size, time of last change and identity when it was opened, and where its rows begin: as long as this text
  // is the same, the bytes are. Empty for what cannot be read again.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  // Throws io, with both sizes, when a file is no longer what it was.
  virtual void check_unchanged() const = 0;
  // The regular files behind it, which no result may be written over.
  [[nodiscard]] virtual std::vector<identity> files() const = 0;
};

}  // namespace sluice::stream
