// Bodies that NumPy writes: .npy of every type, and .npz.
#include "rowsum_stream_testing.hpp"
#include "zip.hpp"

#include <thread>

using namespace testing;
using sluice::dtype;

namespace {

// An .npy with any header text.
std::string raw_npy(std::string_view dictionary, std::string_view data) {
  const auto text = cat(dictionary, "\n");
  const char length[] = {static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return cat(std::string_view("\x93NUMPY\x01\x00", 8), std::string_view(length, 2), text, data);
}

std::string both_parts(std::string_view a, std::string_view b) { return cat(part("a", a), part("b", b), "--cut--\r\n"); }

}  // namespace

TEST_CASE(".npy of types and orders of bytes that tensors have not") {
  sluice::service s({.limits = {.body_bytes = 1000}});
  const auto sum = [&](const std::string& descr, const std::string& shape, std::string_view data, bool fortran = false) {
    const auto body = raw_npy(
        cat("{'descr': '", descr, "', 'fortran_order': ", fortran ? "True" : "False", ", 'shape': ", shape, ", }"), data);
    const headers types{{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}};
    const auto whole = post(s, "rowsum", body, types);
    // Uploaded in pieces that end inside elements, the same.
    const auto streamed = stream(s, body, "", types, [] { return 131; });
    if (whole.status == 200 && !fortran) CHECK(streamed.text() == whole.text());
    if (whole.status != 200) CHECK(streamed.status != 200);
    return whole;
  };
  CHECK(result(sum(">f4", "(2, 1)", std::string_view("\x3f\xc0\0\0\xc0\0\0\0", 8))) == "[1.5,-2]");
  CHECK(result(sum(">f2", "(1, 2)", std::string_view("\x3e\0\xc0\0", 4))) == "[-0.5]");
  CHECK(result(sum("|b1", "(2, 2)", std::string_view("\1\0\1\1", 4))) == "[1,2]");
  CHECK(result(sum("|i1", "(2, 2)", "\x7f\x7f\x80\xff")) == "[254,-129]");
  CHECK(result(sum("|i1", "(2, 2)", "\x7f\x7f\x80\xff", true)) == "[-1,126]");
  CHECK(result(sum(">u2", "(1, 2)", "\xff\xff\xff\xff")) == "[131070]");
  CHECK(result(sum(">i2", "(0, 2)", "")) == "[]");
  CHECK(result(sum("<u4", "(1, 1)", "\xff\xff\xff\xff")) == "[4294967295]");
  CHECK(result(sum(">u8", "(1, 1)", std::string_view("\x7f\0\0\0\0\0\0\1", 8))) == "[9151314442816847873]");
  check_problem(sum("<u8", "(1, 2)", std::string(15, '\0') + '\x80'), 422, "u64 number 1 is 9223372036854775808");
  check_problem(sum("|b1", "(1, 2)", std::string_view("\0\3", 2)), 400, "bool number 1 is 3");
  // As much as a body may have is taken of them in memory.
  CHECK(sum("|i1", "(1, 250)", std::string(250, '\1')).status == 200);
  const auto large = raw_npy("{'descr': '|i1', 'fortran_order': False, 'shape': (1, 251)}", std::string(251, '\1'));
  check_problem(post(s, "rowsum", large, npy_type), 413, "at most 1000 bytes");
  const auto f4 = raw_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1)}", std::string_view("\x3f\xc0\0\0", 4));
  const auto i1 = raw_npy("{'descr': '|i1', 'fortran_order': False, 'shape': (1, 1)}", "\2");
  CHECK(sums_in(post(s, "matmul", both_parts(f4, f4), multipart_type)).view<float, 2>()(0, 0) == 2.25f);
  check_problem(post(s, "matmul", both_parts(i1, i1), multipart_type), 422, "i32");
}

