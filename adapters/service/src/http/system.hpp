// What the service asks of the operating system: system_posix.cpp and system_windows.cpp answer, of which a build has one.
// Each call about files returns why it failed, or nothing; none is cut short by a signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace sluice::serving {

// An open file or folder by its number, on Windows that of the C runtime. Closes what it holds.
class descriptor {
 public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~descriptor();
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

namespace system {

// For reading, and not through a link; a pipe that nobody writes is not waited for.
std::error_code open_file(const std::string& path, descriptor& opened);
// To be passed to open_beneath.
std::error_code open_folder(const std::string& path, descriptor& opened);
// Opens for reading what is at `path`, relative to `root`. No component may be a link, even one that stays within:
// too_many_symbolic_link_levels; cross_device_link for "..". `by_steps`: component by component, as on kernels without
// openat2.
std::error_code open_beneath(const descriptor& root, std::string_view path, bool by_steps, descriptor& opened);
// A file that nobody else sees, gone with its descriptor.
std::error_code make_unnamed(const std::string& folder, descriptor& made);
// Makes the file when it is missing, and keeps other processes' locks off it until it is closed or this one ends, however
// that happens. operation_would_block: another has it.
std::error_code open_locked(const std::string& path, descriptor& opened);
std::error_code remove_file(const std::string& path) noexcept;

struct facts {
  std::int64_t size = 0;
  bool regular = false;
};
std::error_code look(const descriptor& file, facts& found);

// One read or write at an offset, perhaps of fewer bytes: `done` of them.
std::error_code read(const descriptor& file, std::int64_t offset, std::span<char> out, std::size_t& done);
std::error_code write(const descriptor& file, std::int64_t offset, std::string_view bytes, std::size_t& done);

// Whether a failed write says that there is no room.
[[nodiscard]] bool is_full(std::error_code why) noexcept;

// Has the calling thread be nicer than the process by `nice`, where a thread has a niceness of its own.
void lower_priority(int nice) noexcept;

// While it lives, threads that are begun are sent no signals but those of their own faults and a profiler's.
class quiet_threads {
 public:
  quiet_threads() noexcept;
  ~quiet_threads();
  quiet_threads(const quiet_threads&) = delete;
  quiet_threads& operator=(const quiet_threads&) = delete;

 private:
  alignas(16) std::byte before_[128];  // the mask
};

}  // namespace system
}  // namespace sluice::serving
