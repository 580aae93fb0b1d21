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
// Writes SLUICE_BENCH_MIB (1024) MiB to the folder of temporary files and removes them; give it a folder by TMPDIR.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

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

// The file that all benchmarks read, in a folder of its own.
struct input {
  input() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder = name;
    const char* mebibytes = std::getenv("SLUICE_BENCH_MIB");
    const std::int64_t rows = (mebibytes != nullptr ? std::atoll(mebibytes) : 1024) << 8;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> unit(0, 1);
    std::vector<float> some(256 * columns);
    std::ofstream out(path(), std::ios::binary);
    out << sluice::npy_header_bytes(sluice::dtype::f32, {rows, columns});
    for (std::int64_t r = 0; r < rows; r += 256) {
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
  for (auto _ : state) sluice::rowsum_file(in, file().result());
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
BENCHMARK_CAPTURE(rowsum_file_cold, read, false)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(rowsum_file_cold, mapped, true)->UseRealTime()->Unit(benchmark::kMillisecond);

// Ceiling of a cold file: nothing but reads around the page cache, by as many threads.
void direct_alone(benchmark::State& state) {
  constexpr std::int64_t piece = 8 << 20;
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(file().path()));
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
BENCHMARK(direct_alone)->UseRealTime()->Unit(benchmark::kMillisecond);

bool answers_agree() {
  sluice::rowsum_file(sluice::file_stream(file().path()), file().result());
  const sluice::tensor a = sluice::read_npy(file().path());
  const sluice::tensor sums = sluice::read_npy(file().result());
  const auto x = a.view<float, 2>();
  const auto s = sums.view<float, 1>();
  for (std::int64_t r = 0; r < x.extent(0); ++r) {
    double sum = 0;
    for (std::int64_t c = 0; c < columns; ++c) sum += static_cast<double>(x(r, c));
    if (std::abs(static_cast<double>(s(r)) - sum) > sum * 6e-8) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  if (!answers_agree()) {
    std::fprintf(stderr, "the sums are wrong\n");
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
