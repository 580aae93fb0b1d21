// Linux and macOS.
#include "http/system.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#endif

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>

namespace sluice::serving {
namespace {

std::error_code because(int number) { return {number, std::generic_category()}; }
std::error_code reason(bool failed) { return failed ? because(errno) : std::error_code(); }

constexpr int reading = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;  // a pipe would wait for its writer
#if defined(O_PATH)
constexpr int passing = O_PATH | O_CLOEXEC;
#else
constexpr int passing = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
#endif

template <class Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::error_code opened_as(int fd, descriptor& opened) {
  const std::error_code why = reason(fd < 0);  // before the old one is closed, which may leave a reason of its own
  opened = descriptor(fd);
  return why;
}

// Tries again while signals interrupt it.
template <class Call>
std::error_code opened_by(Call&& call, descriptor& opened) {
  return opened_as(static_cast<int>(retried(call)), opened);
}

std::error_code moved(ssize_t n, std::size_t& done) {
  done = n < 0 ? 0 : static_cast<std::size_t>(n);
  return reason(n < 0);
}

std::error_code walk(const descriptor& root, std::string_view path, descriptor& opened) {
  descriptor at;
  if (const auto why = opened_by([&] { return ::openat(root.get(), ".", passing | O_DIRECTORY); }, at); why) return why;
  for (;;) {
    const auto slash = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, slash));
    path.remove_prefix(slash);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name == "..") return because(EXDEV);
    if (path.empty()) return opened_by([&] { return ::openat(at.get(), name.c_str(), reading | O_NOFOLLOW); }, opened);
    descriptor next;
    if (const auto why = opened_by([&] { return ::openat(at.get(), name.c_str(), passing | O_NOFOLLOW); }, next); why)
      return why;
    struct stat s {};
    if (::fstat(next.get(), &s) != 0) return reason(true);
    if (!S_ISDIR(s.st_mode)) return because(S_ISLNK(s.st_mode) ? ELOOP : ENOTDIR);
    at = std::move(next);
  }
}

}  // namespace

descriptor::~descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

namespace system {

std::error_code open_file(const std::string& path, descriptor& opened) {
  return opened_by([&] { return ::open(path.c_str(), reading | O_NOFOLLOW); }, opened);
}

std::error_code open_folder(const std::string& path, descriptor& opened) {
  return opened_by([&] { return ::open(path.c_str(), passing | O_DIRECTORY); }, opened);
}

std::error_code open_beneath(const descriptor& root, std::string_view path, [[maybe_unused]] bool by_steps,
                             descriptor& opened) {
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
  if (!by_steps) {
    open_how how{};
    how.flags = reading;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const std::string name(path);
    const auto why = opened_by([&] { return ::syscall(SYS_openat2, root.get(), name.c_str(), &how, sizeof how); }, opened);
    // A sandbox may forbid the call.
    if (why.value() != ENOSYS && why.value() != EPERM && why.value() != EAGAIN) return why;
  }
#endif
  return walk(root, path, opened);
}

std::error_code make_unnamed(const std::string& folder, descriptor& made) {
#if defined(O_TMPFILE)
  if (!opened_by([&] { return ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }, made)) return {};
#endif
  std::string path = folder + "/spool-XXXXXX";  // file systems without such files
#if defined(__linux__)
  const auto why = opened_as(::mkostemp(path.data(), O_CLOEXEC), made);
#else
  const auto why = opened_as(::mkstemp(path.data()), made);
  if (!why) ::fcntl(made.get(), F_SETFD, FD_CLOEXEC);
#endif
  if (!why) ::unlink(path.c_str());
  return why;
}

std::error_code open_locked(const std::string& path, descriptor& opened) {
  constexpr int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  if (const auto why = opened_by([&] { return ::open(path.c_str(), flags, 0600); }, opened); why) return why;
  return reason(retried([&] { return ::flock(opened.get(), LOCK_EX | LOCK_NB); }) != 0);
}

std::error_code remove_file(const std::string& path) noexcept { return reason(::unlink(path.c_str()) != 0); }

std::error_code look(const descriptor& file, facts& found) {
  struct stat s {};
  if (::fstat(file.get(), &s) != 0) return reason(true);
  found = {.size = s.st_size, .regular = S_ISREG(s.st_mode)};
  return {};
}

std::error_code read(const descriptor& file, std::int64_t offset, std::span<char> out, std::size_t& done) {
  return moved(retried([&] { return ::pread(file.get(), out.data(), out.size(), offset); }), done);
}

std::error_code write(const descriptor& file, std::int64_t offset, std::string_view bytes, std::size_t& done) {
  return moved(retried([&] { return ::pwrite(file.get(), bytes.data(), bytes.size(), offset); }), done);
}

bool is_full(std::error_code why) noexcept {
  return why == because(ENOSPC) || why == because(EDQUOT) || why == because(EFBIG);
}

// On Linux niceness is a thread's own; elsewhere it would be the application's.
void lower_priority([[maybe_unused]] int nice) noexcept {
#if defined(__linux__)
  if (nice <= 0) return;
  const int base = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));  // of its first thread
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), std::min(19, base + nice));
#endif
}

// A new thread has its maker's mask.
quiet_threads::quiet_threads() noexcept {
  static_assert(sizeof(sigset_t) <= sizeof before_ && alignof(sigset_t) <= 16);
  sigset_t away;
  ::sigfillset(&away);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) ::sigdelset(&away, own);
  ::pthread_sigmask(SIG_SETMASK, &away, new (before_) sigset_t);
}

quiet_threads::~quiet_threads() {
  ::pthread_sigmask(SIG_SETMASK, std::launder(reinterpret_cast<const sigset_t*>(before_)), nullptr);
}

}  // namespace system
}  // namespace sluice::serving
