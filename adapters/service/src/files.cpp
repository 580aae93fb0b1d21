#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "status.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

constexpr int reading = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;  // a pipe would wait for its writer

// Below -1: the error's number, negated.
int walk(int root, std::string_view path) {
  descriptor at(::openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (at.get() >= 0) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(slash);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name == "..") return -EXDEV;
    if (path.empty()) {
      const int fd = ::openat(at.get(), name.c_str(), reading | O_NOFOLLOW);
      return fd >= 0 ? fd : -errno;
    }
    descriptor next(::openat(at.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat s {};
    if (next.get() < 0 || ::fstat(next.get(), &s) != 0) return -errno;
    if (!S_ISDIR(s.st_mode)) return S_ISLNK(s.st_mode) ? -ELOOP : -ENOTDIR;
    at = std::move(next);
  }
  return -errno;
}

int open_beneath(int root, std::string_view path, data_directories::means m) {
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
  if (m == data_directories::means::best) {
    open_how how{};
    how.flags = reading;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const auto fd = ::syscall(SYS_openat2, root, std::string(path).c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return -errno;  // a sandbox may forbid the call
  }
#endif
  static_cast<void>(m);
  return walk(root, path);
}

[[noreturn]] void fail(int number, std::string_view path) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: throw refused{404, "not_found", fmt::format("[files] there is no file at {}", shown(path, 80))};
    case EXDEV:
    case ELOOP:
    case EACCES:
    case EPERM:
    case ENXIO: throw refused{403, "forbidden", fmt::format("[files] {} is not for reading here", shown(path, 80))};
  }
  throw error(error_code::io, fmt::format("[files] {} cannot be opened: {}", shown(path, 80), std::strerror(number)));
}

}  // namespace

descriptor::~descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

data_directories::data_directories(const std::vector<std::string>& paths) {
  for (const auto& path : paths) {
    roots_.emplace_back(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (roots_.back().get() < 0)
      throw error(error_code::io, fmt::format("[files] {} cannot be opened as a directory: {}", path, std::strerror(errno)));
  }
}

descriptor data_directories::open(std::string_view path) const {
  if (path.starts_with('/') || path.find('\0') != path.npos) fail(EXDEV, path);
  if (path.empty()) fail(ENOENT, path);
  for (const auto& root : roots_) {
    descriptor file(open_beneath(root.get(), path, means_));
    if (file.get() < 0) {
      const int number = -file.release();
      if (number == ENOENT || number == ENOTDIR) continue;
      fail(number, path);
    }
    struct stat s {};
    if (::fstat(file.get(), &s) != 0) fail(errno, path);
    if (!S_ISREG(s.st_mode)) fail(EACCES, path);
    return file;
  }
  fail(ENOENT, path);
}

}  // namespace sluice::http
