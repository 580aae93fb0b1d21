#include "sluice/file_stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "files.hpp"
#include "sluice/npy.hpp"
#include "testing.hpp"

using namespace sluice;

static_assert(std::input_iterator<row_chunks::iterator>);
static_assert(std::sentinel_for<std::default_sentinel_t, row_chunks::iterator>);

namespace {

std::string raw(const tensor& t) {
  const auto bytes = testing::bytes_of(t);
  return {bytes.begin(), bytes.end()};
}

// All chunks' bytes, after checks of what they say of themselves.
std::string joined(const file_stream& in, std::int64_t first_row = 0) {
  std::string all;
  std::int64_t row = first_row;
  for (const auto& chunk : in.chunks(first_row)) {
    CHECK(chunk.first_row == row);
    CHECK(chunk.byte_offset == in.byte_offset() + row * in.row_bytes());
    CHECK(chunk.rows.dtype() == in.dtype());
    CHECK(chunk.rows.shape() == shape{chunk.rows.extent(0), in.columns()});
    const std::int64_t limit = in.chunk_bytes() > 0 ? in.chunk_bytes() : 16 << 20;
    CHECK((chunk.rows.extent(0) == 1 || static_cast<std::int64_t>(chunk.rows.bytes()) <= limit));
    all += raw(chunk.rows);
    row += chunk.rows.extent(0);
  }
  CHECK(row == in.rows());
  return all;
}

}  // namespace

