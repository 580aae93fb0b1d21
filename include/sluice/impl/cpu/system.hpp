// What the CPU backend asks of the operating system.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

inline constexpr std::size_t huge_page = 2 << 20;

// Memory that lies at a multiple of `alignment`, a power of two; null when there is none. With huge_page it is mapped on its
// own, on huge pages where the system has them.
void* system_allocate(std::size_t size, std::size_t alignment);
// With the size and alignment that it was asked for with.
void system_free(void* data, std::size_t size, std::size_t alignment);

struct memory_sizes {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
};
// The machine's; zeros where that cannot be told.
memory_sizes system_memory();

// Puts in the processor's name as the system tells it; leaves what is there where it tells none.
void processor_name(char (&name)[80]);

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/cpu/system_windows.hpp"
#else
#include "sluice/impl/cpu/system_posix.hpp"
#endif
