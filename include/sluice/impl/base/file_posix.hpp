// Linux and macOS. Included by file.hpp.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#endif

#include <cstdio>
#include <cstdlib>

#include "sluice/impl/base/file.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline std::error_code errno_code(int number) noexcept { return {number, std::generic_category()}; }
inline std::error_code errno_if(bool failed) noexcept { return failed ? errno_code(errno) : std::error_code(); }

// Repeats the call while signals interrupt it.
template <class Call>
auto retry_interrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

inline std::error_code opened_as(int number, file_descriptor& opened) {
  const std::error_code why = errno_if(number < 0);  // before the old one is closed, which may set errno
  opened = file_descriptor(number);
  return why;
}

template <class Call>
std::error_code opened_by(Call&& call, file_descriptor& opened) {
  return opened_as(static_cast<int>(retry_interrupted(call)), opened);
}

inline std::error_code bytes_moved(ssize_t n, std::size_t& done) {
  done = n < 0 ? 0 : static_cast<std::size_t>(n);
  return errno_if(n < 0);
}

inline const char* kind_of_file(mode_t mode) noexcept {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISLNK(mode)) return "a symbolic link";
  return "of an unknown kind";
}

inline std::error_code status_from(bool failed, const struct stat& s, file_status& found) {
  if (failed) return errno_if(true);
#if defined(__APPLE__)
  const timespec &changed = s.st_mtimespec, &status = s.st_ctimespec;
#else
  const timespec &changed = s.st_mtim, &status = s.st_ctim;
#endif
  const auto nanoseconds = [](const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
  found = {.id = {static_cast<std::uint64_t>(s.st_dev), static_cast<std::uint64_t>(s.st_ino)},
           .size = s.st_size,
           .changed = nanoseconds(changed),
           .status_changed = nanoseconds(status),
           .permissions = static_cast<unsigned>(s.st_mode) & 07777,
           .owner = std::uint64_t{s.st_uid} << 32 | std::uint64_t{s.st_gid},
           .links = static_cast<std::uint64_t>(s.st_nlink),
           .other = kind_of_file(s.st_mode)};
  return {};
}

inline constexpr int read_flags =
    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;  // O_NONBLOCK: a pipe would wait for its writer
#if defined(O_PATH)
inline constexpr int path_flags = O_PATH | O_CLOEXEC;
#else
inline constexpr int path_flags = read_flags;
#endif

inline file_descriptor::~file_descriptor() {
  if (number_ >= 0) ::close(number_);
}

inline std::error_code status_of(const file_descriptor& file, file_status& found) {
  struct stat s {};
  return status_from(::fstat(file.get(), &s) != 0, s, found);
}

inline std::error_code status_of(const std::string& path, links last, file_status& found) {
  struct stat s {};
  return status_from((last == links::follow ? ::stat(path.c_str(), &s) : ::lstat(path.c_str(), &s)) != 0, s, found);
}

inline std::string current_path([[maybe_unused]] const file_descriptor& file) {
#if defined(__linux__)
  char place[4096];
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(file.get())).c_str(), place, sizeof place);
  return n > 0 ? std::string(place, static_cast<std::size_t>(n)) : "";
#elif defined(__APPLE__)
  char place[4096];  // MAXPATHLEN is less
  return ::fcntl(file.get(), F_GETPATH, place) == 0 ? std::string(place) : "";
#else
  return "";
#endif
}

inline std::error_code open_to_read(const std::string& path, links last, file_descriptor& opened) {
  const int flags = read_flags | (last == links::keep ? O_NOFOLLOW : 0);
  return opened_by([&] { return ::open(path.c_str(), flags); }, opened);
}

inline std::error_code open_to_write(const std::string& path, unsigned permissions, file_descriptor& opened) {
  constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  return opened_by([&] { return ::open(path.c_str(), flags, static_cast<mode_t>(permissions)); }, opened);
}

inline std::error_code make_folders(const std::string& path, unsigned permissions) {
  const auto make = [&] { return errno_if(::mkdir(path.c_str(), static_cast<mode_t>(permissions)) != 0); };
  auto why = make();
  const auto above = std::filesystem::path(path).parent_path();
  if (why == std::errc::no_such_file_or_directory && !above.empty() && above != path) {
    if (const auto failed = make_folders(above.string(), permissions); failed) return failed;
    why = make();
  }
  std::error_code unknown;
  if (why == std::errc::file_exists)
    return std::filesystem::is_directory(path, unknown) ? std::error_code() : errno_code(ENOTDIR);
  return why;
}

inline std::error_code open_folder(const std::string& path, file_descriptor& opened) {
  return opened_by([&] { return ::open(path.c_str(), path_flags | O_DIRECTORY); }, opened);
}

inline std::error_code open_by_steps(const file_descriptor& root, std::string_view path, file_descriptor& opened) {
  file_descriptor at;
  if (const auto why = opened_by([&] { return ::openat(root.get(), ".", path_flags | O_DIRECTORY); }, at); why) return why;
  for (;;) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(slash);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name == "..") return errno_code(EXDEV);
    if (path.empty()) return opened_by([&] { return ::openat(at.get(), name.c_str(), read_flags | O_NOFOLLOW); }, opened);
    file_descriptor next;
    if (const auto why = opened_by([&] { return ::openat(at.get(), name.c_str(), path_flags | O_NOFOLLOW); }, next); why)
      return why;
    struct stat s {};
    if (::fstat(next.get(), &s) != 0) return errno_if(true);
    if (!S_ISDIR(s.st_mode)) return errno_code(S_ISLNK(s.st_mode) ? ELOOP : ENOTDIR);
    at = std::move(next);
  }
}

