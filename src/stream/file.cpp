#include "file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "posix.hpp"
#include "sluice/error.hpp"
#include "sluice/parallel.hpp"

namespace sluice::stream {
namespace {

std::int64_t time_of_change(const struct stat& s) {
#ifdef __APPLE__
  return s.st_mtimespec.tv_sec * 1'000'000'000 + s.st_mtimespec.tv_nsec;
#else
  return s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec;
#endif
}

}  // namespace

void check_path(const std::string& path, const char* operation) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] a path of {} bytes is empty or holds a zero byte", operation, path.size()));
}

void in_pieces(std::span<std::byte> out, const std::function<void(std::size_t begin, std::span<std::byte> piece)>& read) {
  const std::size_t pieces = (out.size() + read_piece - 1) / read_piece;
  if (pieces <= 2) return read(0, out);
  parallel_for(static_cast<std::int64_t>(pieces), [&](std::int64_t i) {
    const std::size_t begin = static_cast<std::size_t>(i) * read_piece;
    read(begin, out.subspan(begin, std::min(read_piece, out.size() - begin)));
  });
}

descriptor::~descriptor() {
  if (number_ >= 0) ::close(number_);
}

file::file(std::string path, const char* operation) : path_(std::move(path)), operation_(operation) {
  check_path(path_, operation_);
  // O_NONBLOCK: to open a pipe that nobody writes would wait for ever.
  descriptor_ = descriptor(retried([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); }));
  inspect();
  advise();
}

file::file(descriptor open, std::string name, const char* operation)
    : path_(std::move(name)), operation_(operation), descriptor_(std::move(open)) {
  inspect();
  advise();
}

void file::inspect() {
  struct stat s {};
  if (!descriptor_ || ::fstat(descriptor_.get(), &s) != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, reason_of(errno)));
  if (!S_ISREG(s.st_mode))
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: not a regular file", operation_, path_, kind_of(s)));
  id_ = identity_of(s);
  size_ = s.st_size;
  changed_ = time_of_change(s);
}

void file::advise() const noexcept {
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
  in_pieces(out,
            [&](std::size_t begin, std::span<std::byte> piece) { read(offset + static_cast<std::int64_t>(begin), piece); });
}

std::string file::fingerprint() const {
  return fmt::format("{} bytes, changed at {} ns, file {} of device {}", size_, changed_, id_.number, id_.device);
}

void file::check_unchanged() const {
  struct stat s {};
  if (::fstat(descriptor_.get(), &s) != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path_, reason_of(errno)));
  if (s.st_size != size_ || time_of_change(s) != changed_) fail_changed();
}

void file::check_reaches(std::int64_t end) const {
  struct stat s {};
  if (::fstat(descriptor_.get(), &s) != 0 || s.st_size < end) fail_changed();
}

void file::fail_changed() const {
  struct stat s {};
  ::fstat(descriptor_.get(), &s);
  if (s.st_size == size_ && time_of_change(s) != changed_)
    throw error(error_code::io,
                fmt::format("[{}] {} changed while it was read: its {} bytes were last written at {} ns when "
                            "it was opened, and at {} ns since",
                            operation_, path_, size_, changed_, time_of_change(s)));
  throw error(error_code::io,
              fmt::format("[{}] {} had {} bytes when it was opened and has {} now: it changed while it was read", operation_,
                          path_, size_, s.st_size));
}

std::shared_ptr<const file> open_duplicate(int number, std::string name, const char* operation) {
  descriptor own(::fcntl(number, F_DUPFD_CLOEXEC, 0));
  if (!own) throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, reason_of(errno)));
  return std::make_shared<const file>(std::move(own), std::move(name), operation);
}

standard_input_file open_standard_input(const char* operation) {
  const std::string name = "standard input";
  struct stat s {};
  if (::fstat(STDIN_FILENO, &s) != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, reason_of(errno)));
  if (!S_ISREG(s.st_mode)) return {};
  const auto begin = ::lseek(STDIN_FILENO, 0, SEEK_CUR);
  if (begin < 0) throw error(error_code::io, fmt::format("[{}] {}: {}", operation, name, reason_of(errno)));
  return {open_duplicate(STDIN_FILENO, name, operation), begin};
}

std::size_t read_standard_input(std::span<std::byte> out) {
  for (;;) {
    const auto n = retried([&] { return ::read(STDIN_FILENO, out.data(), out.size()); });
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EAGAIN) throw error(error_code::io, fmt::format("[file_stream] standard input: {}", reason_of(errno)));
    pollfd until{STDIN_FILENO, POLLIN, 0};  // whoever opened it chose not to wait
    ::poll(&until, 1, -1);
  }
}

}  // namespace sluice::stream
