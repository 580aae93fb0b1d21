#include "output.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "posix.hpp"
#include "sluice/error.hpp"

namespace sluice::stream {
namespace {

// FNV-1a: finds a harmed text; it is no guard against a forged one.
std::uint64_t checksum(std::string_view text) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}

// The journal's first line: its version, the number of its partial file, the bytes and the checksum of the text that
// follows.
std::string journal_line(std::uint64_t number, std::string_view text) {
  return fmt::format("sluice-journal 1 {} {} {:016x}\n", number, text.size(), checksum(text));
}

// Writes all of it; returns an errno, and how far it came in `offset`.
int write_all(int to, std::int64_t& offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const auto n = retried([&] { return ::pwrite(to, data.data(), data.size(), offset); });
    if (n <= 0) return n < 0 ? errno : EIO;
    data = data.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  return 0;
}

constexpr int write_flags = O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

}  // namespace

output::output(std::string path, const char* operation, std::span<const identity> inputs)
    : path_(std::move(path)), partial_(path_ + ".partial"), journal_path_(path_ + ".journal"), operation_(operation) {
  check_path(path_, operation_);
  check_room(path_, inputs);
  check_room(journal_path_, inputs);
  check_room(journal_path_ + ".tmp", inputs);
  open_partial(inputs);
  struct stat partial {
  }, old{};
  if (::fstat(descriptor_.get(), &partial) != 0) fail(partial_, errno);
  number_ = partial.st_ino;
  if (partial.st_size > 0) read_journal();  // an empty one is new, or nothing was synced
  remove_ = !journal_ && harm_.empty();
  if (::stat(path_.c_str(), &old) != 0) return;
  mode_ = old.st_mode & 07777;
  // Nobody reads it before who may not then; and what may not be written then is written now, by the run that goes on too.
  if (::fchmod(descriptor_.get(), *mode_ | S_IRUSR | S_IWUSR) != 0) {
    const int reason = errno;
    if (remove_) discard();
    fail(partial_, reason);
  }
}

void output::check_room(const std::string& path, std::span<const identity> inputs) const {
  struct stat s {};
  // The result may stand behind a link; the others are written to as they are.
  if ((path == path_ ? ::stat(path.c_str(), &s) : ::lstat(path.c_str(), &s)) != 0) return;
  if (!S_ISREG(s.st_mode))
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {} is {}: a result is written to a regular file", operation_, path, kind_of(s)));
  if (std::find(inputs.begin(), inputs.end(), identity_of(s)) != inputs.end())
    throw error(error_code::invalid_argument, fmt::format("[{}] {} is the input file too", operation_, path));
}

