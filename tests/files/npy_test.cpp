#include "sluice/npy.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sstream>

#include "files.hpp"
#include "testing.hpp"

using namespace sluice;
using namespace std::string_literals;
using testing::as_bytes;

namespace {

// An .npy whose header's text is `dictionary` and a newline, and nothing else.
std::string npy_of(const std::string& dictionary, int version = 1) {
  const std::string text = dictionary + "\n";
  std::string s = "\x93NUMPY" + std::string{static_cast<char>(version), '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) s += static_cast<char>(text.size() >> (8 * i) & 0xff);
  return s + text;
}

std::string with_shape(const std::string& shape) {
  return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
}
std::string with_descr(const std::string& descr) {
  return "{'descr': " + descr + ", 'fortran_order': False, 'shape': (3,), }";
}

npy_header parse(const std::string& bytes) {
  const auto h = parse_npy_header(as_bytes(bytes));
  if (!h) throw std::runtime_error("the header goes on");
  return *h;
}

npy_header parse_text(const std::string& dictionary, int version = 1) { return parse(npy_of(dictionary, version)); }

}  // namespace

TEST_CASE("a header written is a header read") {
  for (const dtype t : {dtype::f64, dtype::f32, dtype::f16, dtype::i64, dtype::i32, dtype::u8}) {
    for (const shape& s : {shape{}, shape{0}, shape{7}, shape{2, 3}, shape{5, 0}, shape{1, 2, 3, 4, 5, 6, 7, 8},
                           shape{1, 1, 1, 1, 1, 1, 1, INT64_MAX / 1024}}) {
      const std::string bytes = npy_header_bytes(t, s);
      CAPTURE(bytes);
      CHECK(bytes.size() % 64 == 0);
      const npy_header h = parse(bytes);
      CHECK(h.dtype == t);
      CHECK(h.shape == s);
      CHECK_FALSE(h.fortran_order);
      CHECK(h.data_offset == static_cast<std::int64_t>(bytes.size()));
      for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(parse_npy_header(as_bytes(bytes).first(n)).has_value());
    }
  }
  CHECK(npy_header_bytes(dtype::f32, {3, 4}) ==
        "\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"s + std::string(58, ' ') + "\n");
  CHECK_REFUSED(npy_header_bytes(dtype::bf16, {3}), unsupported, "bf16");
}

TEST_CASE("headers that others write") {
  CHECK(parse_text(with_descr("'=f8'")).dtype == dtype::f64);
  CHECK(parse_text(with_descr("\"|u1\"")).dtype == dtype::u8);
  CHECK(parse_text(with_descr("'<u1'")).dtype == dtype::u8);
  CHECK(parse_text("{ 'shape' :( 2 ,3 ) ,\t'fortran_order':True,'descr':'<f4'}").fortran_order);
  CHECK(parse_text(with_shape("(2, 3,)")).shape == shape{2, 3});
  CHECK(parse_text(with_shape("(2, 3)"), 2).shape == shape{2, 3});
  CHECK(parse_text(with_shape("(2, 3)"), 3).shape == shape{2, 3});
  CHECK(parse_text(with_shape("(2L, 3L)"), 1).shape == shape{2, 3});
  CHECK_REFUSED(parse_text(with_shape("(2L, 3L)"), 3), malformed, "','", "'L'");
}

TEST_CASE("element types that this library has not") {
  CHECK_REFUSED(parse_text(with_descr("'|O'")), unsupported, "'|O'", "objects", "f8, f4, f2, i8, i4, i2, i1");
  CHECK_REFUSED(parse_text(with_descr("[('a', '<f4'), ('b', '<i4')]")), unsupported, "structured");
  CHECK_REFUSED(parse_text(with_descr("('<f4', (2,))")), unsupported, "structured");
  CHECK_REFUSED(parse_text(with_descr("'<V2'")), unsupported, "bfloat16", "float32");
  CHECK_REFUSED(parse_text(with_descr("'<c8'")), unsupported, "'<c8'", "astype('<f8')");
  for (const char* descr : {"'|i2'", "'>c8'", "'>V2'", "'<b2'", "'<'", "'|>f4'", "'<u3'", "'<U5'", "'|f4'", "'f4'",
                            "'bfloat16'", "''", "'<M8[ns]'", "'<f16'", "'<f4 '"})
    CHECK_REFUSED(parse_text(with_descr(descr)), unsupported, "is none of");
  CHECK_REFUSED(parse_text(with_descr("4")), malformed, "a string", "'4'");
}

TEST_CASE("types and orders of bytes that tensors have not become those that hold every value") {
  struct one {
    const char* descr;
    dtype type;
    std::string bytes;
    const char* in_memory;  // as i64, or f64
  };
  const std::vector<one> all{
      {"'>f4'", dtype::f32, "\x3f\xc0\0\0\xc0\0\0\0\0\0\0\0"s, "1.5 -2 0"},
      {"'>f8'", dtype::f64, "\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"s, "1.5 -2 0"},
      {"'>f2'", dtype::f16, "\x3e\0\xc0\0\0\0"s, "1.5 -2 0"},
      {"'>i4'", dtype::i32, "\0\0\1\2\xff\xff\xff\xfe\0\0\0\0"s, "258 -2 0"},
      {"'>i8'", dtype::i64, "\0\0\0\0\0\0\1\2\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0\0\0\0\0"s, "258 -2 0"},
      {"'|b1'", dtype::u8, "\1\0\1"s, "1 0 1"},
      {"'|i1'", dtype::i32, "\x7f\x80\xff"s, "127 -128 -1"},
      {"'<i2'", dtype::i32, "\xff\x7f\0\x80\2\1"s, "32767 -32768 258"},
      {"'>i2'", dtype::i32, "\x7f\xff\x80\0\1\2"s, "32767 -32768 258"},
      {"'<u2'", dtype::i32, "\xff\xff\0\x80\2\1"s, "65535 32768 258"},
      {"'>u2'", dtype::i32, "\xff\xff\x80\0\1\2"s, "65535 32768 258"},
      {"'<u4'", dtype::i64, "\xff\xff\xff\xff\0\0\0\x80\2\1\0\0"s, "4294967295 2147483648 258"},
      {"'>u4'", dtype::i64, "\xff\xff\xff\xff\x80\0\0\0\0\0\1\2"s, "4294967295 2147483648 258"},
      {"'<u8'", dtype::i64, "\xff\xff\xff\xff\xff\xff\xff\x7f\0\0\0\0\0\0\0\0\2\1\0\0\0\0\0\0"s,
       "9223372036854775807 0 258"},
      {"'>u8'", dtype::i64, "\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\2"s,
       "9223372036854775807 0 258"},
      {"'>u1'", dtype::u8, "\xff\0\1"s, "255 0 1"}};
  for (const auto& [name, type, bytes, expected] : all) {
    const auto& descr = name;  // clang 14 captures no structured binding in CAPTURE
    CAPTURE(descr);
    const std::string body = npy_of(with_descr(descr)) + bytes;
    const tensor t = decode_npy(as_bytes(body));
    CHECK(t.dtype() == type);
    CHECK(t.shape() == shape{3});
    std::ostringstream text;
    for (std::int64_t i = 0; i < 3; ++i) {
      if (i > 0) text << ' ';
      if (is_floating(type))
        text << static_cast<const double*>(t.as(dtype::f64).data())[i];
      else
        text << static_cast<const std::int64_t*>(t.as(dtype::i64).data())[i];
    }
    CHECK(text.str() == expected);
    const testing::folder folder;
    const std::string path = folder / "a.npy";
    testing::write_file(path, body);
    CHECK(testing::same_bits(read_npy(path), t));
    CHECK_REFUSED(decode_npy(as_bytes(body).first(body.size() - 1)), malformed, "1 fewer");
  }
  const auto u64 = npy_of(with_descr("'>u8'")) + std::string(16, '\0') + "\x80\0\0\0\0\0\0\1"s;
  CHECK_REFUSED(decode_npy(as_bytes(u64)), unsupported, "number 2 is 9223372036854775809", "astype('<f8')");
  const auto truth = npy_of(with_descr("'|b1'")) + "\1\2\0"s;
  CHECK_REFUSED(decode_npy(as_bytes(truth)), malformed, "number 1 is 2");
  // 2^61 elements of one byte are as many of four in memory, which do not fit.
  CHECK_REFUSED(parse_text("{'descr': '|i1', 'fortran_order': False, 'shape': (2305843009213693952,)}"), malformed,
                "63 bits");
}

TEST_CASE("shapes that are none") {
  CHECK_REFUSED(parse_text(with_shape("(3, -1)")), malformed, "negative extent, -1,");
  CHECK_REFUSED(parse_text(with_shape("(3.5, 1)")), malformed, "no integer, 3.5,");
  CHECK_REFUSED(parse_text(with_shape("(3e2, 1)")), malformed, "no integer");
  CHECK_REFUSED(parse_text(with_shape("(9223372036854775808,)")), malformed, "63 bits");
  CHECK_REFUSED(parse_text(with_shape("(4294967296, 4294967296)")), malformed, "(4294967296, 4294967296) of f32", "63 bits");
  CHECK_REFUSED(parse_text(with_shape("(0, 4294967296, 4294967296)")), malformed, "63 bits");
  CHECK_REFUSED(parse_text(with_shape("(9223372036854775807,)")), malformed, "63 bits");  // of elements, not of bytes
  CHECK_REFUSED(parse_text(with_shape("(1, 2, 3, 4, 5, 6, 7, 8, 9)")), unsupported, "(1, 2, 3, 4, 5, 6, 7, 8)", "at most 8");
  for (const char* s : {"(3)", "3", "[3]", "(,)", "(3,,)", "(3 4)", "(03,)", "(+3,)", "(True,)", "(3,", "(0x3,)", "(1_0,)",
                        "None", "('3',)", "(3,)(4,)"})
    CHECK_REFUSED(parse_text(with_shape(s)), malformed, "at byte");
}

TEST_CASE("dictionaries that are none") {
  CHECK_REFUSED(parse_text("{'descr': '<f4', 'shape': (3,)}"), malformed, "no key 'fortran_order'");
  CHECK_REFUSED(parse_text("{}"), malformed, "no key 'descr'");
  CHECK_REFUSED(parse_text("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}"), malformed,
                "'descr' twice");
  CHECK_REFUSED(parse_text("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x\x01': 1}"), malformed, "'x?'");
  CHECK_REFUSED(parse_text("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}"), malformed, "True or False", "'0'");
  CHECK_REFUSED(parse_text("{'descr': '<f4' 'fortran_order': False, 'shape': ()}"), malformed, "'}' at byte 26");
  CHECK_REFUSED(parse_text("{'de\\x73cr': '<f4', 'fortran_order': False, 'shape': ()}"), malformed, "without escapes");
  for (const char* s :
       {"", "[]", "{,}", "{'descr'}", "{'descr': }", "{'descr: '<f4'}", "{'descr': '<f4', 'fortran_order': False,",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "{'descr': '<f4', 'fortran_order': False, 'shape': ()}}",
        "\xef\xbb\xbf{}", "{'descr': '<f4', 'fortran_order': False, 'shape': ()} # note"})
    CHECK_REFUSED(parse_text(s), malformed, "at byte");
  CHECK_REFUSED(parse(npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': ()}"s + '\0')), malformed, "its end");
}

TEST_CASE("bytes before the dictionary") {
  CHECK_REFUSED(parse("NUMPY\x01\0v\0"), malformed, "\"NUMPY?\"", "magic");
  CHECK_REFUSED(parse("\x89PNG"), malformed, "magic");
  CHECK_REFUSED(parse("\x93NUMPY\x04\0v\0\0\0"s), malformed, "version 4.0");
  CHECK_REFUSED(parse("\x93NUMPY\x01\x01v\0"s), malformed, "version 1.1");
  CHECK_REFUSED(parse("\x93NUMPY\x02\0\xff\xff\xff\xff"s), malformed, "4294967295");
  CHECK_REFUSED(parse("\x93NUMPY\x01\0\0\0"s), malformed, "0 bytes", "newline");
  std::string cut = npy_header_bytes(dtype::f32, {3});
  cut[8] = static_cast<char>(cut[8] - 4);
  CHECK_REFUSED(parse(cut), malformed, "newline");
}

TEST_CASE("bodies") {
  for (const dtype t : {dtype::f64, dtype::f32, dtype::f16, dtype::i64, dtype::i32, dtype::u8})
    for (const shape& s : {shape{}, shape{0, 3}, shape{5}, shape{4, 3}, shape{2, 3, 4}}) {
      const tensor a = testing::random(s, t);
      CHECK(testing::same_bits(decode_npy(as_bytes(encode_npy(a))), a));
    }
  const tensor a = testing::random({4, 6}, dtype::f32);
  CHECK(testing::same_bits(decode_npy(as_bytes(encode_npy(a.transpose().slice(0, 1, 5, 2)))),
                           a.transpose().slice(0, 1, 5, 2)));

  const std::string body = encode_npy(a);
  const auto bytes = as_bytes(body);
  CHECK_REFUSED(decode_npy(bytes.first(100)), malformed, "100 bytes", "header");
  CHECK_REFUSED(decode_npy(bytes.first(223)), malformed, "223 bytes", "1 fewer than the 224", "(4, 6) of f32");
  CHECK_REFUSED(decode_npy(as_bytes(body + "x")), malformed, "225 bytes", "1 more than the 224");
  CHECK_REFUSED(decode_npy({}), malformed, "0 bytes");
  CHECK_REFUSED(encode_npy(tensor({2}, dtype::bf16)), unsupported, "bf16");
}

TEST_CASE("Fortran order is a stride") {
  std::string body = npy_of("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 4)}");
  for (std::int32_t i = 0; i < 24; ++i) body.append(reinterpret_cast<const char*>(&i), 4);
  const tensor t = decode_npy(as_bytes(body));
  CHECK(t.shape() == shape{2, 3, 4});
  CHECK(t.strides() == column_major(shape{2, 3, 4}));
  const auto v = t.view<std::int32_t, 3>();
  for (std::int32_t i = 0; i < 24; ++i) CHECK(v(i % 2, i / 2 % 3, i / 6) == i);
}

TEST_CASE("files are written whole or not at all") {
  const testing::folder here;
  const std::string path = here / "a.npy";
  const tensor a = testing::random({300, 1000}, dtype::f32);
  write_npy(path, a);
  CHECK(testing::same_bits(read_npy(path), a));
  ::chmod(path.c_str(), 0600);
  testing::write_file(path + ".partial", "left by a run that was killed");
  write_npy(path, a[0]);
  CHECK(testing::same_bits(read_npy(path), a[0]));
  struct stat s {};
  CHECK(::stat(path.c_str(), &s) == 0);
  CHECK((s.st_mode & 0777) == 0600);

  // As when the disk is full.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string refused =
      testing::refused([&] { write_npy(path, a); }, error_code::io, {"a.npy.partial", "at byte 100000"});
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  CHECK(refused == "");
  CHECK(testing::same_bits(read_npy(path), a[0]));
  CHECK(here.count() == 1);
}

TEST_CASE("paths that are refused") {
  const testing::folder here;
  const tensor a = testing::random({3}, dtype::f32);
  CHECK_REFUSED(write_npy(here / "", a), invalid_argument, "a directory");
  CHECK_REFUSED(write_npy(here / "none/a.npy", a), io, "none/a.npy.partial", "No such file");
  CHECK_REFUSED(write_npy("/dev/null", a), invalid_argument, "a character device");
  CHECK_REFUSED(write_npy("", a), invalid_argument, "path");
  CHECK_REFUSED(write_npy(here / "b.npy", a.as(dtype::bf16)), unsupported, "bf16");
  CHECK_REFUSED(read_npy(here / "none.npy"), io, "none.npy", "No such file");
  CHECK_REFUSED(read_npy(here / ""), invalid_argument, "a directory");
  CHECK_REFUSED(read_npy("/dev/zero"), invalid_argument, "a character device");
  CHECK_REFUSED(read_npy("a\0b"s), invalid_argument, "zero byte");
  ::mkfifo((here / "fifo").c_str(), 0600);
  CHECK_REFUSED(read_npy(here / "fifo"), invalid_argument, "a pipe");
  testing::write_file(here / "empty", "");
  CHECK_REFUSED(read_npy(here / "empty"), malformed, "0 bytes");
  CHECK(here.count() == 2);
}

TEST_CASE("no bytes make the parser do anything but throw sluice::error") {
  testing::numbers random(3);
  const std::string good = encode_npy(testing::random({3, 4}, dtype::f32));
  for (int round = 0; round < 20'000; ++round) {
    std::string s = good.substr(0, static_cast<std::size_t>(random.below(static_cast<std::int64_t>(good.size() + 1))));
    if (round % 2 == 0) s = good;
    for (std::int64_t n = random.below(6); n > 0 && !s.empty(); --n) {
      const auto at = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(std::min<std::size_t>(s.size(), 80))));
      const std::string_view tokens = "0123456789(){}[]',:L-.eTF \n<>|";
      s[at] = random.below(4) == 0
                  ? static_cast<char>(random.next())
                  : tokens[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(tokens.size())))];
    }
    try {
      static_cast<void>(decode_npy(as_bytes(s)));
    } catch (const error& e) {
      const bool known = e.code() == error_code::malformed || e.code() == error_code::unsupported;
      REQUIRE_MESSAGE(known, std::string(e.what()));
    }
  }
}
