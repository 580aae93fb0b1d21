// What the benchmarks share: the size of a run, names, the clock, rates as counters, and main().
//
// A benchmark is called OPERATION/BY/WHERE/DTYPE/SIZE: "matmul/sluice/cuda:0/f32/1024x1024x1024", "rowsum/read
// alone/cpu/f32/ all". The same without BY is the same work, done by a peer: bench/run puts them side by side.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/device.hpp"
#include "sluice/parallel.hpp"

using clock_type = std::chrono::steady_clock;

inline double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

// --run tiny | quick | full: tiny shows that all works, and measures nothing.
enum class run_size { tiny, quick, full };
inline run_size running = run_size::full;

template <class T>
T by_run(T tiny, T quick, T full) {
  return running == run_size::tiny ? tiny : running == run_size::quick ? quick : full;
}

// The first device of every backend: the CPU, and a GPU where there is one.
inline std::vector<sluice::device> first_devices() {
  std::vector<sluice::device> all;
  for (const auto& d : sluice::devices())
    if (d.where.index() == 0 || d.where.is_cpu()) all.push_back(d.where);
  return all;
}

// Work of one call, and the rate that its machine has at most, in flop/s where there are flops, else in bytes/s.
struct cost {
  double bytes = 0;
  double flops = 0;
  double ceiling = 0;
};

// Times `call` in batches that end with one `wait`: of one, unless calls run behind the caller's back. A batch's time is the
// benchmark's, "calls" tells how many are in it.
template <class Call, class Wait>
void measure(benchmark::State& state, const cost& of, int calls, Call&& call, Wait&& wait) {
  double total = 0;
  double count = 0;
  for (auto _ : state) {
    const auto start = clock_type::now();
    for (int i = 0; i < calls; ++i) call();
    wait();
    const double seconds = seconds_since(start);
    state.SetIterationTime(seconds);
    total += seconds;
    count += calls;
  }
  const double rate = (of.flops > 0 ? of.flops : of.bytes) * count / total;
  state.counters["calls"] = calls;
  if (of.flops > 0) state.counters["flop/s"] = {rate, benchmark::Counter::kDefaults, benchmark::Counter::kIs1000};
  if (of.bytes > 0)
    state.counters["bytes_per_second"] = {of.bytes * count / total, benchmark::Counter::kDefaults,
                                          benchmark::Counter::kIs1000};
  if (of.ceiling > 0) state.counters["share"] = rate / of.ceiling;
}

template <class Call>
void measure(benchmark::State& state, const cost& of, Call&& call) {
  measure(state, of, 1, std::forward<Call>(call), [] {});
}

// A rate that was found by itself, as a ceiling is.
inline void show_rate(benchmark::State& state, const char* name, double rate) {
  state.counters[name] = {rate, benchmark::Counter::kDefaults, benchmark::Counter::kIs1000};
}

inline void add(const std::string& operation, const std::string& by, const std::string& where, std::string_view type,
                const std::string& size, std::function<void(benchmark::State&)> body) {
  benchmark::RegisterBenchmark((operation + "/" + by + "/" + where + "/" + std::string(type) + "/" + size).c_str(),
                               std::move(body))
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

// A benchmark's body is entered again for every repetition: what it checks is checked once.
inline bool first_time(const std::string& what) {
  static std::set<std::string> seen;
  return seen.insert(what).second;
}

// Takes `key VALUE` out of the arguments; empty when it is not there.
inline std::string take_option(int& argc, char** argv, std::string_view key) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (argv[i] != key) continue;
    const std::string value = argv[i + 1];
    for (int k = i; k + 2 <= argc; ++k) argv[k] = argv[k + 2];
    argc -= 2;
    return value;
  }
  return {};
}

inline int run_benchmarks(int argc, char** argv, void (*register_all)()) try {
  const std::string size = take_option(argc, argv, "--run");
  if (!size.empty()) running = size == "tiny" ? run_size::tiny : size == "quick" ? run_size::quick : run_size::full;
  for (const auto& d : sluice::devices()) benchmark::AddCustomContext("device " + d.where.str(), d.description);
  for (const auto& r : sluice::refusals())
    if (!r.backend.empty()) benchmark::AddCustomContext("refused " + r.backend, r.reason);
  benchmark::AddCustomContext("threads", std::to_string(sluice::parallel_size()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
  return 1;
}
