// Row sums of a file beside its ceilings, in one run: in the page cache, the same bytes read by pread alone, and summed from
// memory; not in the page cache (cold), read around it by O_DIRECT alone. Sums are compared before any timing.
// peers/arrays.py does the same with NumPy, with a file of its own.
//
// A file that is read through the page cache is there in pages as large as that reading left them: after a cold run by
// pread, and after one by windows, the same file has other speeds. Benchmarks therefore run in this order, hot ones on a
// file as it was written.
//
//     file_stream_bench --benchmark_repetitions=5 [--run quick]
//
// Writes a file of 1 GiB (--gib N) to the folder of temporary files and removes it; give it a folder by TMPDIR. Where there
// are devices, the file goes through the first of every kind, beside the bus alone.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "running.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/pipeline.hpp"

namespace {

constexpr std::int64_t columns = 1024;
std::int64_t mebibytes = 0;  // 0: as long as the run asks for

// The file that all benchmarks read, in a folder of its own. Raw rows: what peers read, too.
struct input {
  input() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder = name;
    if (mebibytes == 0) mebibytes = by_run(16, 256, 1024);
    const std::int64_t rows = mebibytes << 8;
    std::mt19937 random(1);
    std::uniform_real_distribution<float> unit(0, 1);
    std::vector<float> some(4096 * columns);  // 16 MiB at once: what is written in small pieces is cached in small pages
    std::ofstream out(path(), std::ios::binary);
    for (std::int64_t r = 0; r < rows; r += 4096) {
      for (float& x : some) x = unit(random);
      out.write(reinterpret_cast<const char*>(some.data()), static_cast<std::streamsize>(some.size() * sizeof(float)));
    }
  }
  ~input() { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::string path() const { return folder / "in.bin"; }
  [[nodiscard]] std::string result() const { return folder / "out.npy"; }
  [[nodiscard]] sluice::file_stream open(bool map = false, int readers = 0) const {
    return sluice::file_stream(path(), {.columns = columns, .readers = readers, .map = map});
  }

  std::filesystem::path folder;
};

const input& file() {
  static const input made;
  return made;
}

cost whole_file() { return {.bytes = static_cast<double>(file().open().bytes())}; }

void rowsum_file(benchmark::State& state, bool map, int readers, const sluice::device& where) {
  const auto in = file().open(map, readers);
  sluice::pipeline_summary last;
  measure(state, whole_file(), [&] { last = sluice::rowsum_file(in, file().result(), {.where = where}); });
  state.SetLabel("slowest: " + std::string(last.slowest_stage()));
}

// Ceiling: nothing but pread, by as many threads, in pieces of 1 MiB; with `sum`, the plain way to the same sums.
void pread_pieces(benchmark::State& state, bool sum) {
  constexpr std::int64_t piece = 1 << 20;
  const auto in = file().open();
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_CLOEXEC);
  measure(state, whole_file(), [&] {
    sluice::parallel_for(in.bytes() / piece, [&](std::int64_t i) {
      sluice::tensor rows({piece / (4 * columns), columns});
      if (::pread(descriptor, rows.data(), piece, i * piece) != piece) std::abort();
      if (sum) benchmark::DoNotOptimize(sluice::rowsum(rows, sluice::device::cpu));
    });
  });
  ::close(descriptor);
}

// Ceiling: no file.
void rowsum_of_memory(benchmark::State& state) {
  const auto in = file().open();
  sluice::tensor a({in.rows(), columns});
  in.read_rows(0, a);
  measure(state, whole_file(), [&] { benchmark::DoNotOptimize(sluice::rowsum(a, sluice::device::cpu)); });
}

void with_totals(benchmark::State& state) {
  const auto in = file().open();
  const std::string totals = file().folder / "totals.npy";
  measure(state, whole_file(),
          [&] { sluice::rowsum_file(in, file().result(), {.where = sluice::device::cpu, .column_totals = totals}); });
}

void matmul_file(benchmark::State& state, std::int64_t width, const sluice::device& where) {
  const auto in = file().open();
  const auto b = sluice::tensor::full({columns, width}, 0.5, sluice::dtype::f32, where);
  measure(state, whole_file(), [&] { sluice::matmul_file(in, b, file().result(), {.where = where}); });
}

