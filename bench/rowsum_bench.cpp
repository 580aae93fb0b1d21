// rowsum beside its ceiling, in one run: reading a large array on one thread and on all, sluice on every device, and a plain
// loop. Answers are compared with sums in extended precision before any timing.
//
//     rowsum_bench --benchmark_repetitions=3 --benchmark_report_aggregates_only=true
//
// Counters: bytes_per_second; of_read, the share of the rate at which all threads read the array, measured just before and
// after, since on a shared machine it moves; error, the largest distance from the true sum, over the sum of magnitudes.
// rowsum_numpy.py has NumPy's figures on the same shapes.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "running.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/parallel.hpp"

namespace {

constexpr std::int64_t elements = std::int64_t{1} << 28;  // 1 GiB of f32

const sluice::tensor& data() {
  static const sluice::tensor filled = [] {
    sluice::tensor t({elements});
    auto* values = static_cast<float*>(t.data());
    sluice::parallel_for(elements >> 20, [&](std::int64_t part) {
      std::minstd_rand random(static_cast<unsigned>(part) + 1);
      std::uniform_real_distribution<float> uniform(-100, 100);
      for (std::int64_t i = part << 20; i < (part + 1) << 20; ++i) values[i] = uniform(random);
    });
    return t;
  }();
  return filled;
}

// Ceiling ------------------------------------------------------------------------------------------------------------------

typedef std::uint64_t words __attribute__((vector_size(16)));

void read(const char* from, std::int64_t bytes) {
  words x[8] = {};
  for (std::int64_t i = 0; i < bytes; i += sizeof x) {
    for (std::size_t k = 0; k < 8; ++k) {
      words y;
      std::memcpy(&y, from + i + k * sizeof y, sizeof y);
      x[k] |= y;
    }
  }
  benchmark::DoNotOptimize(x);
}

// Bytes per second at which one thread, or all of them, read the array: the best of three turns.
double read_rate(bool all) {
  constexpr std::int64_t chunk = 2 << 20;
  constexpr std::int64_t bytes = elements * 4;
  const auto* from = static_cast<const char*>(data().data());
  double best = 1e9;
  for (int turn = 0; turn < 3; ++turn) {
    const auto start = clock_type::now();
    if (all)
      sluice::parallel_for(bytes / chunk, [&](std::int64_t i) { read(from + i * chunk, chunk); });
    else
      read(from, bytes);
    best = std::min(best, seconds_since(start));
  }
  return static_cast<double>(bytes) / best;
}

void ceiling(benchmark::State& state, bool all) {
  double rate = 0;
  for (auto _ : state) rate = std::max(rate, read_rate(all));
  state.counters["bytes_per_second"] = rate_counter(rate, benchmark::Counter::kIs1024);
}

// Answers ------------------------------------------------------------------------------------------------------------------

// The largest distance of s from the sums of rows from all over a, as a share of the sums of magnitudes.
double error_of(const sluice::tensor& a, const sluice::tensor& s) {
  const std::int64_t rows = a.extent(0);
  const std::int64_t columns = a.extent(1);
  const auto sums = s.to("cpu").as(sluice::dtype::f64);
  const auto* found = static_cast<const double*>(sums.data());
  const std::int64_t step = std::max({std::int64_t{1}, rows / 4096, rows * columns >> 26});
  double worst = 0;
  for (std::int64_t r = 0; r < rows; r += step) {
    const auto row = a[r].as(sluice::dtype::f64);
    const auto* x = static_cast<const double*>(row.data());
    long double sum = 0;
    long double magnitudes = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      sum += x[i];
      magnitudes += std::fabs(x[i]);
    }
    if (magnitudes > 0) worst = std::max(worst, static_cast<double>(std::fabs(sum - found[r]) / magnitudes));
  }
  return worst;
}

// Ways ---------------------------------------------------------------------------------------------------------------------

using way = sluice::tensor (*)(const sluice::tensor&);

sluice::tensor on_sluice(const sluice::tensor& a) { return sluice::rowsum(a, a.device()); }

// What one would write, on one thread: its additions wait for each other.
sluice::tensor plain_loop(const sluice::tensor& a) {
  sluice::tensor s({a.extent(0)});
  const auto* x = static_cast<const float*>(a.data());
  auto* sums = static_cast<float*>(s.data());
  for (std::int64_t r = 0; r < a.extent(0); ++r) {
    float sum = 0;
    for (std::int64_t i = 0; i < a.extent(1); ++i) sum += *x++;
    sums[r] = sum;
  }
  return s;
}

void sums(benchmark::State& state, way make, std::int64_t columns, sluice::dtype type, const sluice::device& where) {
  const std::int64_t rows = elements / columns;
  const auto host = data().slice(0, 0, rows * columns).reshape({rows, columns}).as(type);
  const auto a = host.to(where);
  const double error = error_of(host, make(a));
  const bool narrow_sum = type != sluice::dtype::f64;
  if (error > (make != on_sluice ? 1e-3 : narrow_sum ? 6e-8 : 1e-15)) return state.SkipWithError("wrong answer");

  double ceiling = where.is_cpu() ? read_rate(true) : 0;
  const auto start = clock_type::now();
  for (auto _ : state) {
    const sluice::tensor s = make(a);
    benchmark::DoNotOptimize(s.data());  // waits for the device
  }
  const double seconds = seconds_since(start);
  if (where.is_cpu()) ceiling = std::max(ceiling, read_rate(true));

  const double bytes = static_cast<double>(a.bytes()) * static_cast<double>(state.iterations());
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  if (ceiling > 0) state.counters["of_read"] = bytes / seconds / ceiling;
  state.counters["error"] = error;
}

void register_all() {
  using sluice::dtype;
  const auto add = [](const std::string& name, way make, std::int64_t columns, dtype type, const sluice::device& where) {
    benchmark::RegisterBenchmark((name + "/" + std::to_string(columns)).c_str(), sums, make, columns, type, where)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  };
  benchmark::RegisterBenchmark("read/one_thread", ceiling, false)->UseRealTime()->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("read/all_threads", ceiling, true)->UseRealTime()->Unit(benchmark::kMillisecond);
  add("plain_loop/f32", plain_loop, 1024, dtype::f32, "cpu");
  for (const auto& d : sluice::devices()) {
    const std::string name = "sluice/" + d.where.str() + "/";
    for (const std::int64_t columns :
         {std::int64_t{1}, std::int64_t{3}, std::int64_t{16}, std::int64_t{17}, std::int64_t{64}, std::int64_t{100},
          std::int64_t{1000}, std::int64_t{1024}, std::int64_t{65536}, elements})
      add(name + "f32", on_sluice, columns, dtype::f32, d.where);
    for (const auto type : {dtype::f64, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8})
      add(name + std::string(sluice::name_of(type)), on_sluice, 1024, type, d.where);
  }
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
