// Windows.
#pragma once

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <malloc.h>
#include <windows.h>

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Large pages need a right that few users have: blocks of any size come from the heap.
inline void* system_allocate(std::size_t size, std::size_t alignment) { return ::_aligned_malloc(size, alignment); }

inline void system_free(void* data, std::size_t, std::size_t) { ::_aligned_free(data); }

inline memory_sizes system_memory() {
  MEMORYSTATUSEX status{};
  status.dwLength = sizeof status;
  return ::GlobalMemoryStatusEx(&status) ? memory_sizes{status.ullTotalPhys, status.ullAvailPhys} : memory_sizes{};
}

inline void processor_name(char (&name)[80]) {
  char text[80] = "";
  DWORD room = sizeof text;
  if (::RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                     RRF_RT_REG_SZ, nullptr, text, &room) != ERROR_SUCCESS)
    return;
  for (std::size_t i = 0; i < sizeof name; ++i) name[i] = text[i];
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
