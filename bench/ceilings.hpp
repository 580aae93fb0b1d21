// What the machine can do at most, found by the plainest means: multiply-adds a second, and bytes read and copied a second.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

#include "running.hpp"

namespace ceilings {

// Twelve chains of f32 FMAs, which hide a latency of four cycles on two units; flop/s. Each chain starts from a value read
// apart, or the compiler would see that they are one.
template <class Vector>
[[gnu::always_inline]] inline double fma_chains(int steps) {
  volatile float seed = 1.0f;
  Vector x[12];
  for (int i = 0; i < 12; ++i) x[i] = Vector{} + seed;
  const Vector a = Vector{} + 0.999f * seed;
  const Vector b = Vector{} + 0.001f * seed;
  const auto start = clock_type::now();
  for (int i = 0; i < steps; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) x[j] = x[j] * a + b;
  }
  const double seconds = seconds_since(start);
  for (int i = 0; i < 12; ++i) seed = seed + x[i][0];
  return 2.0 * steps * 12 * (sizeof(Vector) / sizeof(float)) / seconds;
}

typedef float f32x4 __attribute__((vector_size(16)));

#if defined(__x86_64__)
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));
[[gnu::target("avx512f"), gnu::noinline]] inline double fma_avx512(int steps) { return fma_chains<f32x16>(steps); }
[[gnu::target("avx2,fma"), gnu::noinline]] inline double fma_avx2(int steps) { return fma_chains<f32x8>(steps); }
inline double fma_rate(int steps) {
  if (__builtin_cpu_supports("avx512f")) return fma_avx512(steps);
  return __builtin_cpu_supports("fma") ? fma_avx2(steps) : fma_chains<f32x4>(steps);
}
#else
inline double fma_rate(int steps) { return fma_chains<f32x4>(steps); }
#endif

// flop/s of `threads` threads at once, measured at the first call: the best of some turns.
inline double fma_peak(int threads) {
  static std::map<int, double> known;
  if (known.contains(threads)) return known[threads];
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::atomic<int> waiting{threads};
  const auto work = [&](double& best) {
    for (--waiting; waiting > 0;) std::this_thread::yield();
    const int turns = by_run(1, 5, 5);
    for (int turn = 0; turn < turns; ++turn) best = std::max(best, fma_rate(by_run(10'000, 4'000'000, 4'000'000)));
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < rates.size(); ++i) others.emplace_back([&, i] { work(rates[i]); });
  work(rates[0]);
  for (auto& t : others) t.join();
  return known[threads] = std::accumulate(rates.begin(), rates.end(), 0.0);
}

inline void read(const char* from, std::int64_t bytes) {
  typedef std::uint64_t words __attribute__((vector_size(16)));
  words x[8] = {};
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(sizeof x) <= bytes; i += static_cast<std::int64_t>(sizeof x)) {
    for (std::size_t k = 0; k < 8; ++k) {
      words y;
      std::memcpy(&y, from + i + k * sizeof y, sizeof y);
      x[k] |= y;
    }
  }
  benchmark::DoNotOptimize(x);
}

// The bytes cut into pieces of at most 2 MiB, each piece done by one thread: the best rate of three turns.
template <class Piece>
double best_rate(std::int64_t bytes, bool all_threads, Piece&& piece) {
  constexpr std::int64_t chunk = 2 << 20;
  double best = 1e30;
  for (int turn = 0; turn < 3; ++turn) {
    const auto start = clock_type::now();
    const std::int64_t pieces = (bytes + chunk - 1) / chunk;
    const auto one = [&](std::int64_t i) { piece(i * chunk, std::min(chunk, bytes - i * chunk)); };
    if (all_threads)
      sluice::parallel_for(pieces, one);
    else
      for (std::int64_t i = 0; i < pieces; ++i) one(i);
    best = std::min(best, seconds_since(start));
  }
  return static_cast<double>(bytes) / best;
}

// Bytes a second at which one thread, or all of them, read memory.
inline double read_rate(const void* from, std::int64_t bytes, bool all_threads) {
  return best_rate(bytes, all_threads,
                   [&](std::int64_t at, std::int64_t n) { read(static_cast<const char*>(from) + at, n); });
}

// Bytes a second that are copied by memcpy, each counted once.
inline double copy_rate(void* to, const void* from, std::int64_t bytes, bool all_threads) {
  return best_rate(bytes, all_threads, [&](std::int64_t at, std::int64_t n) {
    std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, static_cast<std::size_t>(n));
  });
}

}  // namespace ceilings