inline std::error_code open_beneath(const file_descriptor& root, std::string_view path, [[maybe_unused]] bool by_steps,
                                    file_descriptor& opened) {
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
  if (!by_steps) {
    open_how how{};
    how.flags = read_flags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const std::string name(path);
    const auto why = opened_by([&] { return ::syscall(SYS_openat2, root.get(), name.c_str(), &how, sizeof how); }, opened);
    // A sandbox may forbid the call.
    if (why.value() != ENOSYS && why.value() != EPERM && why.value() != EAGAIN) return why;
  }
#endif
  return open_by_steps(root, path, opened);
}

// Close-on-exec: a program that another thread starts meanwhile does not inherit it.
inline int make_temporary(std::string& path) {
#if defined(__linux__)
  return ::mkostemp(path.data(), O_CLOEXEC);
#else
  const int file = ::mkstemp(path.data());
  if (file >= 0) ::fcntl(file, F_SETFD, FD_CLOEXEC);
  return file;
#endif
}

inline std::error_code make_unnamed(const std::string& folder, file_descriptor& made) {
#if defined(O_TMPFILE)
  if (!opened_by([&] { return ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }, made)) return {};
#endif
  std::string path = folder + "/spool-XXXXXX";  // for file systems without O_TMPFILE
  const auto why = opened_as(make_temporary(path), made);
  if (!why) ::unlink(path.c_str());
  return why;
}

inline std::error_code duplicate(int number, file_descriptor& opened) {
  return opened_as(::fcntl(number, F_DUPFD_CLOEXEC, 0), opened);
}

inline void expect_sequential([[maybe_unused]] const file_descriptor& file) noexcept {
#if defined(__APPLE__)
  ::fcntl(file.get(), F_RDAHEAD, 1);
#else
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // doubles the read-ahead
#endif
}

inline std::error_code read_at(const file_descriptor& file, std::int64_t offset, std::span<std::byte> out,
                               std::size_t& done) {
  return bytes_moved(retry_interrupted([&] { return ::pread(file.get(), out.data(), out.size(), offset); }), done);
}

inline std::error_code write_at(const file_descriptor& file, std::int64_t offset, std::span<const std::byte> data,
                                std::size_t& done) {
  return bytes_moved(retry_interrupted([&] { return ::pwrite(file.get(), data.data(), data.size(), offset); }), done);
}

inline std::error_code resize(const file_descriptor& file, std::int64_t bytes) {
  return errno_if(retry_interrupted([&] { return ::ftruncate(file.get(), bytes); }) != 0);
}

inline std::error_code sync(const file_descriptor& file) {
#if defined(__APPLE__)
  if (::fcntl(file.get(), F_FULLFSYNC) == 0) return {};  // fsync there leaves the data in the drive's cache
#endif
  return errno_if(retry_interrupted([&] { return ::fsync(file.get()); }) != 0);
}

// Some file systems cannot sync a folder and need not; a folder that may be written but not read cannot be opened for it.
inline std::error_code sync_folder(const std::string& folder) {
  const file_descriptor opened(
      retry_interrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!opened) return errno_if(errno != EACCES);
  return errno_if(retry_interrupted([&] { return ::fsync(opened.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP);
}

inline std::error_code lock(const file_descriptor& file, bool required) {
  return errno_if(retry_interrupted([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0 &&
                  (required || errno == EWOULDBLOCK));
}

inline std::error_code set_permissions(const file_descriptor& file, unsigned permissions, bool owner_too) {
  const unsigned own = owner_too ? S_IRUSR | S_IWUSR : 0u;
  return errno_if(::fchmod(file.get(), static_cast<mode_t>(permissions | own)) != 0);
}

inline std::error_code rename_file(const std::string& from, const std::string& to) {
  return errno_if(::rename(from.c_str(), to.c_str()) != 0);
}

inline std::error_code remove_file(const std::string& path) noexcept { return errno_if(::unlink(path.c_str()) != 0); }

inline bool is_full(std::error_code why) noexcept {
  return why == errno_code(ENOSPC) || why == errno_code(EDQUOT) || why == errno_code(EFBIG);
}

inline std::error_code status_of_standard_input(file_status& found) {
  struct stat s {};
  return status_from(::fstat(STDIN_FILENO, &s) != 0, s, found);
}

inline std::error_code position_of_standard_input(std::int64_t& position) {
  position = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
  return errno_if(position < 0);
}

inline std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done) {
  for (;;) {
    const auto why = bytes_moved(retry_interrupted([&] { return ::read(STDIN_FILENO, out.data(), out.size()); }), done);
    if (!why || why.value() != EAGAIN) return why;
    pollfd readable{STDIN_FILENO, POLLIN, 0};  // it was opened as non-blocking
    ::poll(&readable, 1, -1);
  }
}

inline std::string replace_file(const std::string& path, const std::string& text) {
  const auto failed = [&](const char* doing) {
    return path + " cannot be " + doing + ": " + std::generic_category().message(errno);
  };
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), made);
  std::string beside = path + ".XXXXXX";
  const file_descriptor file(make_temporary(beside));
  if (!file) return failed("written");
  std::string reason;
  for (std::size_t at = 0; at < text.size() && reason.empty();) {
    const auto n = retry_interrupted([&] { return ::write(file.get(), text.data() + at, text.size() - at); });
    if (n > 0)
      at += static_cast<std::size_t>(n);
    else
      reason = failed("written");
  }
  if (reason.empty() && retry_interrupted([&] { return ::fsync(file.get()); }) != 0) reason = failed("synced");
  if (reason.empty() && ::rename(beside.c_str(), path.c_str()) != 0) reason = failed("put in place");
  if (!reason.empty()) ::unlink(beside.c_str());
  return reason;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
