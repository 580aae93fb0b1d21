// Linux and macOS.
#pragma once

#include <stdlib.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <sys/sysctl.h>
#endif

#include <cstdio>
#include <cstring>

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

#if defined(__linux__)

inline void* map(std::size_t size) {
  const std::size_t span = size + huge_page - 4096;
  void* mapped = ::mmap(nullptr, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* begin = static_cast<char*>(mapped);
  const std::size_t before = (huge_page - reinterpret_cast<std::uintptr_t>(begin) % huge_page) % huge_page;
  if (before > 0) ::munmap(begin, before);
  if (span > before + size) ::munmap(begin + before + size, span - before - size);
  ::madvise(begin + before, size, MADV_HUGEPAGE);
  return begin + before;
}

inline void* system_allocate(std::size_t size, std::size_t alignment) {
  if (alignment == huge_page) return map(size);
  void* data = nullptr;
  return ::posix_memalign(&data, alignment, size) == 0 ? data : nullptr;
}

inline void system_free(void* data, std::size_t size, std::size_t alignment) {
  if (alignment == huge_page)
    ::munmap(data, size);
  else
    ::free(data);
}

inline memory_sizes system_memory() {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {page * static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)),
          page * static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES))};
}

inline void processor_name(char (&name)[80]) {
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
}

#else

inline void* system_allocate(std::size_t size, std::size_t alignment) {
  void* data = nullptr;
  return ::posix_memalign(&data, alignment, size) == 0 ? data : nullptr;
}

inline void system_free(void* data, std::size_t, std::size_t) { ::free(data); }

inline memory_sizes system_memory() {
  memory_sizes sizes;
#if defined(__APPLE__)
  std::size_t room = sizeof sizes.total;
  if (::sysctlbyname("hw.memsize", &sizes.total, &room, nullptr, 0) != 0) return {};
  vm_statistics64_data_t pages{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (::host_statistics64(::mach_host_self(), HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&pages), &count) ==
      KERN_SUCCESS)
    sizes.free = static_cast<std::uint64_t>(pages.free_count) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
#endif
  return sizes;
}

inline void processor_name([[maybe_unused]] char (&name)[80]) {
#if defined(__APPLE__)
  char text[80];
  std::size_t room = sizeof text;
  if (::sysctlbyname("machdep.cpu.brand_string", text, &room, nullptr, 0) == 0) std::memcpy(name, text, sizeof name);
#endif
}

#endif

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
