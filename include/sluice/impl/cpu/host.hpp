// What every file of the CPU backend uses: the host that core lends, the instruction set in use, refusals and loops over the
// pool.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "sluice/backend_api.h"
#include "sluice/config.hpp"
#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/base/process.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Set by backend_table(), before any other function of the backend is called.
inline const sluice_host*& lent_host() {
  static const sluice_host* lent = nullptr;
  return lent;
}

inline const sluice_host& host() { return *lent_host(); }

enum class simd_level { plain, neon, avx2, avx512 };

inline simd_level widest_simd() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // Older compilers have no name for f16c here; every processor with AVX2 has it.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return simd_level::avx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? simd_level::avx2 : simd_level::plain;
#elif defined(__aarch64__)
  return simd_level::neon;
#else
  return simd_level::plain;
#endif
}

constexpr const char* name_of(simd_level level) {
  switch (level) {
    case simd_level::neon: return "neon";
    case simd_level::avx2: return "avx2";
    case simd_level::avx512: return "avx512";
    case simd_level::plain: break;
  }
  return "plain";
}

// SLUICE_SIMD names a level of this processor, for less than the widest.
inline simd_level chosen_simd() {
  const simd_level widest = widest_simd();
  const std::string_view wanted = base::environment("SLUICE_SIMD");
  std::string accepted;
  for (const simd_level level : {simd_level::plain, simd_level::neon, simd_level::avx2, simd_level::avx512}) {
    if (level > widest || (level == simd_level::neon && widest != level)) continue;
    if (wanted == name_of(level)) return level;
    accepted.append(accepted.empty() ? "" : " or ").append(name_of(level));
  }
  if (!wanted.empty()) base::warn_of_environment("SLUICE_SIMD", wanted, accepted.append(" on this processor").c_str());
  return widest;
}

// The vector instructions in use. The environment is read once.
inline simd_level simd() {
  static const simd_level level = chosen_simd();
  return level;
}

inline const char* simd_name() { return name_of(simd()); }

// What the processor multiplies bf16 by.
enum class bf16_units { none, avx512, amx };

inline bf16_units find_bf16_unit() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned avx512_bf16 = 1u << 5;
  if (simd() == simd_level::avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & avx512_bf16) != 0)
    return base::may_use_amx() ? bf16_units::amx : bf16_units::avx512;
#endif
  return bf16_units::none;
}

inline bf16_units bf16_unit() {
  static const bf16_units unit = find_bf16_unit();
  return unit;
}

#if defined(__MINGW32__)  // there the plain attribute checks for Microsoft's library, which has no %zu
#define SLUICE_PRINTF gnu_printf
#else
#define SLUICE_PRINTF printf
#endif
// Writes the sentence into `message`, which may be null, and returns `status`.
[[gnu::format(SLUICE_PRINTF, 3, 4)]] inline sluice_status fail(sluice_status status, sluice_message* message,
                                                               const char* format, ...) {
  if (message == nullptr) return status;
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  return status;
}
#undef SLUICE_PRINTF

// body(i) for every i in [0, count) on the process's one pool. `body` must not throw.
template <class F>
inline void parallel_for(std::int64_t count, F&& body) {
  using function = std::remove_reference_t<F>;
  host().parallel_for(
      count, [](void* context, std::int64_t i) { (*static_cast<function*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// Work with less traffic than this, in bytes, stays on the calling thread: waking a sleeping worker takes 65 to 110 us.
inline constexpr std::int64_t serial_bytes = 256 << 10;

inline constexpr std::int64_t dtype_size[] = {8, 4, 2, 2, 8, 4, 1};  // by sluice_dtype

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
