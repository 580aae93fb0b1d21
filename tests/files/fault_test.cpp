// What becomes of streams and results when the operating system fails them: never a wrong result, no descriptor left, an
// error that names the file and the byte, and a run afterwards that ends as if nothing had happened. fault/fault.cpp does
// the failing.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "fault/fault.hpp"
#include "files.hpp"
#include "sluice/npy.hpp"
#include "sluice/pipeline.hpp"
#include "testing.hpp"

using namespace sluice;
using testing::fault;

namespace {

std::ptrdiff_t descriptors() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); }

std::string raw(const tensor& t) {
  const auto bytes = testing::bytes_of(t);
  return {bytes.begin(), bytes.end()};
}

std::string joined(const file_stream& in) {
  std::string all;
  for (const auto& chunk : in.chunks()) all += raw(chunk.rows);
  return all;
}

std::string at_byte(int error, std::int64_t offset) {
  return std::generic_category().message(error) + " at byte " + std::to_string(offset);
}

// 3 MiB of rows of 1 KiB.
struct input {
  input() {
    testing::write_file(path, "head" + raw(rows));
    write_npy(npy, rows);
  }
  [[nodiscard]] file_stream open() const { return file_stream(path, {.columns = 256, .byte_offset = 4}); }

  testing::folder here;
  std::string path = here / "rows.bin";
  std::string npy = here / "rows.npy";
  std::string out = here / "sums.npy";
  tensor rows = testing::random({3072, 256}, dtype::f32);
};

}  // namespace

TEST_CASE("reads that are short or interrupted change nothing") {
  const input given;
  const auto before = descriptors();
  for (const char* rules : {"short", "eintr", "short eintr"}) {
    const fault f("rows", rules);
    CHECK(joined(given.open()) == raw(given.rows));
    CHECK(joined(file_stream(given.npy)) == raw(given.rows));
    CHECK(joined(file_stream({given.npy, given.npy})) == raw(given.rows) + raw(given.rows));
    CHECK(testing::same_bits(read_npy(given.npy), given.rows));
  }
  CHECK(descriptors() == before);
}

TEST_CASE("a read that fails names the file and the byte") {
  const input given;
  const auto before = descriptors();
  for (const std::int64_t at : {4LL, 5LL, 1LL << 20, (3LL << 20) + 3}) {
    const std::string words = at_byte(EIO, at);
    {
      const fault f("rows.bin", "short read=" + std::to_string(EIO) + "@" + std::to_string(at));
      CHECK_REFUSED(joined(given.open()), io, "rows.bin", words.c_str());
      CHECK_REFUSED(rowsum_file(given.open(), given.out), io, "rows.bin", words.c_str());
      CHECK_FALSE(std::filesystem::exists(given.out));
    }
    CHECK(joined(given.open()) == raw(given.rows));
  }
  {
    const fault f("rows.npy", "read=" + std::to_string(EIO) + "@100");
    CHECK_REFUSED(file_stream(given.npy), io, "rows.npy", at_byte(EIO, 100).c_str());
    CHECK_REFUSED(read_npy(given.npy), io, "rows.npy", at_byte(EIO, 100).c_str());
  }
  CHECK(descriptors() == before);
}

TEST_CASE("standard input that fails") {
  const input given;
  const int kept = ::dup(STDIN_FILENO);
  const auto before = descriptors();
  for (const std::string& rules : {std::string("short eintr"), "read=" + std::to_string(EIO) + "@1000000"}) {
    std::FILE* const writer = ::popen(("exec cat '" + given.npy + "' 2>/dev/null").c_str(), "r");
    ::dup2(::fileno(writer), STDIN_FILENO);
    {
      const fault f("pipe:", rules);
      if (rules == "short eintr")
        CHECK(joined(file_stream::standard_input()) == raw(given.rows));
      else
        CHECK_REFUSED(joined(file_stream::standard_input()), io, "standard input", "Input/output error");
    }
    ::dup2(kept, STDIN_FILENO);
    ::pclose(writer);
  }
  CHECK(descriptors() == before);
  ::close(kept);
}

TEST_CASE("a result is whole or not there, whatever fails") {
  const input given;
  rowsum_file(given.open(), given.here / "right.npy");
  const std::string right = testing::read_file(given.here / "right.npy");
  const auto before = descriptors();
  const auto ends_right = [&] {
    rowsum_file(given.open(), given.out);
    CHECK(testing::read_file(given.out) == right);
    CHECK(given.here.count() == 4);
    std::filesystem::remove(given.out);
    CHECK(descriptors() == before);
  };
  const auto fails = [&](const std::string& rules, std::initializer_list<std::string_view> words) {
    {
      const fault f("sums.npy", rules);
      CHECK(testing::refused([&] { rowsum_file(given.open(), given.out, {.sync_interval = 0}); }, error_code::io, words) ==
            "");
      CHECK_FALSE(std::filesystem::exists(given.out));
    }
    ends_right();
  };
  for (const char* rules : {"short", "eintr", "short eintr"}) {
    const fault f("sums.npy", rules);
    ends_right();
  }
  for (const std::int64_t at : {0, 1, 128, 5000, 12'000}) {
    const std::string where = at_byte(ENOSPC, at);
    fails("short eintr write=" + std::to_string(ENOSPC) + "@" + std::to_string(at), {"sums.npy.", where.c_str()});
  }
  fails("sync=" + std::to_string(EIO) + "@1", {"sums.npy.", "Input/output error"});
  fails("rename=" + std::to_string(EACCES) + "@1", {"sums.npy", "Permission denied"});
}

TEST_CASE("write_npy on a full disk leaves the old file") {
  const input given;
  const auto before = descriptors();
  const std::string old = testing::read_file(given.npy);
  {
    const fault f("rows.npy", "short write=" + std::to_string(ENOSPC) + "@100000");
    CHECK_REFUSED(write_npy(given.npy, testing::random({3072, 256}, dtype::f64)), io, "rows.npy.partial",
                  at_byte(ENOSPC, 100'000).c_str());
  }
  CHECK(testing::read_file(given.npy) == old);
  CHECK(given.here.count() == 2);
  CHECK(descriptors() == before);
}
