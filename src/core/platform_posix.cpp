// Linux and macOS.
#include "platform.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace sluice::platform {
namespace {

// cgroup v2 writes "max 100000" or "QUOTA PERIOD", in microseconds. 0: no quota there.
int quota_of(const std::filesystem::path& folder) {
  std::ifstream in(folder / "cpu.max");
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(std::min(quota / period, 1e6))));
}

// The least quota from this process's cgroup ("0::/a/b") up to the root that it sees. 0: none.
int cgroup_cores() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::ifstream in("/proc/self/cgroup");
  std::string own;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::/")) own = line.substr(4);
  int least = quota_of(root);
  std::filesystem::path folder = root;
  for (const auto& part : std::filesystem::path(own)) {
    folder /= part;
    const int quota = quota_of(folder);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  }
  return least;
}

// Cores in this process's affinity; 0 where that cannot be told.
int affinity_cores() {
#if defined(__linux__)
  for (int room = 1024; room <= 1 << 20; room *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(room));
    if (set == nullptr) return 0;
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(room));
    const int count = ::sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return 0;
}

#if defined(__APPLE__)
constexpr const char* library_mark = ".dylib";

std::string executable() {
  std::string path(4096, '\0');
  auto room = static_cast<std::uint32_t>(path.size());
  return ::_NSGetExecutablePath(path.data(), &room) == 0 ? path.c_str() : "";
}
#else
constexpr const char* library_mark = ".so";

std::string executable() { return "/proc/self/exe"; }
#endif

// Opened for this process alone: a program that another thread starts meanwhile does not inherit it.
int make_beside(std::string& path) {
#if defined(__linux__)
  return ::mkostemp(path.data(), O_CLOEXEC);
#else
  const int file = ::mkstemp(path.data());
  if (file >= 0) ::fcntl(file, F_SETFD, FD_CLOEXEC);
  return file;
#endif
}

}  // namespace

int usable_cores() {
  const int allowed = affinity_cores();
  const int cores = allowed > 0 ? allowed : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int quota = cgroup_cores();
  return quota > 0 ? std::min(cores, quota) : cores;
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::string own_folder() {
  Dl_info info{};
  std::error_code ignored;
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) != 0 && info.dli_fname != nullptr) {
    const auto path = std::filesystem::canonical(info.dli_fname, ignored);
    if (!ignored && path.filename().string().find(library_mark) != std::string::npos) return path.parent_path().string();
  }
  const auto program = std::filesystem::canonical(executable(), ignored);
  return ignored ? std::string() : program.parent_path().string();
}

const char* module_suffix() { return ".so"; }  // on macOS too: what is loaded at run time is no .dylib

std::vector<std::string> split_paths(const std::string& list) {
  std::vector<std::string> paths;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    paths.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

std::string cache_folder() {
  const auto absolute = [](const char* text) { return text != nullptr && text[0] == '/'; };
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); absolute(cache)) return cache;
#if defined(__APPLE__)
  constexpr const char* usual = "/Library/Caches";
#else
  constexpr const char* usual = "/.cache";
#endif
  const char* home = std::getenv("HOME");
  return absolute(home) ? std::string(home) + usual : std::string();
}

std::string host_id() {
  std::string id;
  std::ifstream("/etc/machine-id") >> id;
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0) name[0] = '\0';
  return id + ' ' + name;
}

std::string replace_file(const std::string& path, const std::string& text) {
  const auto failed = [&](const char* doing) {
    return path + " cannot be " + doing + ": " + std::generic_category().message(errno);
  };
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), made);
  std::string beside = path + ".XXXXXX";
  const int file = make_beside(beside);
  if (file < 0) return failed("written");
  std::string reason;
  for (std::size_t at = 0; at < text.size() && reason.empty();) {
    const auto n = ::write(file, text.data() + at, text.size() - at);
    if (n > 0)
      at += static_cast<std::size_t>(n);
    else if (n == 0 || errno != EINTR)
      reason = failed("written");
  }
  if (reason.empty() && ::fsync(file) != 0) reason = failed("synced");
  ::close(file);
  if (reason.empty() && std::rename(beside.c_str(), path.c_str()) != 0) reason = failed("put in place");
  if (!reason.empty()) ::unlink(beside.c_str());
  return reason;
}

void* open_module(const std::string& path, std::string& reason) {
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : "dlopen failed and gave no reason";
  }
  return module;
}

void* find_symbol(void* module, const char* name) { return ::dlsym(module, name); }

void start_thread(void (*work)(void* context), void* context) {
  sigset_t away, before;
  ::sigfillset(&away);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) ::sigdelset(&away, own);
  ::pthread_sigmask(SIG_SETMASK, &away, &before);  // the thread begins with this mask: no moment is left to a signal
  try {
    std::thread(work, context).detach();
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void set_nice([[maybe_unused]] int nice) {
#if defined(__linux__)
  // That of the process is its first thread's.
  const int base = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), std::min(19, base + nice));
#endif
}

void after_fork_in_child(void (*f)()) { ::pthread_atfork(nullptr, nullptr, f); }

}  // namespace sluice::platform
