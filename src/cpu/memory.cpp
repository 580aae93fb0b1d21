// Host memory.
#include <cstdlib>

#include "cpu.hpp"

namespace sluice::cpu {

sluice_status cpu_allocate(std::int32_t, std::int32_t, std::size_t bytes, void** data, sluice_message* message) {
  *data = nullptr;
  if (bytes == 0) return SLUICE_OK;
  if (::posix_memalign(data, bytes >= 4096 ? 4096 : 64, bytes) == 0) return SLUICE_OK;
  *data = nullptr;
  return fail(SLUICE_OUT_OF_MEMORY, message, "cpu: no memory for %zu bytes", bytes);
}

void cpu_deallocate(std::int32_t, std::int32_t, void* data, std::size_t) { std::free(data); }

sluice_status cpu_memory_stats(std::int32_t, std::int32_t, sluice_memory_stats* stats, sluice_message*) {
  *stats = {};
  return SLUICE_OK;
}

void cpu_memory_trim(std::int32_t, std::int32_t) {}

}  // namespace sluice::cpu
