// Linux and macOS. Included by process.hpp.
#pragma once

#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "sluice/impl/base/process.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// cgroup v2 writes "max 100000" or "QUOTA PERIOD", in microseconds. 0: no quota.
inline int cgroup_quota(const std::filesystem::path& folder) {
  std::ifstream in(folder / "cpu.max");
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(std::min(quota / period, 1e6))));
}

// The least quota from this process's cgroup ("0::/a/b") up to the root that it sees. 0: none.
inline int cgroup_cores() {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::ifstream in("/proc/self/cgroup");
  std::string own;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::/")) own = line.substr(4);
  int least = cgroup_quota(root);
  std::filesystem::path folder = root;
  for (const auto& part : std::filesystem::path(own)) {
    folder /= part;
    const int quota = cgroup_quota(folder);
    if (quota > 0 && (least == 0 || quota < least)) least = quota;
  }
  return least;
}

// Cores in this process's affinity; 0 where it is unknown.
inline int affinity_cores() {
#if defined(__linux__)
  for (int capacity = 1024; capacity <= 1 << 20; capacity *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(capacity));
    if (set == nullptr) return 0;
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(capacity));
    const int count = ::sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return 0;
}

inline int usable_cores() {
  const int allowed = affinity_cores();
  const int cores = allowed > 0 ? allowed : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int quota = cgroup_cores();
  return quota > 0 ? std::min(cores, quota) : cores;
}

inline std::vector<std::string> split_paths(const std::string& list) {
  std::vector<std::string> paths;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    paths.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

inline std::string cache_folder() {
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

inline std::string host_id() {
  std::string id;
  std::ifstream("/etc/machine-id") >> id;
  char name[256] = "";
  if (::gethostname(name, sizeof name - 1) != 0) name[0] = '\0';
  return id + ' ' + name;
}

inline bool may_use_amx() noexcept {
#if defined(__linux__) && defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned units = 1u << 22 | 1u << 24;  // for bf16, and tiles at all
  constexpr long request_permission = 0x1023, tile_data = 18;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & units) == units &&
         syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

inline std::int64_t process_id() noexcept { return ::getpid(); }

inline void processor_name([[maybe_unused]] char (&name)[80]) noexcept {
#if defined(__linux__)
  std::FILE* file = std::fopen("/proc/cpuinfo", "re");
  if (file == nullptr) return;
  char line[256];
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, "model name", 10) != 0) continue;
    const char* value = std::strchr(line, ':');
    if (value != nullptr)
      std::snprintf(name, sizeof name, "%.*s", static_cast<int>(std::strcspn(value + 2, "\n")), value + 2);
    break;
  }
  std::fclose(file);
#elif defined(__APPLE__)
  char text[80];
  std::size_t size = sizeof text;
  if (::sysctlbyname("machdep.cpu.brand_string", text, &size, nullptr, 0) == 0) std::memcpy(name, text, sizeof name);
#endif
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
