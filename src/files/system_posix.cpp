// Linux and macOS.
#include "system.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice::files {
namespace {

std::error_code reason(bool failed) { return failed ? std::error_code(errno, std::generic_category()) : std::error_code(); }

// Until no signal interrupts it.
template <class Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

const char* kind_of(mode_t mode) {
  if (S_ISREG(mode)) return nullptr;
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISBLK(mode)) return "a block device";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISLNK(mode)) return "a symbolic link";
  return "of an unknown kind";
}

std::error_code tell(bool failed, const struct stat& s, system::facts& found) {
  if (failed) return reason(true);
#if defined(__APPLE__)
  const timespec& changed = s.st_mtimespec;
#else
  const timespec& changed = s.st_mtim;
#endif
  found = {.id = {static_cast<std::uint64_t>(s.st_dev), static_cast<std::uint64_t>(s.st_ino)},
           .size = s.st_size,
           .changed = std::int64_t{changed.tv_sec} * 1'000'000'000 + changed.tv_nsec,
           .permissions = static_cast<unsigned>(s.st_mode) & 07777,
           .other = kind_of(s.st_mode)};
  return {};
}

std::error_code opened_as(int number, descriptor& opened) {
  const std::error_code why = reason(number < 0);  // before the old one is closed, which may leave a reason of its own
  opened = descriptor(number);
  return why;
}

std::error_code moved(ssize_t n, std::size_t& done) {
  done = n < 0 ? 0 : static_cast<std::size_t>(n);
  return reason(n < 0);
}

}  // namespace

descriptor::~descriptor() {
  if (number_ >= 0) ::close(number_);
}

namespace system {

std::error_code look(const descriptor& file, facts& found) {
  struct stat s {};
  return tell(::fstat(file.get(), &s) != 0, s, found);
}

std::error_code look(const std::string& path, links last, facts& found) {
  struct stat s {};
  return tell((last == links::follow ? ::stat(path.c_str(), &s) : ::lstat(path.c_str(), &s)) != 0, s, found);
}

std::error_code open_to_read(const std::string& path, descriptor& opened) {
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  return opened_as(retried([&] { return ::open(path.c_str(), flags); }), opened);
}

std::error_code open_to_write(const std::string& path, descriptor& opened) {
  constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  return opened_as(retried([&] { return ::open(path.c_str(), flags, 0666); }), opened);
}

std::error_code duplicate(int number, descriptor& opened) { return opened_as(::fcntl(number, F_DUPFD_CLOEXEC, 0), opened); }

void read_in_order([[maybe_unused]] const descriptor& file) noexcept {
#if defined(__APPLE__)
  ::fcntl(file.get(), F_RDAHEAD, 1);
#else
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // twice the read-ahead
#endif
}

std::error_code read(const descriptor& file, std::int64_t offset, std::span<std::byte> out, std::size_t& done) {
  return moved(retried([&] { return ::pread(file.get(), out.data(), out.size(), offset); }), done);
}

std::error_code write(const descriptor& file, std::int64_t offset, std::span<const std::byte> data, std::size_t& done) {
  return moved(retried([&] { return ::pwrite(file.get(), data.data(), data.size(), offset); }), done);
}

std::error_code resize(const descriptor& file, std::int64_t bytes) {
  return reason(retried([&] { return ::ftruncate(file.get(), bytes); }) != 0);
}

std::error_code sync(const descriptor& file) {
#if defined(__APPLE__)
  if (::fcntl(file.get(), F_FULLFSYNC) == 0)
    return {};  // there, fsync leaves it to the drive; some file systems know no more
#endif
  return reason(retried([&] { return ::fsync(file.get()); }) != 0);
}

// Some file systems cannot do it, and need not; a folder that may be written and not read cannot be asked.
std::error_code sync_folder(const std::string& folder) {
  const descriptor opened(retried([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!opened) return reason(errno != EACCES);
  return reason(retried([&] { return ::fsync(opened.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP);
}

// File systems without locks refuse in other words; there, nobody is kept out.
std::error_code lock(const descriptor& file) {
  return reason(retried([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK);
}

std::error_code set_permissions(const descriptor& file, unsigned permissions, bool owner_too) {
  const unsigned own = owner_too ? S_IRUSR | S_IWUSR : 0u;
  return reason(::fchmod(file.get(), static_cast<mode_t>(permissions | own)) != 0);
}

std::error_code rename(const std::string& from, const std::string& to) {
  return reason(::rename(from.c_str(), to.c_str()) != 0);
}

std::error_code remove(const std::string& path) noexcept { return reason(::unlink(path.c_str()) != 0); }

std::error_code look_at_standard_input(facts& found) {
  struct stat s {};
  return tell(::fstat(STDIN_FILENO, &s) != 0, s, found);
}

std::error_code position_of_standard_input(std::int64_t& position) {
  position = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
  return reason(position < 0);
}

std::error_code read_standard_input(std::span<std::byte> out, std::size_t& done) {
  for (;;) {
    const auto why = moved(retried([&] { return ::read(STDIN_FILENO, out.data(), out.size()); }), done);
    if (!why || why.value() != EAGAIN) return why;
    pollfd until{STDIN_FILENO, POLLIN, 0};  // whoever opened it chose not to wait
    ::poll(&until, 1, -1);
  }
}

}  // namespace system
}  // namespace sluice::files
