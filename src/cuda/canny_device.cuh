// What canny's arithmetic (canny_pairs.hpp) and tiles (canny_tiles.hpp) are on the device.
#pragma once

#include <cuda_fp16.h>

#include <cuda/atomic>

#include "canny_edges.hpp"
#include "canny_tiles.hpp"

namespace sluice::cuda {

struct device_pairs {
  static __device__ __half2 of(word w) { return *reinterpret_cast<const __half2*>(&w); }
  static __device__ word bits(__half2 h) { return *reinterpret_cast<const word*>(&h); }

  static __device__ word add(word a, word b) { return bits(__hadd2(of(a), of(b))); }
  static __device__ word sub(word a, word b) { return bits(__hsub2(of(a), of(b))); }
  static __device__ word fma(word a, word b, word c) { return bits(__hfma2(of(a), of(b), of(c))); }
  static __device__ word abs(word a) { return bits(__habs2(of(a))); }
  static __device__ word greater(word a, word b) { return __hgt2_mask(of(a), of(b)); }
  static __device__ word at_least(word a, word b) { return __hge2_mask(of(a), of(b)); }
  // 0xffff where the sign bit is set.
  static __device__ word negative(word a) {
    word mask;
    asm("prmt.b32 %0, %1, 0, 0xbb99;" : "=r"(mask) : "r"(a));
    return mask;
  }
  static __device__ float low(word a) { return __low2float(of(a)); }
  static __device__ float high(word a) { return __high2float(of(a)); }
  static __device__ word permute(word a, word b, unsigned selector) { return __byte_perm(a, b, selector); }
  static __device__ word shift_right(word low, word high, unsigned bits) { return __funnelshift_r(low, high, bits); }
};

// The lanes of a warp, all of which are there.
struct device_warp {
  using rows = word;
  static constexpr unsigned whole = 0xffffffffu;

  static __device__ unsigned lane() { return threadIdx.x % 32; }
  static __device__ rows all(word w) { return w; }
  static __device__ bool any(rows r) { return __any_sync(whole, r != 0) != 0; }
  static __device__ rows above(rows r) {
    const rows other = __shfl_up_sync(whole, r, 1);
    return lane() == 0 ? 0 : other;
  }
  static __device__ rows below(rows r) {
    const rows other = __shfl_down_sync(whole, r, 1);
    return lane() == 31 ? 0 : other;
  }
  static __device__ rows reverse(rows r) { return __brev(r); }
  static __device__ rows border() { return lane() % 31 == 0 ? whole : 0x80000001u; }
  // The lowest bit of the first row that has one.
  static __device__ rows first(rows r) {
    const unsigned holders = __ballot_sync(whole, r != 0);
    return lane() + 1 == static_cast<unsigned>(__ffs(static_cast<int>(holders))) ? r & (0 - r) : 0;
  }
  static __device__ word row(rows r, int i) { return __shfl_sync(whole, r, i); }
  static __device__ rows in_row(unsigned i, word w) { return lane() == i ? w : 0; }
  static __device__ rows across(word w) { return w >> lane() & 1; }               // bit i in row i
  static __device__ word gather(rows r) { return __ballot_sync(whole, r != 0); }  // and back
  static __device__ rows load(const word* p) { return p[lane()]; }
  static __device__ void store(word* p, rows r) { p[lane()] = r; }

  template <class F>
  static __device__ void each(rows where, rows a, rows b, const F& f) {
    if (where != 0) f(a, b);
  }
  template <class F>
  static __device__ void for_lanes(unsigned count, const F& f) {
    for (unsigned i = lane(); i < count; i += 32) f(i);
  }
  template <class F>
  static __device__ void once(const F& f) {
    if (lane() == 0) f();
  }
  // Bit i: what f(i) is.
  template <class F>
  static __device__ std::uint64_t mask_of(unsigned count, const F& f) {
    const unsigned low = __ballot_sync(whole, lane() < count && f(lane()));
    if (count <= 32) return low;
    const unsigned high = __ballot_sync(whole, lane() + 32 < count && f(lane() + 32));
    return static_cast<std::uint64_t>(high) << 32 | low;
  }
  static __device__ rows bits_of(std::uint64_t mask, rows slots) { return static_cast<word>(mask >> slots & 1); }
};

class device_parents {
 public:
  explicit __device__ device_parents(word* parents) : parents_(parents) {}
  __device__ word load(word node) const { return of(parents_ + node).load(::cuda::memory_order_relaxed); }
  __device__ void store(word node, word parent) const { of(parents_ + node).store(parent, ::cuda::memory_order_relaxed); }
  // Returns what the node's parent was.
  __device__ word exchange(word node, word expected, word parent) const {
    return atomicCAS(parents_ + node, expected, parent);
  }
  __device__ word append(word* count) const { return atomicAdd(count, 1u); }

 private:
  static __device__ ::cuda::atomic_ref<word, ::cuda::thread_scope_device> of(word* p) {
    return ::cuda::atomic_ref<word, ::cuda::thread_scope_device>(*p);
  }
  word* parents_;
};

}  // namespace sluice::cuda
