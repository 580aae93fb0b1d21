// Bodies that NumPy writes: .npy of every type.
#include "rowsum_stream_testing.hpp"

using namespace testing;

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
