// Runs that stop on the way and are resumed.
#include <sys/stat.h>

#include <cstring>
#include <limits>
#include <thread>

#include "files.hpp"
#include "sluice/npy.hpp"
#include "sluice/ops/rowsum.hpp"
#include "sluice/pipeline.hpp"
#include "testing.hpp"

using namespace sluice;

namespace {

std::string raw(const tensor& t) {
  const auto bytes = testing::bytes_of(t);
  return {bytes.begin(), bytes.end()};
}

// A run that syncs whenever it can, and stops once `bytes` are done.
pipeline_options stopping_at(std::int64_t bytes, std::stop_source& stop) {
  pipeline_options options;
  options.progress_interval = 0;
  options.sync_interval = 0;
  options.cancel = stop.get_token();
  options.progress = [bytes, &stop](const pipeline_progress& p) {
    if (p.bytes_done >= bytes) stop.request_stop();
  };
  return options;
}

// Whether it was stopped.
template <class F>
bool stops(F&& run) {
  try {
    run();
    return false;
  } catch (const error& e) {
    CHECK(e.code() == error_code::cancelled);
    return true;
  }
}

// A run over rows of zeros that was stopped half way.
struct stopped_run {
  explicit stopped_run(const testing::folder& here) : path(here / "in"), out(here / "out.npy") {
    testing::write_file(path, std::string(4 << 20, '\0'));
    std::stop_source stop;
    REQUIRE(stops([&] { rowsum_file(in(), out, stopping_at(2 << 20, stop)); }));
    REQUIRE(std::filesystem::exists(out + ".journal"));
    REQUIRE(std::filesystem::exists(out + ".partial"));
    REQUIRE(!std::filesystem::exists(out));
  }
  [[nodiscard]] file_stream in() const { return file_stream(path, {.columns = 256, .chunk_bytes = 4096}); }

  std::string path;
  std::string out;
};

// A journal that is whole, and says something else.
std::string forged(const std::string& journal, const std::string& from, const std::string& to) {
  const auto end = journal.find('\n');
  std::string text = journal.substr(end + 1);
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, text.find_first_of(" \n", at + from.size()) - at, to);
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char line[96];
  unsigned long long number = 0;
  REQUIRE(std::sscanf(journal.c_str(), "sluice-journal 1 %llu ", &number) == 1);
  std::snprintf(line, sizeof line, "sluice-journal 1 %llu %zu %016llx\n", number, text.size(),
                static_cast<unsigned long long>(sum));
  return line + text;
}

}  // namespace