// Leaves with the file open, locked, and still the one of that name: another writer may rename it between our open and our
// lock.
void output::open_partial(std::span<const identity> inputs) {
  for (;;) {
    descriptor_ = descriptor(retried([&] { return ::open(partial_.c_str(), O_RDWR | write_flags, 0666); }));
    struct stat mine {};
    if (!descriptor_ || ::fstat(descriptor_.get(), &mine) != 0) fail(partial_, errno);
    const bool input = std::find(inputs.begin(), inputs.end(), identity_of(mine)) != inputs.end();
    if (!S_ISREG(mine.st_mode) || input)
      throw error(error_code::invalid_argument, fmt::format("[{}] {} is {}: it would be written over", operation_, partial_,
                                                            input ? "the input file" : kind_of(mine)));
    // File systems without locks refuse in other words; there, nobody is kept out.
    if (retried([&] { return ::flock(descriptor_.get(), LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK)
      throw error(error_code::io, fmt::format("[{}] {} is being written by someone else", operation_, partial_));
    struct stat named {};
    if (::stat(partial_.c_str(), &named) == 0 && identity_of(named) == identity_of(mine)) return;
  }
}

void output::read_journal() {
  struct stat s {};
  if (::lstat(journal_path_.c_str(), &s) != 0 && errno == ENOENT) return;
  const file in(journal_path_, operation_);
  std::string all(static_cast<std::size_t>(in.size()), '\0');
  in.read(0, std::as_writable_bytes(std::span(all)));
  unsigned long long number = 0;
  const std::size_t end = all.find('\n');
  if (end == std::string::npos || std::sscanf(all.c_str(), "sluice-journal 1 %llu ", &number) != 1) {
    harm_ = fmt::format("its {} bytes do not begin as a journal of version 1 does", all.size());
    return;
  }
  std::string text = all.substr(end + 1);
  if (all.substr(0, end + 1) != journal_line(number, text))
    harm_ = fmt::format("its {} bytes are not those that were written", all.size());
  else if (number == number_)  // else it was left by a run whose partial file is PATH by now, or gone
    journal_ = std::move(text);
}

const std::optional<std::string>& output::journal() const {
  if (!harm_.empty())
    throw error(error_code::io, fmt::format("[{}] {} is harmed: {}; without it, {} cannot be gone on with", operation_,
                                            journal_path_, harm_, partial_));
  return journal_;
}

void output::start_again() {
  journal_.reset();
  harm_.clear();
  // On the disk too, before the partial file has other bytes than the journal speaks of.
  if (::unlink(journal_path_.c_str()) == 0)
    sync_folder();
  else if (errno != ENOENT)
    fail(journal_path_, errno);
  remove_ = true;
  if (retried([&] { return ::ftruncate(descriptor_.get(), 0); }) != 0) fail(partial_, errno);
}

void output::go_on(std::int64_t bytes) {
  struct stat s {};
  if (::fstat(descriptor_.get(), &s) != 0) fail(partial_, errno);
  if (s.st_size < bytes)
    throw error(error_code::io, fmt::format("[{}] {} has {} bytes, fewer than the {} of its journal", operation_, partial_,
                                            s.st_size, bytes));
  if (retried([&] { return ::ftruncate(descriptor_.get(), bytes); }) != 0) fail(partial_, errno);
}

void output::write(std::int64_t offset, std::span<const std::byte> data) {
  if (const int reason = write_all(descriptor_.get(), offset, data); reason != 0)
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, partial_, reason_of(reason), offset));
}

void output::sync_partial() {
  // The kernel tells of a page that it could not write once, and then calls it clean: asked again, it would say that all is
  // well.
  if (lost_)
    throw error(error_code::io,
                fmt::format("[{}] {}: a sync failed before; what is on the disk is not known", operation_, partial_));
  if (retried([&] { return ::fsync(descriptor_.get()); }) == 0) return;
  lost_ = true;
  fail(partial_, errno);
}

void output::sync(std::string_view journal) {
  sync_partial();
  const std::string all = journal_line(number_, journal).append(journal);
  const std::string next = journal_path_ + ".tmp";
  const descriptor to(retried([&] { return ::open(next.c_str(), O_WRONLY | O_TRUNC | write_flags, 0666); }));
  if (!to) fail(next, errno);
  std::int64_t offset = 0;
  int reason = write_all(to.get(), offset, std::as_bytes(std::span(all)));
  if (reason == 0 && retried([&] { return ::fsync(to.get()); }) != 0) reason = errno;
  if (reason == 0 && ::rename(next.c_str(), journal_path_.c_str()) != 0) reason = errno;
  if (reason != 0) {
    ::unlink(next.c_str());
    throw error(error_code::io, fmt::format("[{}] {}: {} at byte {}", operation_, next, reason_of(reason), offset));
  }
  remove_ = false;
  sync_folder();
}

void output::commit() {
  sync_partial();
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail(path_, errno);
  remove_ = false;
  if (mode_ && ::fchmod(descriptor_.get(), *mode_) != 0) fail(path_, errno);
  sync_folder();
  ::unlink(journal_path_.c_str());  // of a file of another name now: no harm if it stays
}

void output::discard() noexcept {
  ::unlink(journal_path_.c_str());
  ::unlink(partial_.c_str());
  remove_ = false;
}

output::~output() {
  if (remove_) discard();
}

// A name outlives a power cut only once its folder is on disk too. Some file systems cannot do that, and need not; a folder
// that may be written and not read cannot be asked.
void output::sync_folder() const {
  const auto parent = std::filesystem::path(path_).parent_path();
  const std::string folder = parent.empty() ? "." : parent.string();
  const descriptor opened(retried([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!opened && errno == EACCES) return;
  if (!opened || (retried([&] { return ::fsync(opened.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP))
    fail(folder, errno);
}

void output::fail(const std::string& path, int reason) const {
  throw error(error_code::io, fmt::format("[{}] {}: {}", operation_, path, reason_of(reason)));
}

}  // namespace sluice::stream