TEST_CASE("an .npz has a member for each input, stored or compressed") {
  sluice::service s({.limits = {.body_bytes = 20'000, .elements = 3000}});
  const headers type{{"Content-Type", "application/zip"}};
  const auto npy = [](const sluice::tensor& t) { return sluice::encode_npy(t); };
  const auto a = random({3, 40}, dtype::f32), b = random({40, 5}, dtype::f32);
  const auto product = sluice::matmul(a, b);
  for (const auto& first : {stored("a.npy", npy(a)), compressed("a.npy", npy(a)), stored("a", npy(a))})
    for (const auto& second : {stored("b.npy", npy(b)), compressed("b.npy", npy(b))}) {
      CHECK(same_bits(sums_in(post(s, "matmul", zip_of({first, second}), type)), product));
      CHECK(same_bits(
          sums_in(post(s, "matmul", zip_of({second, first}), {{"Content-Type", "Application/X-Zip-Compressed; x=y"}})),
          product));
    }
  // Elements lie where a tensor may use them, or not.
  for (int i = 0; i < 9; ++i) {
    const auto shifted = raw_npy(
        cat("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 40)}", std::string(static_cast<std::size_t>(i), ' ')),
        bytes_in(a));
    CHECK(same_bits(sums_in(post(s, "rowsum", zip_of({stored("a.npy", shifted)}), type)), sluice::rowsum(a)));
  }
  const auto sums = post(s, "rowsum",
                         zip_of({stored("a.npy", raw_npy("{'descr': '>u2', 'fortran_order': False, "
                                                         "'shape': (1, 2)}",
                                                         "\1\2\3\4"))}),
                         {type[0], {"Accept", "application/json"}});
  CHECK(result(sums) == "[1030]");

  const auto refuse = [&](const std::string& body, int status, const char* words) {
    check_problem(post(s, "matmul", body, type), status, words);
  };
  refuse("", 400, "[npz]");
  refuse(npy(a), 400, "no end of a zip archive");
  refuse(zip_of({stored("a.npy", npy(a))}), 422, "is missing: matmul needs it");
  refuse(zip_of({stored("a.npy", npy(a)), stored("b.npy", npy(b)), stored("c.npy", npy(b))}), 422, "is not known to matmul");
  refuse(zip_of({stored("a.npy", npy(a)), stored("../b.npy", npy(b))}), 422, "not known");
  refuse(zip_of({stored("a.npy", npy(a)), stored("a", npy(a))}), 400, "twice");
  auto secret = stored("b.npy", npy(b));
  secret.flags = 1;
  refuse(zip_of({stored("a.npy", npy(a)), secret}), 422, "encrypted");
  auto wrong = stored("b.npy", npy(b));
  wrong.crc ^= 1;
  refuse(zip_of({stored("a.npy", npy(a)), wrong}), 400, "CRC");
  refuse(zip_of({stored("a.npy", npy(a)), compressed("b.npy", "hello")}), 400, "magic");
  refuse(zip_of({stored("a.npy", npy(a)), stored("b.npy", npy(sluice::tensor({1, 3001}, dtype::u8)))}), 413, "at most 3000");
  // What members decompress to is limited as a body is, by what their headers say and before a byte is decompressed.
  auto bomb = compressed("b.npy", npy(b));
  bomb.bytes = 20'000;
  refuse(zip_of({stored("a.npy", npy(a)), bomb}), 413, "at most 20000 are taken");
  bomb.bytes = 2'000'000;
  refuse(zip_of({stored("a.npy", npy(a)), bomb}), 400, "1032");
  bomb.bytes = 900;
  refuse(zip_of({stored("a.npy", npy(a)), bomb}), 400, "has more than 900");
  // A part holds one tensor, and an archive several.
  check_problem(post(s, "matmul",
                     cat("--cut\r\nContent-Disposition: form-data; name=a\r\nContent-Type: application/zip\r\n\r\n",
                         zip_of({stored("a.npy", npy(a))}), "\r\n--cut--"),
                     multipart_type),
                415, "application/x-npy is taken");
  CHECK(send(s, "GET", "/openapi.json").text().find("An .npz whose members are a.npy, b.npy") != std::string::npos);
}

TEST_CASE("a worker decompresses, however few bytes came") {
  sluice::service s;
  std::thread::id computed_by;
  s.add({.name = "same",
         .summary = "Its input",
         .inputs = {{.name = "a"}},
         .outputs = {{.name = "result"}},
         .run =
             [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
               computed_by = std::this_thread::get_id();
               return std::vector{in[0]};
             },
         .estimate =
             [](std::span<const sluice::tensor> in) {
               return sluice::work_of(sluice::rowsum_op(), {{in[0].dtype(), in[0].shape()}});
             }});
  const auto npy = sluice::encode_npy(random({2, 2}, dtype::f32));
  CHECK(post(s, "same", npy, npy_type).status == 200);
  CHECK(computed_by == std::this_thread::get_id());
  CHECK(post(s, "same", zip_of({compressed("a.npy", npy)}), {{"Content-Type", "application/zip"}}).status == 200);
  CHECK(computed_by != std::this_thread::get_id());
}
