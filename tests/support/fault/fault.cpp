// Reads and writes that fail on request, in place of the C library's: linked into a test, or preloaded into a program.
//
//     SLUICE_FAULT_FILE=in.bin SLUICE_FAULT="short eintr read=5@1048576" LD_PRELOAD=... program
//
// concerns files whose path (or "pipe:") has SLUICE_FAULT_FILE in it, and knows
//
//     short        reads and writes do a third of what they are asked for
//     eintr        every other call is interrupted before it does anything
//     read=E@N     byte N cannot be read: reads end before it, and at it they fail with errno E
//     write=E@N    the same of writes, there and anywhere behind
//     sync=E@N     the fsync or fdatasync of number N, from 1, and that alone
//     slow=M       reads come one at a time, and take M milliseconds each: work lasts as long on every machine
//     rename=E@N   the rename of number N (SLUICE_FAULT_FILE is in the old name)
//
// Numbers count from when the text was last changed.
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>

namespace {

struct fault {
  int error = 0;
  long long at = -1;
};

std::atomic<long long> calls, syncs, renames, passed;  // passed: bytes of reads without an offset

// The text in force, empty for files that it does not concern.
std::string rules(const char* name) {
  static std::mutex one;
  static std::string last;
  const char* const text = std::getenv("SLUICE_FAULT");
  const char* const part = std::getenv("SLUICE_FAULT_FILE");
  const std::string now = text == nullptr ? "" : text;
  {
    const std::lock_guard lock(one);
    if (now != last) calls = syncs = renames = passed = 0;
    last = now;
  }
  return part != nullptr && std::strstr(name, part) != nullptr ? now : "";
}

std::string rules(int descriptor) {
  char name[4096];
  const ssize_t n = ::readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), name, sizeof name - 1);
  name[std::max<ssize_t>(n, 0)] = '\0';
  return rules(name);
}

fault find(const std::string& rules, const char* kind) {
  fault f;
  const auto at = rules.find(std::string(kind) + "=");
  if (at != std::string::npos) std::sscanf(rules.c_str() + at + std::strlen(kind) + 1, "%d@%lld", &f.error, &f.at);
  return f;
}

void take_time(const std::string& rules) {
  static std::mutex one;
  const fault f = find(rules, "slow");
  if (f.error == 0) return;
  const std::lock_guard lock(one);
  std::this_thread::sleep_for(std::chrono::milliseconds(f.error));
}

bool failed(int error) {
  errno = error;
  return true;
}

// How much of a call at `offset` is to be done, or an error.
bool fails(int descriptor, const char* kind, long long offset, size_t& count) {
  const int kept = errno;
  const std::string text = rules(descriptor);
  errno = kept;
  if (text.empty()) return false;
  if (std::strcmp(kind, "read") == 0) take_time(text);
  if (text.find("eintr") != std::string::npos && calls++ % 2 == 0) return failed(EINTR);
  if (text.find("short") != std::string::npos) count = std::min(count, count / 3 + 1);
  const fault f = find(text, kind);
  if (f.at < 0 || f.at >= offset + static_cast<long long>(count)) return false;
  if (f.at == offset || (f.at < offset && std::strcmp(kind, "write") == 0)) return failed(f.error);
  if (f.at < offset) return false;
  count = static_cast<size_t>(f.at - offset);
  return false;
}

bool counted(const std::string& text, const char* kind, std::atomic<long long>& count) {
  if (text.empty()) return false;
  const fault f = find(text, kind);
  return f.at > 0 && ++count == f.at && failed(f.error);
}

template <class Function>
Function* real(Function*, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED ssize_t read(int descriptor, void* to, size_t count) {
  static auto* const next = real(&::read, "read");
  if (fails(descriptor, "read", passed, count)) return -1;
  const ssize_t n = next(descriptor, to, count);
  if (n > 0 && !rules(descriptor).empty()) passed += n;
  return n;
}

EXPORTED ssize_t pread(int descriptor, void* to, size_t count, off_t offset) {
  static auto* const next = real(&::pread, "pread");
  return fails(descriptor, "read", offset, count) ? -1 : next(descriptor, to, count, offset);
}

EXPORTED ssize_t pwrite(int descriptor, const void* from, size_t count, off_t offset) {
  static auto* const next = real(&::pwrite, "pwrite");
  return fails(descriptor, "write", offset, count) ? -1 : next(descriptor, from, count, offset);
}

EXPORTED int fsync(int descriptor) {
  static auto* const next = real(&::fsync, "fsync");
  return counted(rules(descriptor), "sync", syncs) ? -1 : next(descriptor);
}

EXPORTED int fdatasync(int descriptor) {
  static auto* const next = real(&::fdatasync, "fdatasync");
  return counted(rules(descriptor), "sync", syncs) ? -1 : next(descriptor);
}

EXPORTED int rename(const char* from, const char* to) noexcept {
  static auto* const next = real(&::rename, "rename");
  return counted(rules(from), "rename", renames) ? -1 : next(from, to);
}
