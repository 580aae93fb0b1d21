// Row sums of a file beside its ceilings, in one run: in the page cache, the same bytes read by pread alone, and summed from
// memory; not in the page cache (cold), read around it by O_DIRECT alone. Sums are compared before any timing.
// file_stream_numpy.py does the same with NumPy, for a file that is given.
//
// A file that is read through the page cache is there in pages as large as that reading left them: after a cold run by
// pread, and after one by windows, the same file has other speeds. Benchmarks therefore run in this order, hot ones on a
// file as it was written.
//
//     file_stream_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// Writes a file of 1 GiB, or of `--gib N`, to the folder of temporary files and removes it; give it a folder by TMPDIR.
// Where there are devices, the file goes through the first of every kind, beside the bus alone. Ends with a table.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "sluice/npy.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/parallel.hpp"
#include "sluice/pipeline.hpp"

namespace {

constexpr std::int64_t columns = 1024;
std::int64_t mebibytes = 1024;

// The file that all benchmarks read, in a folder of its own.
struct input {
  input() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder = name;
    const std::int64_t rows = mebibytes << 8;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> unit(0, 1);
    std::vector<float> some(4096 * columns);  // 16 MiB at once: what is written in small pieces is cached in small pages
    std::ofstream out(path(), std::ios::binary);
    out << sluice::npy_header_bytes(sluice::dtype::f32, {rows, columns});
    for (std::int64_t r = 0; r < rows; r += 4096) {
      for (float& x : some) x = unit(random);
      out.write(reinterpret_cast<const char*>(some.data()), static_cast<std::streamsize>(some.size() * sizeof(float)));
    }
  }
  ~input() { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::string path() const { return folder / "in.npy"; }
  [[nodiscard]] std::string result() const { return folder / "out.npy"; }

  std::filesystem::path folder;
};

const input& file() {
  static const input made;
  return made;
}

void count(benchmark::State& state, std::int64_t bytes) { state.SetBytesProcessed(state.iterations() * bytes); }

void rowsum_file(benchmark::State& state, bool map) {
  const sluice::file_stream in(file().path(), {.map = map});
  for (auto _ : state) sluice::rowsum_file(in, file().result(), {.where = sluice::device::cpu});
  count(state, in.bytes());
}
BENCHMARK_CAPTURE(rowsum_file, read, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(rowsum_file, mapped, true)->UseRealTime()->Unit(benchmark::kMillisecond);

void chunks_then_rowsum(benchmark::State& state) {
  const sluice::file_stream in(file().path(), {.chunk_bytes = state.range(0)});
  for (auto _ : state)
    for (const auto& chunk : in.chunks()) benchmark::DoNotOptimize(sluice::rowsum(chunk.rows));
  count(state, in.bytes());
}
BENCHMARK(chunks_then_rowsum)->Arg(1 << 20)->Arg(4 << 20)->Arg(16 << 20)->UseRealTime()->Unit(benchmark::kMillisecond);

// Ceiling: nothing but pread, by as many threads, in pieces of 1 MiB.
void pread_alone(benchmark::State& state) {
  constexpr std::int64_t piece = 1 << 20;
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_CLOEXEC);
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(file().path()));
  for (auto _ : state)
    sluice::parallel_for(bytes / piece, [&](std::int64_t i) {
      sluice::tensor buffer({piece}, sluice::dtype::u8);
      if (::pread(descriptor, buffer.data(), piece, i * piece) != piece) std::abort();
    });
  ::close(descriptor);
  count(state, bytes);
}
BENCHMARK(pread_alone)->UseRealTime()->Unit(benchmark::kMillisecond);

// Ceiling: no file.
void rowsum_of_memory(benchmark::State& state) {
  const sluice::tensor a = sluice::read_npy(file().path());
  for (auto _ : state) benchmark::DoNotOptimize(sluice::rowsum(a));
  count(state, static_cast<std::int64_t>(a.bytes()));
}
BENCHMARK(rowsum_of_memory)->UseRealTime()->Unit(benchmark::kMillisecond);

// The file's pages leave the cache; only clean ones do.
void drop_pages(int descriptor) {
  if (::fsync(descriptor) != 0 || ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) != 0) std::abort();
}

void rowsum_file_cold(benchmark::State& state, bool map) {
  const sluice::file_stream in(file().path(), {.map = map});
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_CLOEXEC);
  for (auto _ : state) {
    state.PauseTiming();
    drop_pages(descriptor);
    state.ResumeTiming();
    sluice::rowsum_file(in, file().result());
  }
  ::close(descriptor);
  count(state, in.bytes());
}

// Ceiling of a cold file: nothing but reads around the page cache, by as many threads.
void direct_alone(benchmark::State& state) {
  constexpr std::int64_t piece = 8 << 20;
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(file().path()));
  if (descriptor < 0) return state.SkipWithError("this file system knows no O_DIRECT");
  for (auto _ : state) {
    state.PauseTiming();
    drop_pages(descriptor);
    state.ResumeTiming();
    sluice::parallel_for(bytes / piece, [&](std::int64_t i) {
      sluice::tensor buffer({piece}, sluice::dtype::u8);
      if (::pread(descriptor, buffer.data(), piece, i * piece) != piece) std::abort();
    });
  }
  ::close(descriptor);
  count(state, bytes);
}

