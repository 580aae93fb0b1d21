// rowsum on every device beside its ceiling, in one run: reading a large array on one thread and on all, and a plain loop.
// Answers are compared with sums in extended precision before any timing.
//
//     rowsum_bench --benchmark_repetitions=3 [--run quick]
//
// Counters: bytes_per_second; share, of the rate at which all threads read the array, measured just before and after, since
// on a shared machine it moves; error, the largest distance from the true sum, over the sum of magnitudes. "rowsum from
// host" of n rows of 1,024 begins and ends in ordinary host memory. peers/arrays.py has others' figures on the same shapes.
#include <cmath>
#include <map>
#include <random>

#include "ceilings.hpp"
#include "sluice/ops/rowsum.hpp"

namespace {

using sluice::dtype;

std::int64_t elements() { return by_run(std::int64_t{1} << 14, std::int64_t{1} << 26, std::int64_t{1} << 28); }

const sluice::tensor& data() {
  static const sluice::tensor filled = [] {
    sluice::tensor t({elements()});
    auto* values = static_cast<float*>(t.data());
    constexpr std::int64_t part = 1 << 14;
    sluice::parallel_for(elements() / part, [&](std::int64_t i) {
      std::minstd_rand random(static_cast<unsigned>(i) + 1);
      std::uniform_real_distribution<float> uniform(-100, 100);
      for (std::int64_t k = i * part; k < (i + 1) * part; ++k) values[k] = uniform(random);
    });
    return t;
  }();
  return filled;
}

double read_rate(bool all) { return ceilings::read_rate(data().data(), elements() * 4, all); }

// The largest distance of s from the sums of rows from all over a, as a share of the sums of magnitudes.
double error_of(const sluice::tensor& a, const sluice::tensor& s) {
  const std::int64_t rows = a.extent(0);
  const std::int64_t columns = a.extent(1);
  const auto sums = s.to("cpu").as(dtype::f64);
  const auto* found = static_cast<const double*>(sums.data());
  const std::int64_t step = std::max({std::int64_t{1}, rows / 4096, rows * columns >> 26});
  double worst = 0;
  for (std::int64_t r = 0; r < rows; r += step) {
    const auto row = a[r].as(dtype::f64);
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

// The error of a way with this shape, dtype and device, found once.
double error_of_way(way make, const sluice::tensor& host, const sluice::tensor& a) {
  static std::map<std::string, double> known;
  const std::string key = a.shape().str() + a.device().str() + std::string(sluice::name_of(a.dtype())) +
                          (make == on_sluice ? "" : " by the plain loop");
  const auto found = known.find(key);
  return found != known.end() ? found->second : known[key] = error_of(host, make(a));
}

void sums(benchmark::State& state, way make, std::int64_t columns, dtype type, const sluice::device& where) {
  const std::int64_t rows = elements() / columns;
  const auto host = data().slice(0, 0, rows * columns).reshape({rows, columns}).as(type);
  const auto a = host.to(where);
  const double error = error_of_way(make, host, a);
  if (error > (make != on_sluice ? 1e-3 : type != dtype::f64 ? 6e-8 : 1e-15)) return state.SkipWithError("wrong answer");

  const double before = where.is_cpu() ? read_rate(true) : 0;
  std::vector<sluice::tensor> made(where.is_cpu() ? 1 : 10);  // all are waited for: they may be on several queues
  std::size_t next = 0;
  measure(
      state, {.bytes = static_cast<double>(a.bytes())}, static_cast<int>(made.size()),
      [&] { made[next++ % made.size()] = make(a); },
      [&] {
        for (const auto& s : made) benchmark::DoNotOptimize(s.data());
      });
  if (where.is_cpu()) state.counters["share"] = state.counters["bytes_per_second"] / std::max(before, read_rate(true));
  state.counters["error"] = error;
}

void from_host(benchmark::State& state, std::int64_t rows, const sluice::device& where) {
  const auto a = data().slice(0, 0, rows * 1024).reshape({rows, 1024});
  measure(state, {.bytes = static_cast<double>(a.bytes())}, [&] {
    const auto s = sluice::rowsum(a, where).to("cpu");
    benchmark::DoNotOptimize(s.data());
  });
}

void add_device(const sluice::device& where) {
  const auto on = [&](std::int64_t columns, dtype type) {
    const std::string width = columns == elements() ? "one row" : std::to_string(columns) + " columns";
    add("rowsum", "sluice", where.str(), sluice::name_of(type), width,
        [=](benchmark::State& s) { sums(s, on_sluice, columns, type, where); });
  };
  for (const std::int64_t columns :
       {std::int64_t{1}, std::int64_t{3}, std::int64_t{16}, std::int64_t{17}, std::int64_t{64}, std::int64_t{100},
        std::int64_t{1000}, std::int64_t{1024}, std::int64_t{65536}, elements()})
    if (columns <= elements()) on(columns, dtype::f32);
  for (const auto type : {dtype::f64, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8}) on(1024, type);
  for (std::int64_t rows = 1; rows <= by_run(4, 65536, 65536); rows *= 4)
    add("rowsum from host", "sluice", where.str(), "f32", std::to_string(rows) + " rows of 1024",
        [=](benchmark::State& s) { from_host(s, rows, where); });
}

void register_all() {
  for (const bool all : {false, true})
    add("rowsum", all ? "read alone" : "read alone, 1 thread", "cpu", "f32", "1024 columns", [all](benchmark::State& state) {
      double rate = 0;
      for (auto _ : state) {
        const auto start = clock_type::now();
        rate = std::max(rate, read_rate(all));
        state.SetIterationTime(seconds_since(start));
      }
      show_rate(state, "bytes_per_second", rate);
    });
  add("rowsum", "plain loop", "cpu", "f32", "1024 columns",
      [](benchmark::State& s) { sums(s, plain_loop, 1024, dtype::f32, "cpu"); });
  for (const auto& where : first_devices()) add_device(where);
}

}  // namespace

int main(int argc, char** argv) { return run_benchmarks(argc, argv, register_all); }
