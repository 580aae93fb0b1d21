#include "file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "sluice/error.hpp"
#include "sluice/parallel.hpp"

namespace sluice::stream {
namespace {

// What threads read fastest from the page cache in one go.
constexpr std::size_t read_piece = 1 << 20;

std::string reason_of(int number) { return std::generic_category().message(number); }

identity identity_of(const struct stat& s) {
  return {static_cast<std::uint64_t>(s.st_dev), static_cast<std::uint64_t>(s.st_ino)};
}

const char* kind_of(const struct stat& s) {
  if (S_ISDIR(s.st_mode)) return "a directory";
  if (S_ISFIFO(s.st_mode)) return "a pipe";
  if (S_ISCHR(s.st_mode)) return "a character device";
  if (S_ISBLK(s.st_mode)) return "a block device";
  if (S_ISSOCK(s.st_mode)) return "a socket";
  return "of an unknown kind";
}

void check_path(const std::string& path, const char* operation) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] a path of {} bytes is empty or holds a zero byte", operation, path.size()));
}

template <class Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

descriptor::~descriptor() {
  if (number_ >= 0) ::close(number_);
}

file::file(std::string path, const char* operation) : path_(std::move(path)), operation_(operation) {
  check_path(path_, operation_);
  // O_NONBLOCK: to open a pipe that nobody writes would wait for ever.
  descriptor_ = descriptor(retried([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  struct stat s {};
  if (!descriptor_ || ::fstat(descriptor_.get(), &s) != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, reason_of(errno)));
  if (!S_ISREG(s.st_mode))
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: not a regular file", operation_, path_, kind_of(s)));
  id_ = identity_of(s);
  size_ = s.st_size;
#ifdef POSIX_FADV_SEQUENTIAL
  ::posix_fadvise(descriptor_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);  // twice the read-ahead; only advice
#endif
}

std::size_t file::read_some(std::int64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::int64_t at = offset + static_cast<std::int64_t>(done);
    const auto n = retried([&] { return ::pread(descriptor_.get(), out.data() + done, out.size() - done, at); });
    if (n < 0) throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, path_, reason_of(errno), at));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void file::read(std::int64_t offset, std::span<std::byte> out) const {
  if (read_some(offset, out) != out.size()) fail_changed();
}

void file::read_parallel(std::int64_t offset, std::span<std::byte> out) const {
  const std::size_t pieces = (out.size() + read_piece - 1) / read_piece;
  if (pieces <= 2) return read(offset, out);  // waking a helper takes as long
  parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t i) {
    const std::size_t begin = static_cast<std::size_t>(i) * read_piece;
    read(offset + static_cast<std::int64_t>(begin), out.subspan(begin, std::min(read_piece, out.size() - begin)));
  });
}

void file::check_size() const {
  struct stat s {};
  if (::fstat(descriptor_.get(), &s) != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, reason_of(errno)));
  if (s.st_size != size_) fail_changed();
}

void file::fail_changed() const {
  struct stat s {};
  ::fstat(descriptor_.get(), &s);
  throw error(error_code::io,
              fmt::format("[{}] {} had {} bytes when it was opened and has {} now: it changed while it was read", operation_,
                          path_, size_, s.st_size));
}

partial_file::partial_file(std::string path, const char* operation, const file* source)
    : path_(std::move(path)), partial_(path_ + ".partial"), operation_(operation) {
  check_path(path_, operation_);
  struct stat old {};
  std::optional<mode_t> mode;
  if (::stat(path_.c_str(), &old) == 0) {
    if (!S_ISREG(old.st_mode))
      throw error(error_code::invalid_argument,
                  fmt::format("[{}] {} is {}: a result is written to a regular file", operation_, path_, kind_of(old)));
    if (source != nullptr && identity_of(old) == source->id())
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is the input file too", operation_, path_));
    mode = old.st_mode & 07777;
  }
  create(source);
  remove_ = true;
  if (::ftruncate(descriptor_.get(), 0) != 0 || (mode && ::fchmod(descriptor_.get(), *mode) != 0)) {
    const int reason = errno;
    ::unlink(partial_.c_str());
    fail(partial_, reason);
  }
}

// Leaves with the file open, locked, and still the one of that name: another writer may rename it between our open and our
// lock.
void partial_file::create(const file* source) {
  for (;;) {
    descriptor_ = descriptor(retried(
        [&] { return ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666); }));
    struct stat mine {};
    if (!descriptor_ || ::fstat(descriptor_.get(), &mine) != 0) fail(partial_, errno);
    if (!S_ISREG(mine.st_mode) || (source != nullptr && identity_of(mine) == source->id()))
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is {}: it would be written over", operation_, partial_,
                                                            S_ISREG(mine.st_mode) ? "the input file" : kind_of(mine)));
    // File systems without locks refuse in other words; there, nobody is kept out.
    if (retried([&] { return ::flock(descriptor_.get(), LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK)
      throw error(error_code::io, fmt::format("[{}] {} is being written by someone else", operation_, partial_));
    struct stat named {};
    if (::stat(partial_.c_str(), &named) == 0 && identity_of(named) == identity_of(mine)) return;
  }
}

partial_file::~partial_file() {
  if (remove_) ::unlink(partial_.c_str());
}

void partial_file::write(std::int64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto n = retried([&] { return ::pwrite(descriptor_.get(), data.data(), data.size(), offset); });
    if (n < 0)
      throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, partial_, reason_of(errno), offset));
    data = data.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
}

void partial_file::commit() {
  if (retried([&] { return ::fsync(descriptor_.get()); }) != 0) fail(partial_, errno);
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  remove_ = false;
  // The name outlives a power cut only once the folder is on disk too; some file systems cannot say, and need not.
  const auto folder = std::filesystem::path(path_).parent_path();
  const descriptor opened(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened) ::fsync(opened.get());
}

void partial_file::fail(const std::string& path, int reason) const {
  throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path, reason_of(reason)));
}

}  // namespace sluice::stream