// The plain way to the same sums: two threads or more, each with a buffer of its own, nothing written.
void pread_and_sum(benchmark::State& state) {
  constexpr std::int64_t piece = 1 << 20;
  const sluice::file_stream in(file().path());
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_CLOEXEC);
  for (auto _ : state)
    sluice::parallel_for(in.bytes() / piece, [&](std::int64_t i) {
      sluice::tensor rows({piece / (4 * columns), columns});
      if (::pread(descriptor, rows.data(), piece, in.byte_offset() + i * piece) != piece) std::abort();
      benchmark::DoNotOptimize(sluice::rowsum(rows, sluice::device::cpu));
    });
  ::close(descriptor);
  count(state, in.bytes());
}
BENCHMARK(pread_and_sum)->UseRealTime()->Unit(benchmark::kMillisecond);

void rowsum_file_with_totals(benchmark::State& state) {
  const sluice::file_stream in(file().path());
  for (auto _ : state)
    sluice::rowsum_file(in, file().result(), {.where = sluice::device::cpu, .column_totals = file().folder / "totals.npy"});
  count(state, in.bytes());
}
BENCHMARK(rowsum_file_with_totals)->UseRealTime()->Unit(benchmark::kMillisecond);

void matmul_file(benchmark::State& state, const sluice::device& where) {
  const sluice::file_stream in(file().path());
  const auto b = sluice::tensor::full({columns, state.range(0)}, 0.5, sluice::dtype::f32, where);
  for (auto _ : state) sluice::matmul_file(in, b, file().result(), {.where = where});
  count(state, in.bytes());
}
BENCHMARK_CAPTURE(matmul_file, cpu, "cpu")->Arg(4)->Arg(64)->UseRealTime()->Unit(benchmark::kMillisecond);

void rowsum_file_on(benchmark::State& state, const sluice::device& where) {
  const sluice::file_stream in(file().path());
  sluice::pipeline_summary last;
  for (auto _ : state) last = sluice::rowsum_file(in, file().result(), {.where = where});
  state.SetLabel("slowest: " + std::string(last.slowest_stage()));
  count(state, in.bytes());
}

// Ceiling of a device: one pinned chunk, copied again and again.
void copy_alone(benchmark::State& state, const sluice::device& where) {
  const sluice::tensor chunk({8 << 20}, sluice::dtype::u8, where, sluice::memory::pinned);
  sluice::tensor there({8 << 20}, sluice::dtype::u8, where);
  constexpr int copies = 64;
  for (auto _ : state) {
    for (int i = 0; i < copies; ++i) there.assign(chunk);
    benchmark::DoNotOptimize(there.data());  // waits
  }
  count(state, copies * static_cast<std::int64_t>(chunk.bytes()));
}

// The first device of every backend but the CPU's.
void add_devices() {
  for (const auto& d : sluice::devices()) {
    if (d.where.is_cpu() || d.where.index() != 0) continue;
    const auto named = [&](const char* name, auto body) {
      return benchmark::RegisterBenchmark((name + d.where.str()).c_str(),
                                          [=, where = d.where](benchmark::State& state) { body(state, where); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    };
    named("rowsum_file/", rowsum_file_on);
    named("matmul_file/", matmul_file)->Arg(64)->Arg(1024);
    named("copy_alone/", copy_alone);
  }
}

// Last, because of what they leave in the page cache.
void add_cold() {
  for (const bool map : {false, true})
    benchmark::RegisterBenchmark(map ? "rowsum_file_cold/mapped" : "rowsum_file_cold/read",
                                 [map](benchmark::State& state) { rowsum_file_cold(state, map); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark("direct_alone", direct_alone)->UseRealTime()->Unit(benchmark::kMillisecond);
}

// Keeps the figures for a table at the end: medians, or all there is without repetitions.
class table : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const auto rate = run.counters.find("bytes_per_second");
      const bool wanted = run.run_type == Run::RT_Aggregate ? run.aggregate_name == "median" : run.repetitions <= 1;
      if (wanted && rate != run.counters.end()) rows_.emplace_back(run.run_name.str(), rate->second / 1e9);
    }
  }
  void print(std::int64_t bytes) const {
    std::printf("\n%.2f GB, f32, %lld columns, %d threads\n\n| | GB/s |\n|---|---|\n", static_cast<double>(bytes) / 1e9,
                static_cast<long long>(columns), sluice::parallel_size());
    for (const auto& [name, rate] : rows_) std::printf("| %s | %.1f |\n", name.c_str(), rate);
  }

 private:
  std::vector<std::pair<std::string, double>> rows_;
};

// Takes `--gib N` out of the arguments.
void read_size(int& argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) != "--gib") continue;
    mebibytes = std::max<std::int64_t>(1, std::atoll(argv[i + 1])) << 10;
    std::copy(argv + i + 2, argv + argc + 1, argv + i);
    argc -= 2;
    return;
  }
}

bool answers_agree() {
  const sluice::file_stream in(file().path());
  sluice::rowsum_file(in, file().result());
  const sluice::tensor sums = sluice::read_npy(file().result());
  const auto s = sums.view<float, 1>();
  for (const auto& chunk : in.chunks()) {
    const auto x = chunk.rows.view<float, 2>();
    for (std::int64_t r = 0; r < x.extent(0); ++r) {
      double sum = 0;
      for (std::int64_t c = 0; c < columns; ++c) sum += static_cast<double>(x(r, c));
      if (std::abs(static_cast<double>(s(chunk.first_row + r)) - sum) > sum * 6e-8) return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  read_size(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (!answers_agree()) {
    std::fprintf(stderr, "the sums are wrong\n");
    return 1;
  }
  add_devices();
  add_cold();
  table figures;
  benchmark::RunSpecifiedBenchmarks(&figures);
  figures.print(sluice::file_stream(file().path()).bytes());
  return 0;
}
