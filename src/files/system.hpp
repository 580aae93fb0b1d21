// What streams ask of the operating system about files: system_posix.cpp and system_windows.cpp answer, of which a build has
// one, and mapping_posix.cpp and mapping_windows.cpp for windows. Each call returns why it failed, or nothing; none is cut
// short by a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace sluice::files {

// An open file by its number: on Windows that of the C runtime.
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

namespace system {

struct facts {
  identity id;
  std::int64_t size = 0;
  std::int64_t changed = 0;     // nanoseconds
  unsigned permissions = 0;     // none are told on Windows, nor set
  const char* other = nullptr;  // what it is, "a directory", when it is no regular file
};

enum class links { follow, keep };

std::error_code look(const descriptor& file, facts& found);
std::error_code look(const std::string& path, links last, facts& found);

// For reading, whatever it is: a pipe that nobody writes is not waited for.
std::error_code open_to_read(const std::string& path, descriptor& opened);
// For reading and writing, made when it is missing; no link is followed.
std::error_code open_to_write(const std::string& path, descriptor& opened);
std::error_code duplicate(int number, descriptor& opened);
// Advice, and no more: it is read from the beginning to the end.
void read_in_order(const descriptor& file) noexcept;

// One read or write at an offset, perhaps of fewer bytes: `done` of them. Reading none is the end of the file.
std::error_code read(const descriptor& file, std::int64_t offset, std::span<std::byte> out, std::size_t& done);
std::error_code write(const descriptor& file, std::int64_t offset, std::span<const std::byte> data, std::size_t& done);

std::error_code resize(const descriptor& file, std::int64_t bytes);
std::error_code sync(const descriptor& file);
// Has the names in a folder on the disk, where that can be asked.
std::error_code sync_folder(const std::string& folder);
// Keeps others out until it is closed; std::errc::operation_would_block: another has it. Nothing where locks are unknown.
std::error_code lock(const descriptor& file);
// Its owner may read and write it at least, when `owner_too`.
std::error_code set_permissions(const descriptor& file, unsigned permissions, bool owner_too);
// Puts a file in the place of another in one step.
std::error_code rename(const std::string& from, const std::string& to);
std::error_code remove(const std::string& path) noexcept;

// Standard input.
inline constexpr int standard_input = 0;
std::error_code look_at_standard_input(facts& found);
std::error_code position_of_standard_input(std::int64_t& position);
// Waits for at least one byte; none is the end.
std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done);

}  // namespace system
}  // namespace sluice::files
