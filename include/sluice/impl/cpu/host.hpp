// Private header of the CPU backend: the host that core lent, the slots of its table, and what they share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sluice/backend_api.h"

namespace sluice::cpu {

// What core lent when it entered the backend.
const sluice_host& host();

// Widest vector instructions this processor has, or SLUICE_SIMD=plain|avx2|avx512 asks for. Read once.
enum class simd_level { plain, neon, avx2, avx512 };
simd_level simd();
const char* simd_name();

// "BLIS 0.9.0": the library behind cpu_matmul.
const char* blas_description();

#if defined(__MINGW32__)  // the attribute's plain form is for a library there that knows no %zu
#define SLUICE_PRINTF gnu_printf
#else
#define SLUICE_PRINTF printf
#endif
// Writes the sentence into `message`, which may be null, and returns `status`.
[[gnu::format(SLUICE_PRINTF, 3, 4)]] sluice_status fail(sluice_status status, sluice_message* message, const char* format,
                                                        ...);
#undef SLUICE_PRINTF

// body(i) for every i in [0, count) on the process's one pool. `body` must not throw.
template <class F>
void parallel_for(std::int64_t count, F&& body) {
  using function = std::remove_reference_t<F>;
  host().parallel_for(
      count, [](void* context, std::int64_t i) { (*static_cast<function*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Below this many bytes of traffic work stays on the calling thread: waking a sleeping helper costs 65 to 110 us.
constexpr std::int64_t serial_bytes = 256 << 10;

sluice_status cpu_allocate(std::int32_t device, std::int32_t kind, std::size_t bytes, void** data, sluice_message* message);
void cpu_deallocate(std::int32_t device, std::int32_t kind, void* data, std::size_t bytes);
sluice_status cpu_memory_stats(std::int32_t device, std::int32_t kind, sluice_memory_stats* stats, sluice_message* message);
void cpu_memory_trim(std::int32_t device, std::int32_t kind);

sluice_status cpu_copy(std::int32_t device, sluice_queue* queue, const sluice_array* target, const sluice_array* source,
                       sluice_message* message);
sluice_status cpu_fill(std::int32_t device, sluice_queue* queue, const sluice_array* target, double value,
                       sluice_message* message);

sluice_status cpu_matmul(std::int32_t device, sluice_queue* queue, const sluice_array* a, const sluice_array* b,
                         const sluice_array* out, std::int32_t precision, sluice_message* message);
sluice_status cpu_rowsum(std::int32_t device, sluice_queue* queue, const sluice_array* a, const sluice_array* out,
                         sluice_message* message);

// The backend's table; keeps `lent` for host().
const sluice_backend* table(const sluice_host* lent);

}  // namespace sluice::cpu

// How core reaches the table.
extern "C" const sluice_backend* sluice_cpu_backend(const sluice_host* host);
