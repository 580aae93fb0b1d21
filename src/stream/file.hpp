// What streams ask of the operating system: regular files read at offsets, and files written whole or not at all. The only
// place in this room with POSIX calls is file.cpp.
//
// Paths and sizes are in every sentence; `operation` is the name in brackets before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace sluice::stream {

class descriptor {
 public:
  explicit descriptor(int number = -1) noexcept : number_(number) {}
  descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~descriptor();

  [[nodiscard]] int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

// Which file it is, whatever it is called.
struct identity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  friend bool operator==(const identity&, const identity&) = default;
};

// A regular file, open for reading. Throws io when it cannot be opened, invalid_argument when it is something else.
class file {
 public:
  file(std::string path, const char* operation);

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
  // Throws io, with both sizes, when the size is no longer size().
  void check_size() const;

 private:
  [[noreturn]] void fail_changed() const;

  std::string path_;
  const char* operation_;
  descriptor descriptor_;
  identity id_;
  std::int64_t size_ = 0;
};

// A file that will be called `path`: written as PATH.partial, renamed by commit(), removed when commit() did not happen.
class partial_file {
 public:
  // Throws invalid_argument when `path` is something other than a regular file, or when it, or PATH.partial, is `source`; io
  // when it cannot be created or someone else is writing it.
  partial_file(std::string path, const char* operation, const file* source = nullptr);
  partial_file(const partial_file&) = delete;
  partial_file& operator=(const partial_file&) = delete;
  ~partial_file();

  void write(std::int64_t offset, std::span<const std::byte> data);
  void commit();

 private:
  void create(const file* source);
  [[noreturn]] void fail(const std::string& path, int reason) const;

  std::string path_;
  std::string partial_;
  const char* operation_;
  descriptor descriptor_;
  bool remove_ = false;
};

}  // namespace sluice::stream
