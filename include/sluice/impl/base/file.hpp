// Files, as the operating system has them. Each call returns why it failed, or nothing; no call is interrupted by a signal.
// Paths are narrow strings as std::filesystem::path reads and writes them.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// An open file or folder by its number (on Windows the C runtime's). Closes it.
class file_descriptor {
 public:
  explicit file_descriptor(int number = -1) noexcept : number_(number) {}
  file_descriptor(file_descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~file_descriptor();

  [[nodiscard]] int get() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

// Which file it is, whatever its name.
struct file_identity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  friend bool operator==(const file_identity&, const file_identity&) = default;
};

struct file_status {
  file_identity id{};
  std::int64_t size = 0;
  std::int64_t changed = 0;  // the bytes, as far as nobody set that time; nanoseconds since 1970
  // The bytes or what is known of the file, such as its name or permissions (ctime); nobody can set it. 0: the file system
  // does not tell.
  std::int64_t status_changed = 0;
  unsigned permissions = 0;  // POSIX mode bits; 0 on Windows
  std::uint64_t owner = 0;   // user and group, likewise
  std::uint64_t links = 0;
  const char* other = nullptr;  // what it is, "a directory", when it is not a regular file
};

enum class links { follow, keep };

std::error_code status_of(const file_descriptor& file, file_status& found);
std::error_code status_of(const std::string& path, links last, file_status& found);

// Where an open file is found now, as far as the system tells; "" where it does not.
std::string current_path(const file_descriptor& file);

// For reading; a pipe without a writer does not block. links::keep: a symbolic link is an error.
std::error_code open_to_read(const std::string& path, links last, file_descriptor& opened);
// For reading and writing, created when missing with `permissions`; a symbolic link is an error.
std::error_code open_to_write(const std::string& path, unsigned permissions, file_descriptor& opened);
// Creates the folder, and those above it that are missing, with `permissions`; one that is there keeps its own.
std::error_code make_folders(const std::string& path, unsigned permissions);
// To be passed to open_beneath.
std::error_code open_folder(const std::string& path, file_descriptor& opened);
// Opens for reading what is at `path`, relative to `root`. A component that is a link, even one that stays within `root`, is
// too_many_symbolic_link_levels; ".." is cross_device_link. `by_steps`: component by component, as on kernels without
// openat2.
std::error_code open_beneath(const file_descriptor& root, std::string_view path, bool by_steps, file_descriptor& opened);
// A temporary file without a name, which ends with its descriptor.
std::error_code make_unnamed(const std::string& folder, file_descriptor& made);
std::error_code duplicate(int number, file_descriptor& opened);

// Advises the system that the file is read from its start to its end.
void expect_sequential(const file_descriptor& file) noexcept;

// One read or write at an offset, perhaps of fewer bytes: `done` of them. Reading 0 bytes is the end of the file.
std::error_code read_at(const file_descriptor& file, std::int64_t offset, std::span<std::byte> out, std::size_t& done);
std::error_code write_at(const file_descriptor& file, std::int64_t offset, std::span<const std::byte> data,
                         std::size_t& done);

std::error_code resize(const file_descriptor& file, std::int64_t bytes);
std::error_code sync(const file_descriptor& file);
// Makes renames in a folder durable, where the system can.
std::error_code sync_folder(const std::string& folder);
// Excludes other processes until the file is closed or this process ends. operation_would_block: another process holds the
// lock. With `required` false a file system without locks is not an error.
std::error_code lock(const file_descriptor& file, bool required);
// `owner_too`: the owner may read and write in any case.
std::error_code set_permissions(const file_descriptor& file, unsigned permissions, bool owner_too);
// Replaces `to` in one step.
std::error_code rename_file(const std::string& from, const std::string& to);
std::error_code remove_file(const std::string& path) noexcept;

// True if a failed write says that the file system has no space.
[[nodiscard]] bool is_full(std::error_code why) noexcept;

// Standard input.
inline constexpr int standard_input = 0;
std::error_code status_of_standard_input(file_status& found);
std::error_code position_of_standard_input(std::int64_t& position);
// Waits for at least one byte; 0 bytes are the end.
std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done);

// Writes `text` to a temporary file beside `path`, in folders that are created, syncs it and renames it to `path`. Returns
// why that failed, or "".
std::string replace_file(const std::string& path, const std::string& text);

// Reads a file of at most `most` bytes. Returns why that failed, or "".
inline std::string read_file(const std::string& path, std::size_t most, std::string& text) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return "it cannot be read: " + std::generic_category().message(errno);
  text.resize(most + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (in.bad()) return "it cannot be read";
  return text.size() > most ? "it has more than " + std::to_string(most) + " bytes" : "";
}

// `path` without links and dots; itself where it cannot be looked up.
inline std::filesystem::path canonical(const std::filesystem::path& path) {
  std::error_code error;
  auto found = std::filesystem::weakly_canonical(path, error);
  return error ? path : found;
}

// Files of `folder` whose names start with `prefix` and end with `suffix`, with something between, sorted; none when the
// folder cannot be read.
inline std::vector<std::string> list_files(const std::string& folder, const std::string& prefix, const std::string& suffix) {
  std::vector<std::string> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix))
      found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/base/file_windows.hpp"
#else
#include "sluice/impl/base/file_posix.hpp"
#endif
