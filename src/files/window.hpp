// Bytes of a file mapped for reading, unmapped at the end.
//
//     const window w = in.map(0, 8 << 20);
//     sum(w.bytes());
//     w.check();                    // a file that was cut short beneath it read as zeros
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sluice::files {

class file;

class window {
 public:
  window() = default;
  window(window&& other) noexcept { *this = std::move(other); }
  window& operator=(window&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(pages_, other.pages_);
    std::swap(in_, other.in_);
    std::swap(slot_, other.slot_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~window();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }  // empty: nothing is mapped
  // Whether the page cache has them, by a look at a few pages; true where that cannot be told.
  [[nodiscard]] bool in_memory() const noexcept;
  // After the last use of the bytes and before anything is done with what came of them. Throws io.
  void check() const;

 private:
  friend class file;
  std::span<const std::byte> bytes_;
  std::span<std::byte> pages_;  // that hold them
  const file* in_ = nullptr;    // outlives the window
  int slot_ = -1;               // where the handler of SIGBUS finds it
  std::int64_t end_ = 0;        // in the file
};

}  // namespace sluice::files