TEST_CASE("stopped at random points and resumed, again and again: the bits of one run") {
  const testing::folder here;
  testing::numbers random(11);
  for (const auto& where : testing::one_of_each_backend())
    for (const shape& extents : {shape{30'000, 9}, shape{3000, 40}, shape{40, 9000}}) {
      const dtype t = testing::floats[static_cast<std::size_t>(random.below(4))];
      const dtype result = testing::floats[static_cast<std::size_t>(random.below(3))];
      CAPTURE(where.str());
      CAPTURE(extents.str());
      CAPTURE(name_of(t));
      CAPTURE(name_of(result));
      const tensor a = testing::rough(extents, t);
      testing::write_file(here / "in", raw(a));
      const auto in = [&](std::int64_t chunk) {
        return file_stream(here / "in", {.dtype = t, .columns = extents[1], .chunk_bytes = chunk});
      };
      const auto bytes = static_cast<std::int64_t>(a.bytes());
      bool went_on = false;
      for (std::int64_t at = 0; at < bytes; at += 1 + random.below(bytes / 3)) {
        std::stop_source stop;
        pipeline_options options = stopping_at(at, stop);
        options.where = where;
        options.column_totals = here / "totals.npy";
        options.result_dtype = result;
        // Another chunk size every time: the journal's counts.
        const bool stopped = stops([&] {
          const auto done = rowsum_file(in(1 + random.below(50'000)), here / "out.npy", options);
          went_on = went_on || done.resumed_bytes > 0;
          CHECK(done.bytes + done.resumed_bytes == bytes);
        });
        if (!stopped) break;
      }
      pipeline_options options;
      options.where = where;
      options.column_totals = here / "totals.npy";
      options.result_dtype = result;
      if (std::filesystem::exists(here / "out.npy.journal")) {
        options.resume = resume::required;
        went_on = rowsum_file(in(4096), here / "out.npy", options).resumed_bytes > 0 || went_on;
      }
      CHECK(went_on);
      CHECK(testing::same_bits(read_npy(here / "out.npy"), rowsum(a, {}, {.dtype = result})));
      CHECK(testing::same_bits(read_npy(here / "totals.npy"), rowsum(a.transpose(), {}, {.dtype = result})));
      CHECK(here.count() == 3);
      std::filesystem::remove(here / "out.npy");
      std::filesystem::remove(here / "totals.npy");
    }
}

TEST_CASE("no sync for ever is none") {
  const testing::folder here;
  testing::write_file(here / "in", std::string(4 << 20, '\0'));
  const file_stream in(here / "in", {.columns = 256, .chunk_bytes = 4096});
  for (const double never : {1e10, 1e300, std::numeric_limits<double>::infinity()}) {
    std::ptrdiff_t looks = 0;
    pipeline_options options;
    options.progress_interval = 0;
    options.sync_interval = never;
    options.progress = [&](const pipeline_progress&) {
      if (++looks == 2) std::this_thread::sleep_for(std::chrono::milliseconds(30));  // time for a sync that ought not to be
      CHECK_FALSE(std::filesystem::exists(here / "out.npy.journal"));
    };
    rowsum_file(in, here / "out.npy", options);
    CHECK(looks > 2);
  }
}

TEST_CASE("lanes of columns are kept, too") {
  const testing::folder here;
  const tensor a = testing::random({1400, 4100}, dtype::f32);
  testing::write_file(here / "in", raw(a));
  const file_stream in(here / "in", {.columns = 4100, .chunk_bytes = 8192});
  for (const std::int64_t at : {5 << 20, 17 << 20, 19 << 20}) {
    std::stop_source stop;
    pipeline_options options = stopping_at(at, stop);
    options.column_totals = here / "totals.npy";
    CHECK(stops([&] { rowsum_file(in, here / "out.npy", options); }));
  }
  const auto done = rowsum_file(in, here / "out.npy", {.resume = resume::required, .column_totals = here / "totals.npy"});
  CHECK(done.resumed_bytes > 0);
  CHECK(testing::same_bits(read_npy(here / "totals.npy"), rowsum(a.transpose())));
}

TEST_CASE("products that were stopped use the same chunks, and strict ones resume on any device") {
  const testing::folder here;
  const std::string out = here / "out.npy", journal = out + ".journal";
  const tensor a = testing::random({3000, 33}, dtype::f32), b = testing::random({33, 17}, dtype::f32);
  const tensor turned = b.transpose().contiguous().transpose();  // other strides
  testing::write_file(here / "in", raw(a));
  const auto in = [&](std::int64_t chunk) { return file_stream(here / "in", {.columns = 33, .chunk_bytes = chunk}); };
  for (const auto& where : testing::one_of_each_backend()) {
    pipeline_options there;
    there.where = where;
    matmul_file(in(7000), b, here / "whole.npy", there);
    const auto stopped = [&](precision p) {
      std::stop_source stop;
      pipeline_options options = stopping_at(100'000, stop);
      options.where = where;
      options.resume = resume::never;
      CHECK(stops([&] { matmul_file(in(7000), b, out, options, p); }));
      return testing::read_file(journal);
    };
    const auto fast = stopped(precision::fast);
    CHECK_REFUSED(matmul_file(in(7000), turned, out, there, precision::fast), invalid_argument, "its b was (33, 17) with");
    if (where != device::cpu)
      CHECK_REFUSED(matmul_file(in(7000), b, out, {.where = device::cpu}, precision::fast), invalid_argument,
                    "its devices was", "--fresh");
    testing::write_file(journal, forged(fast, "\norder ", ""));
    CHECK_REFUSED(matmul_file(in(7000), b, out, there, precision::fast), invalid_argument, "its order was nothing",
                  "--fresh");
    for (const auto& next : {where, device(device::cpu)}) {
      const auto strict = stopped(precision::strict);
      CHECK_REFUSED(matmul_file(in(7000), testing::random({33, 17}, dtype::f32, 9), out, there), invalid_argument,
                    "its b was", "resume::never");
      CHECK_REFUSED(matmul_file(in(7000), b, out, there, precision::tensor_core), invalid_argument,
                    "precision was strict, and is tensor_core");
      CHECK_REFUSED(matmul_file(in(7000), b, out, there, precision::fast), invalid_argument, "and is fast");
      testing::write_file(journal, forged(strict, "\norder chains of ", ""));
      CHECK_REFUSED(matmul_file(in(7000), b, out, there), invalid_argument, "its order was nothing, and is chains of 1024;",
                    "--fresh");
      testing::write_file(journal, strict);
      CHECK(matmul_file(in(12'345), turned, out, {.where = next}).resumed_bytes > 0);
      CHECK(testing::read_file(out) == testing::read_file(here / "whole.npy"));
    }
  }
}

TEST_CASE("what cannot be resumed is refused, and left alone") {
  const testing::folder here;
  const stopped_run run(here);
  const auto journal = testing::read_file(run.out + ".journal");
  const auto partial = testing::read_file(run.out + ".partial");
  SUBCASE("another input") {
    testing::write_file(run.path, std::string(5 << 20, '\0'));
    CHECK_REFUSED(rowsum_file(run.in(), run.out), invalid_argument, "out.npy.journal", "its input was", "4194304", "5242880",
                  "resume::never");
  }
  SUBCASE("an input that was touched") {
    std::filesystem::last_write_time(run.path, std::filesystem::last_write_time(run.path) + std::chrono::seconds(2));
    CHECK_REFUSED(rowsum_file(run.in(), run.out), invalid_argument, "its input was");
  }
  SUBCASE("other rows") {
    CHECK_REFUSED(rowsum_file(file_stream(run.path, {.columns = 512}), run.out), invalid_argument, "its rows was 4096");
  }
  SUBCASE("another operation") {
    CHECK_REFUSED(matmul_file(run.in(), testing::random({256, 2}, dtype::f32), run.out), invalid_argument,
                  "its operation was rowsum_file, and is matmul_file");
  }
  SUBCASE("totals that were not asked for") {
    CHECK_REFUSED(rowsum_file(run.in(), run.out, {.column_totals = here / "totals.npy"}), invalid_argument,
                  "its column_totals was no");
  }
  SUBCASE("another dtype of the result") {
    CHECK_REFUSED(rowsum_file(run.in(), run.out, {.result_dtype = dtype::f64}), invalid_argument,
                  "its result_dtype was nothing, and is f64");
  }
  SUBCASE("bytes that come once") {
    const auto read = [](std::span<std::byte>) { return std::size_t{0}; };
    CHECK_REFUSED(rowsum_file(file_stream::from(read, {.columns = 256}), run.out), invalid_argument, "its input was");
  }
  SUBCASE("no run before") {
    CHECK_REFUSED(rowsum_file(run.in(), here / "other.npy", {.resume = resume::required}), invalid_argument,
                  "other.npy.journal does not exist");
  }
  CHECK(testing::read_file(run.out + ".journal") == journal);
  CHECK(testing::read_file(run.out + ".partial") == partial);
  CHECK(here.count() == 3);
  if (!testing::read_file(run.path).empty()) rowsum_file(run.in(), run.out, {.resume = resume::never});
  CHECK(read_npy(run.out).extent(0) == run.in().rows());
  CHECK(here.count() == 2);
}

namespace {

// Other bytes in the same file, of the same size and with the same time of writing: as `rsync -t --inplace` or `touch -r`
// leave it.
void overwrite(const std::string& path, std::int64_t at, std::string_view bytes) {
  const auto time = std::filesystem::last_write_time(path);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the system's clock of files ticks
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << bytes;
  }
  std::filesystem::last_write_time(path, time);
}

}  // namespace

TEST_CASE("an input that was overwritten in place and has its old time is not resumed") {
  const testing::folder here;
  const stopped_run run(here);
  SUBCASE("the rows that are done") { overwrite(run.path, 4096, "\1\2\3\x3f"); }
  SUBCASE("a row that is not") { overwrite(run.path, 3 << 20, "\1\2\3\x3f"); }
  SUBCASE("its permissions alone, which looks the same") {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::filesystem::permissions(run.path, std::filesystem::perms(0640));
  }
  SUBCASE("another name alone") {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::filesystem::create_hard_link(run.path, here / "link");
    std::filesystem::remove(here / "link");
  }
  CHECK_REFUSED(rowsum_file(run.in(), run.out), invalid_argument, "out.npy.journal", "its input_status was status of file",
                "a chmod, a rename or a link", "--fresh");
  CHECK_REFUSED(rowsum_file(run.in(), run.out, {.resume = resume::required}), invalid_argument, "its input_status was");
  CHECK(!std::filesystem::exists(run.out));
  rowsum_file(run.in(), run.out, {.resume = resume::never});
  const tensor rows({4096, 256}, dtype::f32);
  std::memcpy(const_cast<void*>(static_cast<const void*>(rows.data())), testing::read_file(run.path).data(), 4 << 20);
  CHECK(testing::same_bits(read_npy(run.out), rowsum(rows)));
}

TEST_CASE("an input that is overwritten while it is read and given its old time is an error; a new name is none") {
  const testing::folder here;
  testing::write_file(here / "in", std::string(4 << 20, '\0'));
  const file_stream in(here / "in", {.columns = 256, .chunk_bytes = 4096});
  pipeline_options options;
  options.progress_interval = 0;
  bool done = false;
  options.progress = [&](const pipeline_progress&) {
    if (std::exchange(done, true)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::filesystem::permissions(here / "in", std::filesystem::perms(0640));
    std::filesystem::rename(here / "in", here / "moved");
  };
  rowsum_file(in, here / "out.npy", options);
  CHECK(done);
  for (const std::int64_t at : {0, 100'000}) {  // in the sample, and outside
    const file_stream moved(here / "moved", {.columns = 256, .chunk_bytes = 4096});
    done = false;
    options.progress = [&](const pipeline_progress&) {
      if (std::exchange(done, true)) return;
      std::filesystem::create_hard_link(here / "moved", here / "link");
      moved.check_unchanged();
      std::filesystem::remove(here / "link");
      moved.check_unchanged();
      overwrite(here / "moved", at, "\1\2\3\x3f");
    };
    CHECK_REFUSED(rowsum_file(moved, here / "again.npy", options), io, "moved changed while it was read",
                  "its status changed", "time of writing");
    CHECK(done);
  }
  CHECK(!std::filesystem::exists(here / "again.npy"));
}

TEST_CASE("a failure leaves what was synced, and the next run ends it") {
  const testing::folder here;
  const stopped_run run(here);
  pipeline_options options;
  options.progress_interval = 0;
  options.progress = [](const pipeline_progress&) { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(rowsum_file(run.in(), run.out, options), std::runtime_error);
  CHECK(std::filesystem::exists(run.out + ".journal"));
  const auto done = rowsum_file(run.in(), run.out, {.resume = resume::required});
  CHECK(done.resumed_bytes >= 2 << 20);
  CHECK(done.resumed_bytes + done.bytes == 4 << 20);
  CHECK(testing::same_bits(read_npy(run.out), tensor::zeros({4096})));
}

// Behind the first line, which tells a journal of this partial file from another's.
TEST_CASE("a corrupt journal is an error, and nothing is done about it") {
  const testing::folder here;
  const stopped_run run(here);
  const auto journal = testing::read_file(run.out + ".journal");
  const auto partial = testing::read_file(run.out + ".partial");
  const auto first = static_cast<std::int64_t>(journal.find('\n'));
  testing::numbers random(5);
  for (int round = 0; round < 60; ++round) {
    std::string corrupt = journal;
    const auto at = static_cast<std::size_t>(first + 1 + random.below(std::ssize(journal) - first - 1));
    if (round % 3 == 0)
      corrupt.resize(at);
    else
      corrupt[at] = static_cast<char>(corrupt[at] ^ (1 << random.below(7)));
    testing::write_file(run.out + ".journal", corrupt);
    CHECK_REFUSED(rowsum_file(run.in(), run.out), io, "out.npy.journal is corrupt", "--fresh");
    CHECK(testing::read_file(run.out + ".partial") == partial);
  }
  CHECK(!std::filesystem::exists(run.out));
}

TEST_CASE("every field of a journal is held against the others") {
  const testing::folder here;
  const stopped_run run(here);
  const auto journal = testing::read_file(run.out + ".journal");
  REQUIRE(forged(journal, "cut 4", "cut 4") == journal);
  for (const auto& [from, to, word] :
       {std::tuple{"sluice journal ", "sluice journal x", "from 1 on"}, std::tuple{"cut ", "cut 0", "from 1 on"},
        std::tuple{"cut ", "cut 5", "bytes instead of"}, std::tuple{"cut ", "cut 9000000000", "9000000000 rows"},
        std::tuple{" rows ", " rows 128", "chunks of 128"}, std::tuple{"\ncut ", "\ncut", "from 1 on"},
        std::tuple{"\ndone ", "\ndone 1025", "1025 of 1024"}, std::tuple{"\ndone ", "\ndone 3", "bytes instead of"},
        std::tuple{" pieces ", " pieces 1", "instead of"}, std::tuple{"\nsums ", "\nsums 1", "1 sums of 8 bytes"},
        std::tuple{"\nsums ", "\nsums -1", "from 0 on"}, std::tuple{"\ndone ", "\ndone x", "from 0 on"}}) {
    const std::string forgery = to;  // clang 14 captures no structured binding
    CAPTURE(forgery);
    testing::write_file(run.out + ".journal", forged(journal, from, to));
    CHECK_REFUSED(rowsum_file(run.in(), run.out), malformed, "out.npy.journal", word, "--fresh");
  }
  testing::write_file(run.out + ".journal", forged(journal, "rows ", "rows 17"));
  CHECK_REFUSED(rowsum_file(run.in(), run.out), invalid_argument, "its rows was 17");
  // Of another release: what it says may mean something else.
  for (const char* version : {"sluice journal 1", "sluice journal 3"}) {
    testing::write_file(run.out + ".journal", forged(journal, "sluice journal ", version));
    CHECK_REFUSED(rowsum_file(run.in(), run.out), unsupported, "out.npy.journal is of version", "from version 2", "--fresh");
  }
  // Where the file system keeps no time of status.
  testing::write_file(run.out + ".journal", forged(journal, "checksum ", "checksum 0123456789abcdef"));
  CHECK_REFUSED(rowsum_file(run.in(), run.out), invalid_argument, "its input_sample was checksum 0123456789abcdef",
                "--fresh");
  testing::write_file(run.out + ".journal", journal);
  CHECK(rowsum_file(run.in(), run.out).resumed_bytes > 0);
}