TEST_CASE("rows of other types and orders of bytes are converted as they are read") {
  const testing::folder here;
  const std::string path = here / "a.npy";
  const auto npy = [](std::string_view descr, std::string_view shape, std::string_view elements) {
    std::string text =
        "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': " + std::string(shape) + "}\n";
    return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(text.size()) + '\0' + text + std::string(elements);
  };
  std::string elements;
  for (int i = 0; i < 50'000; ++i) elements += {static_cast<char>(i >> 8), static_cast<char>(i & 0xff)};
  testing::write_file(path, npy(">u2", "(500, 100)", elements));
  const tensor expected = read_npy(path);
  CHECK(static_cast<const std::int32_t*>(expected.data())[49'999] == 49'999);
  for (const std::int64_t chunk : {1, 1000, 70'000, 16 << 20}) {
    const file_stream in(path, {.chunk_bytes = chunk, .map = true});
    CHECK(in.dtype() == dtype::i32);
    CHECK(in.row_bytes() == 400);
    CHECK(in.bytes() == 200'000);
    std::string all;
    for (const auto& c : in.chunks()) {
      CHECK(c.byte_offset == in.byte_offset() + c.first_row * 200);
      all += raw(c.rows);
    }
    CHECK(all == raw(expected));
    tensor some({3, 100}, dtype::i32);
    in.read_rows(497, some);
    CHECK(testing::same_bits(some, expected.slice(0, 497, 500)));

    // As a pipe brings them: a byte, two, three, ... at once.
    const std::string bytes = testing::read_file(path);
    std::size_t at = 0;
    std::size_t step = 0;
    const auto piped = file_stream::from(
        [&](std::span<std::byte> out) {
          const auto n = std::min({++step % 100 + 1, out.size(), bytes.size() - at});
          std::memcpy(out.data(), bytes.data() + at, n);
          at += n;
          return n;
        },
        {.chunk_bytes = chunk});
    all.clear();
    for (const auto& c : piped.chunks()) all += raw(c.rows);
    CHECK(all == raw(expected));
  }
  CHECK(testing::same_bits(tensor(file_stream({path, path}).chunks().begin()->rows).slice(0, 500, 1000), expected));
  const std::string other = here / "b.npy";
  testing::write_file(other, npy("<u2", "(1, 100)", elements.substr(0, 200)));
  CHECK_REFUSED(file_stream({path, other}), invalid_argument, "100 columns of big-endian u16", "100 of u16");
  CHECK_REFUSED(file_stream(path, {.dtype = dtype::f32}), invalid_argument, ".npy of i32");
  testing::write_file(other, npy("<u8", "(2, 2)", std::string(31, '\0') + '\x80'));
  const file_stream large(other);
  tensor rows({1, 2}, dtype::i64);
  large.read_rows(0, rows);
  CHECK_REFUSED(large.read_rows(1, rows), unsupported, "u64 number 3 is 9223372036854775808");
}

TEST_CASE("chunks are the file, whatever their size") {
  const testing::folder here;
  const std::string path = here / "a.bin";
  for (const dtype t : testing::every_dtype) {
    const tensor a = testing::random({501, 37}, t);
    testing::write_file(path, "0123456789" + raw(a));
    for (const std::int64_t chunk : {1, 1000, 4096, 16 << 20}) {
      const file_stream in(path, {.dtype = t, .columns = 37, .byte_offset = 10, .chunk_bytes = chunk});
      CHECK(in.rows() == 501);
      CHECK(in.bytes() == static_cast<std::int64_t>(a.bytes()));
      CHECK(joined(in) == raw(a));
      CHECK(joined(in, 500) == raw(a.slice(0, 500, 501)));
      CHECK(joined(in, 501).empty());
    }
  }
  const file_stream in(path, {.dtype = dtype::u8, .columns = 37, .byte_offset = 10});
  CHECK_REFUSED(in.chunks(502), invalid_argument, "row 502", "501 rows");
}

TEST_CASE("a chunk that is kept is not written over") {
  const testing::folder here;
  const tensor a = testing::random({64, 1024}, dtype::f32);
  testing::write_file(here / "a", raw(a));
  std::vector<row_chunk> kept;
  for (const auto& chunk : file_stream(here / "a", {.columns = 1024, .chunk_bytes = 8192}).chunks()) kept.push_back(chunk);
  CHECK(kept.size() == 32);
  for (const auto& chunk : kept)
    CHECK(testing::same_bits(chunk.rows, a.slice(0, chunk.first_row, chunk.first_row + chunk.rows.extent(0))));
}

TEST_CASE(".npy files are known by their magic") {
  const testing::folder here;
  const std::string path = here / "a.npy";
  for (const shape& s : {shape{6, 4}, shape{2, 3, 4}, shape{24}, shape{0, 4}, shape{4, 0}}) {
    const tensor a = testing::random(s, dtype::f32);
    write_npy(path, a);
    const file_stream in(path);
    CHECK(in.dtype() == dtype::f32);
    CHECK(in.columns() == s.back());
    CHECK(in.rows() == s.first(s.rank() - 1).count());
    CHECK(in.shape() == s);
    CHECK(joined(in) == raw(a));
  }
  write_npy(path, testing::random({6, 4}, dtype::f32));
  CHECK(file_stream(path, {.dtype = dtype::f32, .columns = 4}).rows() == 6);
  CHECK_REFUSED(file_stream(path, {.columns = 3}), invalid_argument, "(6, 4)", "columns is 3");
  CHECK_REFUSED(file_stream(path, {.dtype = dtype::f64}), invalid_argument, "f32", "f64");
  CHECK(file_stream(path, {.columns = 3, .byte_offset = 128}).rows() == 8);  // raw

  write_npy(path, testing::random({}, dtype::f32));
  CHECK_REFUSED(file_stream(path), unsupported, "()", "no rows");
  testing::write_file(path, encode_npy(testing::random({6, 4}, dtype::f32)) + "x");
  CHECK_REFUSED(file_stream(path), malformed, "225 bytes", "224");
}

TEST_CASE("Fortran order is refused where it is another order") {
  const testing::folder here;
  const std::string path = here / "a.npy";
  const auto write = [&](const std::string& extents) {
    std::string body = npy_header_bytes(dtype::f32, {1, 1});
    const std::string text = "{'descr': '<f4', 'fortran_order': True, 'shape': " + extents + "}";
    body.replace(10, body.size() - 11, text + std::string(body.size() - 11 - text.size(), ' '));
    testing::write_file(path, body + std::string(24, '\0'));
  };
  write("(2, 3)");
  CHECK_REFUSED(file_stream(path), unsupported, "(2, 3)", "Fortran order");
  write("(6, 1)");
  CHECK(file_stream(path).rows() == 6);
  write("(6,)");
  CHECK(file_stream(path).columns() == 6);
}

TEST_CASE("files and options that are refused") {
  const testing::folder here;
  const std::string path = here / "a.bin";
  testing::write_file(path, std::string(1000, 'x'));
  CHECK_REFUSED(file_stream(path, {.columns = 1024}), malformed, "1000 bytes", "4096", "1000 are left over");
  CHECK_REFUSED(file_stream(path, {.columns = 3}), malformed, "12 (3 columns of f32)", "4 are left over");
  CHECK_REFUSED(file_stream(path, {.columns = 5, .byte_offset = 10}), malformed, "990 bytes after byte 10",
                "10 are left over");
  CHECK_REFUSED(file_stream(path, {.columns = 1, .byte_offset = 1000}), malformed, "1000 bytes", "byte_offset 1000");
  CHECK_REFUSED(file_stream(path, {.columns = INT64_MAX}), invalid_argument, "63 bits");
  CHECK_REFUSED(file_stream(path), invalid_argument, "needs columns");
  CHECK_REFUSED(file_stream(path, {.columns = -1}), invalid_argument, "columns is -1");
  CHECK_REFUSED(file_stream(path, {.columns = 1, .byte_offset = -1}), invalid_argument, "byte_offset is -1");
  CHECK_REFUSED(file_stream(path, {.columns = 1, .chunk_bytes = -1}), invalid_argument, "chunk_bytes is -1");
  CHECK_REFUSED(file_stream(here / "none", {.columns = 1}), io, "none", "No such file");
  CHECK_REFUSED(file_stream(here / "", {.columns = 1}), invalid_argument, "a directory");
  CHECK_REFUSED(file_stream("/dev/zero", {.columns = 1}), invalid_argument, "a character device");
  ::mkfifo((here / "fifo").c_str(), 0600);
  CHECK_REFUSED(file_stream(here / "fifo", {.columns = 1}), invalid_argument, "a pipe");
  testing::write_file(here / "empty", "");
  CHECK_REFUSED(file_stream(here / "empty", {.columns = 1}), malformed, "0 bytes");
}

TEST_CASE("rows are read where the caller wants them") {
  const testing::folder here;
  const tensor a = testing::random({100, 8}, dtype::i32);
  testing::write_file(here / "a", raw(a));
  const file_stream in(here / "a", {.dtype = dtype::i32, .columns = 8});
  tensor out({10, 8}, dtype::i32);
  in.read_rows(90, out);
  CHECK(testing::same_bits(out, a.slice(0, 90, 100)));
  CHECK_REFUSED(in.read_rows(91, out), invalid_argument, "10 rows from row 91", "100 rows");
  CHECK_REFUSED(in.read_rows(-1, out), invalid_argument, "row -1");
  tensor other({10, 8}, dtype::f32);
  CHECK_REFUSED(in.read_rows(0, other), invalid_argument, "(10, 8) of f32", "(rows, 8) of i32");
  tensor scattered = out.transpose();
  CHECK_REFUSED(in.read_rows(0, scattered), invalid_argument, "(8, 10)");
}

TEST_CASE("a file that changes its size while it is read") {
  const testing::folder here;
  const std::string path = here / "a";
  testing::write_file(path, std::string(8000, 'x'));
  const file_stream in(path, {.columns = 10});
  tensor out({200, 10});
  in.check_unchanged();
  std::filesystem::resize_file(path, 7000);
  CHECK_REFUSED(in.read_rows(0, out), io, "8000", "7000");
  CHECK_REFUSED(in.check_unchanged(), io, "8000", "7000");
  std::filesystem::resize_file(path, 9000);
  in.read_rows(0, out);
  CHECK_REFUSED(in.check_unchanged(), io, "8000", "9000");
}

TEST_CASE("several files are one stream") {
  const testing::folder here;
  const tensor a = testing::random({70, 12}, dtype::i64);
  testing::write_file(here / "a", "head" + raw(a.slice(0, 0, 33)));
  testing::write_file(here / "b", "tail" + raw(a.slice(0, 33, 70)));
  for (const std::int64_t chunk : {1, 1000, 0}) {
    const file_stream in({here / "a", here / "b"},
                         {.dtype = dtype::i64, .columns = 12, .byte_offset = 4, .chunk_bytes = chunk});
    CHECK(in.seekable());
    CHECK(in.shape() == shape{70, 12});
    CHECK(in.bytes() == 70 * 12 * 8);
    CHECK(in.path() == here / "a" + " and 1 more");
    std::string all;
    for (const auto& c : in.chunks(30)) all += raw(c.rows);
    CHECK(all == raw(a.slice(0, 30, 70)));
  }
  write_npy(here / "a.npy", testing::random({2, 3, 4}, dtype::f32));
  write_npy(here / "b.npy", testing::random({5, 4}, dtype::f32));
  write_npy(here / "c.npy", testing::random({5, 4}, dtype::f64));
  write_npy(here / "d.npy", testing::random({5, 3}, dtype::f32));
  testing::write_file(here / "e", std::string(16, 'x'));
  CHECK(file_stream({here / "a.npy", here / "b.npy"}).shape() == shape{11, 4});
  CHECK(file_stream(std::vector<std::string>{here / "a.npy"}).shape() == shape{2, 3, 4});
  CHECK_REFUSED(file_stream({here / "b.npy", here / "c.npy"}), invalid_argument, "b.npy has 4 columns of f32", "4 of f64");
  CHECK_REFUSED(file_stream({here / "b.npy", here / "d.npy"}), invalid_argument, "4 columns of f32", "3 of f32");
  CHECK_REFUSED(file_stream({here / "b.npy", here / "e"}, {.columns = 4}), invalid_argument, "an .npy", "e is raw");
  CHECK_REFUSED(file_stream(std::vector<std::string>{}), invalid_argument, "0 paths");
}

namespace {

// Brings `all` in pieces of `most` bytes.
read_callback in_pieces(const std::string& all, std::size_t most) {
  return [all, most, at = std::size_t{0}](std::span<std::byte> out) mutable {
    const std::size_t n = std::min({most, out.size(), all.size() - at});
    std::memcpy(out.data(), all.data() + at, n);
    at += n;
    return n;
  };
}

// `body` with standard input at byte `at` of the file, or at the end of a pipe that brings its bytes.
template <class F>
void with_standard_input(const std::string& path, std::int64_t at, bool piped, F&& body) {
  const int kept = ::dup(STDIN_FILENO);
  std::FILE* const writer = piped ? ::popen(("exec cat '" + path + "'").c_str(), "r") : nullptr;
  const int in = piped ? ::fileno(writer) : ::open(path.c_str(), O_RDONLY);
  if (!piped) ::lseek(in, at, SEEK_SET);
  ::dup2(in, STDIN_FILENO);
  body();
  ::dup2(kept, STDIN_FILENO);
  ::close(kept);
  if (piped)
    ::pclose(writer);
  else
    ::close(in);
}

}  // namespace

TEST_CASE("a function of the caller's brings rows once") {
  const tensor a = testing::random({50, 6}, dtype::f64);
  for (const std::size_t most : {1u, 100u, 1u << 20})
    for (const std::int64_t chunk : {1, 500, 0}) {
      const file_stream npy = file_stream::from(in_pieces(encode_npy(a), most), {.chunk_bytes = chunk}, "the body");
      CHECK(npy.shape() == shape{50, 6});
      CHECK(npy.dtype() == dtype::f64);
      CHECK_FALSE(npy.seekable());
      CHECK(joined(npy) == raw(a));
      CHECK_REFUSED(npy.chunks(), invalid_argument, "the body", "has been read");
      const file_stream bytes = file_stream::from(
          in_pieces("xyz" + raw(a), most), {.dtype = dtype::f64, .columns = 6, .byte_offset = 3, .chunk_bytes = chunk});
      CHECK(bytes.rows() == -1);
      CHECK(bytes.bytes() == -1);
      CHECK(bytes.shape() == shape{-1, 6});
      std::string all;
      for (const auto& c : bytes.chunks()) {
        CHECK(c.first_row * 48 == static_cast<std::int64_t>(all.size()));
        CHECK(c.byte_offset == 3 + c.first_row * 48);
        all += raw(c.rows);
      }
      CHECK(all == raw(a));
    }
  CHECK(joined(file_stream::from(in_pieces(encode_npy(testing::random({0, 6}, dtype::f32)), 9))).empty());
  CHECK(joined(file_stream::from(in_pieces(encode_npy(testing::random({4, 0}, dtype::f32)), 9))).empty());
  const auto read = [](const file_stream& in) {
    for (const auto& c : in.chunks()) static_cast<void>(c);
  };
  CHECK_REFUSED(read(file_stream::from(in_pieces(encode_npy(a) + "x", 100))), malformed,
                "input has bytes after its last row");
  CHECK_REFUSED(read(file_stream::from(in_pieces(encode_npy(a).substr(0, 2000), 100))), malformed, "2000 bytes",
                "528 fewer");
  CHECK_REFUSED(read(file_stream::from(in_pieces(raw(a), 100), {.columns = 7})), malformed, "2400 bytes",
                "20 are left over");
  CHECK_REFUSED(file_stream::from(in_pieces(encode_npy(a).substr(0, 100), 100)), malformed, "100 bytes",
                "inside its header");
  CHECK_REFUSED(file_stream::from(in_pieces(raw(a), 100)), invalid_argument, "needs columns");
  CHECK_REFUSED(file_stream::from({}, {.columns = 7}), invalid_argument, "no function");
  CHECK_REFUSED(file_stream("x", {.readers = -1}), invalid_argument, "readers is -1");
  const file_stream in = file_stream::from(in_pieces(raw(a), 100), {.columns = 6});
  CHECK_REFUSED(in.chunks(1), invalid_argument, "row 1", "once");
  tensor out({1, 6});
  CHECK_REFUSED(in.read_rows(0, out), invalid_argument, "row 0", "once");
}

TEST_CASE("standard input") {
  const testing::folder here;
  const tensor a = testing::random({50, 6}, dtype::f32);
  testing::write_file(here / "a", "skipped" + encode_npy(a));
  testing::write_file(here / "b", encode_npy(a));
  testing::write_file(here / "c", raw(a));
  with_standard_input(here / "a", 7, false, [&] {
    const file_stream in = file_stream::standard_input();
    CHECK(in.seekable());
    CHECK(in.path() == "standard input");
    CHECK(joined(in, 20) == raw(a.slice(0, 20, 50)));
    CHECK(joined(in) == raw(a));
  });
  with_standard_input(here / "b", 0, true, [&] {
    const file_stream in = file_stream::standard_input();
    CHECK_FALSE(in.seekable());
    CHECK(joined(in) == raw(a));
  });
  with_standard_input(here / "c", 24, false, [&] {
    CHECK(joined(file_stream::standard_input({.columns = 6})) == raw(a.slice(0, 1, 50)));
    CHECK_REFUSED(file_stream::standard_input({.columns = 5}), malformed, "1176 bytes", "standard input");
  });
  with_standard_input(here / "c", 0, true, [&] { CHECK(file_stream::standard_input({.columns = 6}).rows() == -1); });
}

TEST_CASE("a file that is open already") {
  const testing::folder here;
  const tensor a = testing::random({21, 5}, dtype::f64);
  write_npy(here / "a.npy", a);
  testing::write_file(here / "b", "other bytes");
  const int fd = ::open((here / "a.npy").c_str(), O_RDONLY);
  REQUIRE(fd >= 0);
  std::filesystem::rename(here / "b", here / "a.npy");  // what was opened is read, not what has its name now
  ::lseek(fd, 7, SEEK_SET);                             // where it stands does not matter
  const auto in = file_stream::opened(fd, {}, "data/a.npy");
  ::close(fd);
  CHECK(in.path() == "data/a.npy");
  CHECK(in.seekable());
  CHECK(joined(in) == raw(a));
  in.check_unchanged();
  CHECK_REFUSED(file_stream::opened(-1, {}, "gone"), io, "gone");
  const int folder = ::open((here / "").c_str(), O_RDONLY);
  CHECK_REFUSED(file_stream::opened(folder, {}, "folder"), invalid_argument, "folder is a directory");
  ::close(folder);
}