// Ceiling of a device: one pinned chunk, copied again and again.
void copy_alone(benchmark::State& state, const sluice::device& where) {
  const sluice::tensor chunk({8 << 20}, sluice::dtype::u8, where, sluice::memory::pinned);
  sluice::tensor there({8 << 20}, sluice::dtype::u8, where);
  measure(
      state, {.bytes = static_cast<double>(chunk.bytes())}, by_run(1, 64, 64), [&] { there.assign(chunk); },
      [&] { benchmark::DoNotOptimize(there.data()); });
}

// The file's pages leave the cache before every turn; only clean ones do.
template <class Call>
void measure_cold(benchmark::State& state, Call&& call) {
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_CLOEXEC);
  double total = 0;
  for (auto _ : state) {
    if (::fsync(descriptor) != 0 || ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) != 0) std::abort();
    const auto start = clock_type::now();
    call();
    const double seconds = seconds_since(start);
    state.SetIterationTime(seconds);
    total += seconds;
  }
  ::close(descriptor);
  show_rate(state, "bytes_per_second", whole_file().bytes * static_cast<double>(state.iterations()) / total);
}

void rowsum_file_cold(benchmark::State& state, bool map) {
  const auto in = file().open(map);
  measure_cold(state, [&] { sluice::rowsum_file(in, file().result(), {.where = sluice::device::cpu}); });
}

// Ceiling of a cold file: nothing but reads around the page cache, by as many threads.
void direct_alone(benchmark::State& state) {
  constexpr std::int64_t piece = 8 << 20;
  const int descriptor = ::open(file().path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (descriptor < 0) return state.SkipWithError("this file system knows no O_DIRECT");
  measure_cold(state, [&] {
    sluice::parallel_for(file().open().bytes() / piece, [&](std::int64_t i) {
      sluice::tensor buffer({piece}, sluice::dtype::u8);
      if (::pread(descriptor, buffer.data(), piece, i * piece) != piece) std::abort();
    });
  });
  ::close(descriptor);
}

bool answers_agree() {
  const auto in = file().open();
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

void register_all() {
  if (!answers_agree()) throw std::runtime_error("the sums are wrong");
  const std::string size = std::to_string(file().open().bytes() >> 20) + " MiB";
  using state = benchmark::State;
  const auto named = [&](const std::string& operation, const std::string& by, std::function<void(state&)> body,
                         const std::string& where = "cpu") { add(operation, by, where, "f32", size, std::move(body)); };
  for (const bool map : {false, true})
    named(map ? "file rowsum, mapped" : "file rowsum, read", "sluice", [=](state& s) { rowsum_file(s, map, 0, "cpu"); });
  named("file rowsum, read", "pread alone", [](state& s) { pread_pieces(s, false); });
  named("file rowsum, read", "pread and sum", [](state& s) { pread_pieces(s, true); });
  named("file rowsum, mapped", "rowsum of memory", rowsum_of_memory);
  named("file rowsum and totals", "sluice", with_totals);
  for (int readers = 1; readers <= sluice::parallel_size(); readers *= 2)
    add("file rowsum, by readers", "sluice", "cpu", "f32", std::to_string(readers) + " readers",
        [=](state& s) { rowsum_file(s, false, readers, "cpu"); });
  for (const auto& where : first_devices()) {
    for (const std::int64_t width : {4, 64})
      named(
          "file matmul, " + std::to_string(width) + " columns", "sluice", [=](state& s) { matmul_file(s, width, where); },
          where.str());
    if (where.is_cpu()) continue;
    named(
        "file rowsum, read", "sluice", [=](state& s) { rowsum_file(s, false, 0, where); }, where.str());
    named(
        "file rowsum, read", "copy alone", [=](state& s) { copy_alone(s, where); }, where.str());
    for (int readers = 1; readers <= sluice::parallel_size(); readers *= 2)
      add("file rowsum, by readers", "sluice", where.str(), "f32", std::to_string(readers) + " readers",
          [=](state& s) { rowsum_file(s, false, readers, where); });
  }
  // Last, because of what they leave in the page cache.
  for (const bool map : {false, true})
    named(map ? "cold file rowsum, mapped" : "cold file rowsum, read", "sluice",
          [=](state& s) { rowsum_file_cold(s, map); });
  for (const char* how : {"cold file rowsum, mapped", "cold file rowsum, read"}) named(how, "O_DIRECT alone", direct_alone);
}

}  // namespace

int main(int argc, char** argv) {
  mebibytes = std::atoll(take_option(argc, argv, "--gib").c_str()) << 10;
  return run_benchmarks(argc, argv, register_all);
}
