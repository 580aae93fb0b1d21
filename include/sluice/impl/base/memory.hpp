// Memory from the operating system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#if defined(_WIN32)
#include "sluice/impl/base/windows.hpp"

#include <malloc.h>
#else
#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <sys/sysctl.h>
#endif
#endif

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline constexpr std::size_t huge_page = 2 << 20;

// Returns what the allocator keeps of freed memory to the system, where it does not by itself: after much was freed at once.
inline void return_freed_memory() noexcept {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

#if defined(__linux__)
// A mapping of its own at a multiple of huge_page, on huge pages where the system has them.
inline void* map_huge(std::size_t size) noexcept {
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
#endif

// `size` bytes at a multiple of `alignment`, a power of two; null when there is no memory. huge_page asks for huge pages.
inline void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept {
#if defined(_WIN32)
  return ::_aligned_malloc(size, alignment);  // large pages there need a privilege that few users have
#else
#if defined(__linux__)
  if (alignment == huge_page) return map_huge(size);
#endif
  void* data = nullptr;
  return ::posix_memalign(&data, alignment, size) == 0 ? data : nullptr;
#endif
}

// With the size and alignment that it was allocated with.
inline void free_aligned(void* data, [[maybe_unused]] std::size_t size, [[maybe_unused]] std::size_t alignment) noexcept {
#if defined(_WIN32)
  ::_aligned_free(data);
#else
#if defined(__linux__)
  if (alignment == huge_page) {
    ::munmap(data, size);
    return;
  }
#endif
  ::free(data);
#endif
}

struct memory_size {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
};

// The machine's memory in bytes; zeros where it is unknown.
inline memory_size system_memory() noexcept {
#if defined(_WIN32)
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return ::GlobalMemoryStatusEx(&status) ? memory_size{status.ullTotalPhys, status.ullAvailPhys} : memory_size{};
#elif defined(__linux__)
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {page * static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)),
          page * static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES))};
#elif defined(__APPLE__)
  memory_size sizes;
  std::size_t size = sizeof sizes.total;
  if (::sysctlbyname("hw.memsize", &sizes.total, &size, nullptr, 0) != 0) return {};
  vm_statistics64_data_t pages{};
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (::host_statistics64(::mach_host_self(), HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&pages), &count) ==
      KERN_SUCCESS)
    sizes.free = static_cast<std::uint64_t>(pages.free_count) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return sizes;
#else
  return {};
#endif
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
