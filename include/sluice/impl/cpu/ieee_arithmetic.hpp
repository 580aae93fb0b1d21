// The processor's floating-point mode, which the application may have changed: -ffast-math alone flushes denormals in every
// thread.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Sets the thread to IEEE arithmetic for its scope: round to nearest, denormals kept.
class ieee_arithmetic {
 public:
  ieee_arithmetic() : before_(control()) {
    if (ieee(before_) != before_) set(ieee(before_));
  }
  ~ieee_arithmetic() {
    if (ieee(before_) != before_) set(before_);
  }
  ieee_arithmetic(const ieee_arithmetic&) = delete;
  ieee_arithmetic& operator=(const ieee_arithmetic&) = delete;

 private:
#if defined(__x86_64__)
  static unsigned control() { return _mm_getcsr(); }
  static void set(unsigned value) { _mm_setcsr(value); }
  static unsigned ieee(unsigned value) { return 0x1f80u | (value & 0x3fu); }  // no traps; flags stay raised
#elif defined(__aarch64__)
  static std::uint64_t control() {
    std::uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
  static std::uint64_t ieee(std::uint64_t) { return 0; }
#else
  static int control() { return 0; }
  static void set(int) {}
  static int ieee(int value) { return value; }
#endif
  const decltype(control()) before_;
};

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
