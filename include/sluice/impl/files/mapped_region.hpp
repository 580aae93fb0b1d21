// Bytes of a file mapped for reading, unmapped at the end.
//
//     const mapped_region r = in.map(0, 8 << 20);
//     sum(r.bytes());
//     r.check();                    // bytes that the file lost meanwhile read as zeros
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

class file;

class mapped_region {
 public:
  mapped_region() = default;
  mapped_region(mapped_region&& other) noexcept { *this = std::move(other); }
  mapped_region& operator=(mapped_region&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(pages_, other.pages_);
    std::swap(in_, other.in_);
    std::swap(entry_, other.entry_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~mapped_region();

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }  // empty: nothing is mapped
  // Whether the page cache has them, by a look at a few pages; true where that cannot be told.
  [[nodiscard]] bool in_memory() const noexcept;
  // After the last use of the bytes and before anything is done with what came of them. Throws io.
  void check() const;

 private:
  friend class file;
  std::span<const std::byte> bytes_;
  std::span<std::byte> pages_;  // that hold them
  const file* in_ = nullptr;    // outlives the region
  int entry_ = -1;              // where the handler of SIGBUS finds it
  std::int64_t end_ = 0;        // in the file
};

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
