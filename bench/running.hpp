// What the benchmarks share: the clock, rates as counters, and main().
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>

using clock_type = std::chrono::steady_clock;

inline double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

// `rate` a second, in units of 1,000 or of 1,024.
inline benchmark::Counter rate_counter(double rate, benchmark::Counter::OneK unit) {
  return {rate, benchmark::Counter::kDefaults, unit};
}

inline int run_benchmarks(int argc, char** argv, void (*register_all)()) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
