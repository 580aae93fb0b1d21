// The kernels of an op, once for each instruction set, and those of the one in use. Included in the op's namespace, where
// SLUICE_KERNELS is the header of the kernels and `kernels` the type of what its kernels_of_level() gives.
#if defined(__clang__)
#define SLUICE_UNROLL _Pragma("clang loop unroll(full)")
#define SLUICE_NODEBUG , gnu::nodebug  // clang 14 crashes where a debugger's variable is a vector plus a constant
#else
#define SLUICE_UNROLL _Pragma("GCC unroll 64")
#define SLUICE_NODEBUG
#endif

namespace plain {
#define SLUICE_TARGET
#define SLUICE_SIMD_PLAIN 1
inline constexpr int vector_bytes = 16;
#include SLUICE_KERNELS
#undef SLUICE_SIMD_PLAIN
#undef SLUICE_TARGET
}  // namespace plain

#if defined(__aarch64__)
namespace neon {
#define SLUICE_TARGET
#define SLUICE_SIMD_NEON 1
inline constexpr int vector_bytes = 16;
#include SLUICE_KERNELS
#undef SLUICE_SIMD_NEON
#undef SLUICE_TARGET
}  // namespace neon
#endif

#if defined(__x86_64__)
namespace avx2 {
#define SLUICE_TARGET __attribute__((target("avx2")))
#define SLUICE_SIMD_AVX2 1
inline constexpr int vector_bytes = 32;
#include SLUICE_KERNELS
#undef SLUICE_SIMD_AVX2
#undef SLUICE_TARGET
}  // namespace avx2

namespace avx512 {
#define SLUICE_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define SLUICE_SIMD_AVX512 1
inline constexpr int vector_bytes = 64;
#include SLUICE_KERNELS
#undef SLUICE_SIMD_AVX512
#undef SLUICE_TARGET
}  // namespace avx512
#endif

#undef SLUICE_UNROLL
#undef SLUICE_NODEBUG

inline const kernels& kernels_in_use() {
  switch (simd()) {
#if defined(__x86_64__)
    case simd_level::avx512: return avx512::kernels_of_level();
    case simd_level::avx2: return avx2::kernels_of_level();
#elif defined(__aarch64__)
    case simd_level::neon: return neon::kernels_of_level();
#endif
    default: return plain::kernels_of_level();
  }
}

#undef SLUICE_KERNELS
