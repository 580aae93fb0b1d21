// Files as streams read them, by the calls of system.hpp: regular ones at offsets, windows, and standard input.
//
// Paths and sizes are in every sentence; `operation` is the name in brackets before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "system.hpp"
#include "window.hpp"

namespace sluice::files {

// Threads read from the page cache fastest in these; fewer than three are not worth waking a helper.
inline constexpr std::size_t read_piece = 1 << 20;
void in_pieces(std::span<std::byte> out, const std::function<void(std::size_t begin, std::span<std::byte> piece)>& read);

// Throws invalid_argument for what cannot be a path.
void check_path(const std::string& path, const char* operation);

// A regular file, open for reading. Throws io when it cannot be opened, invalid_argument when it is something else.
class file {
 public:
  file(std::string path, const char* operation);
  // A file that is open already, and is called `name`; a descriptor of its own.
  file(descriptor open, std::string name, const char* operation);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const char* operation() const noexcept { return operation_; }
  [[nodiscard]] const identity& id() const noexcept { return id_; }
  [[nodiscard]] std::int64_t size() const noexcept { return size_; }  // when it was opened

  // Fills `out`, or as much of it as there is before the end; returns the bytes read. Throws io.
  std::size_t read_some(std::int64_t offset, std::span<std::byte> out) const;
  // Fills `out`. Throws io; also, with both sizes, when the file ends before.
  void read(std::int64_t offset, std::span<std::byte> out) const;
  // The same, by several threads.
  void read_parallel(std::int64_t offset, std::span<std::byte> out) const;
  // The bytes without a copy; nothing, where that is refused, and on Windows. The first call installs a handler of
  // SIGBUS.
  [[nodiscard]] window map(std::int64_t offset, std::int64_t bytes) const;
  // Throws io, with both sizes, when the file ends before `end` now.
  void check_reaches(std::int64_t end) const;
  [[nodiscard]] std::string fingerprint() const;
  // Throws io, with both sizes, when the file is no longer what it was when it was opened.
  void check_unchanged() const;

 private:
  void inspect();
  [[nodiscard]] system::facts look() const;
  [[noreturn]] void fail_changed() const;

  std::string path_;
  const char* operation_;
  descriptor descriptor_;
  identity id_;
  std::int64_t size_ = 0;
  std::int64_t changed_ = 0;  // nanoseconds
};

// A regular file that is open as `number` already, by a descriptor of its own.
std::shared_ptr<const file> open_duplicate(int number, std::string name, const char* operation);

// Standard input. A regular file is opened for reading at offsets, and `begin` is where it stood; what else there is comes
// by read_standard_input(), which puts at least one byte into `out`, or returns 0 at the end, and throws io.
struct standard_input_file {
  std::shared_ptr<const file> in;  // none when it is no regular file
  std::int64_t begin = 0;
};
standard_input_file open_standard_input(const char* operation);
std::size_t read_standard_input(std::span<std::byte> out);

}  // namespace sluice::files
