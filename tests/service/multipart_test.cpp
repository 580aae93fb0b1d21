// Bodies of multipart/form-data: what RFC 2046 allows, and what is none.
#include "service_testing.hpp"

using namespace testing;

namespace {

const std::string a = sluice::encode_npy(sluice::tensor::of<float>({{1, 2}, {3, 4}}));

}  // namespace

TEST_CASE("multipart bodies that are none") {
  sluice::service s;
  const auto refuse = [&](const std::string& body, int status, std::string_view words) {
    check_problem(post(s, "matmul", body, multipart_type), status, words);
  };
  refuse("", 400, "has no line --cut");
  refuse("--other\r\n", 400, "has no line --cut");
  refuse("--cut", 400, "has no line --cut");
  refuse("--cut\r\n", 400, "part 1 has no blank line");
  refuse("--cut\r\n\r\n", 400, "part 1 has no");
  refuse(cat("--cut\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\n", a), 400, "Content-Disposition with a name");
  refuse(cat("--cut\r\nContent-Disposition: form-data; name=\"a", std::string(100'000, 'x'), "\"\r\n\r\n"), 400,
         "in its first 8192 bytes");
  refuse(part("a", a) + "--cut--", 422, "\\\"b\\\" is missing");
  refuse(part("a", a) + part("a", a) + "--cut--", 422, "\\\"a\\\" is there twice");
  refuse(part("a", a) + part("c", a) + "--cut--", 422, "\\\"c\\\" is not known");
  refuse(part("a", a + "x") + part("b", a) + "--cut--", 400, "the part \\\"a\\\" has 145 bytes, and by its header");
  refuse(part("a", a), 400, "the part \\\"a\\\" does not end with a delimiter");
  refuse(part("a", a) + "--cut\r\n", 400, "part 2 has no blank line");
  refuse("--cut--", 422, "\\\"a\\\" is missing");
}

TEST_CASE("multipart bodies as RFC 2046 allows them") {
  sluice::service s;
  const auto sums = [&](const std::string& body, std::string type = "multipart/form-data; boundary=cut") {
    return result(post(s, "rowsum", body, {{"Content-Type", std::move(type)}, {"Accept", "application/json"}}));
  };
  const auto with_head = [&](std::string_view head) { return cat("--cut\r\n", head, "\r\n\r\n", a, "\r\n--cut--"); };
  for (const char* head :
       {"Content-Disposition: form-data; name=a", "content-disposition:form-data;NAME=\"a\"",
        "Content-Disposition: form-data; filename=\"x; name=b; \\\"\"; name=\"a\"",
        "Content-Disposition: form-data; name = a ; filename=x.npy", "Content-Disposition: form-data; name=\"\\a\"",
        "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=a",
        "Content-Disposition: form-data; name=a\r\nCONTENT-TYPE: Application/X-NPY; version=1",
        "X-Other: 1\r\nContent-Disposition: form-data; name=a"})
    CHECK_MESSAGE(sums(with_head(head)) == "[3,7]", head);
  CHECK(sums(cat("A preamble, --cut here\r\n--cutter\r\n\r\n", part("a", a), "--cut--\r\nand an epilogue\r\n--cut\r\n")) ==
        "[3,7]");
  CHECK(sums(cat("\r\n\r\n\r\n", part("a", a), "--cut--")) == "[3,7]");
  CHECK(sums(cat("--cut \t \r\n", part("a", a).substr(7), "--cut--")) == "[3,7]");
  for (const char* type : {"multipart/form-data; charset=utf-8; BOUNDARY=cut", "Multipart/Form-Data;boundary=\"cut\"",
                           "multipart/form-data; x=\"; boundary=no\"; boundary=cut"})
    CHECK_MESSAGE(sums(part("a", a) + "--cut--", type) == "[3,7]", type);
  CHECK(sums(cat("--a b:c\r\n", part("a", a).substr(7, part("a", a).size() - 7), "--a b:c--"),
             "multipart/form-data; boundary=\"a b:c\"") == "[3,7]");
  check_problem(
      post(s, "rowsum", with_head("Content-Disposition: form-data; name=a\r\nContent-Type: text/csv"), multipart_type), 415,
      "text/csv\\\": application/x-npy is taken");
  check_problem(post(s, "rowsum", "--cut\r\nContent-Disposition: form-data; name=a\r\n\r\n--cut--", multipart_type), 400,
                "of 0 bytes ends inside the header");
}

TEST_CASE("data of a part that look like its boundary") {
  sluice::service s;
  for (const std::string bytes : {"\r\n--cu", "\r\n--cutter\r\n", "--cut--", "\n--cut\r\n", "\r\n--",
                                  "\r\n\r\n--cu\r\n--cut-", "\r\n--cut -", "\r", "\r\n", "\r\n--cut\n"}) {
    CAPTURE(bytes);
    sluice::tensor t({static_cast<std::int64_t>(bytes.size())}, sluice::dtype::u8);
    std::copy(bytes.begin(), bytes.end(), static_cast<char*>(t.data()));
    std::int64_t sum = 0;
    for (const char c : bytes) sum += c;
    const auto answer = post(s, "rowsum", part("a", sluice::encode_npy(t)) + "--cut--",
                             {{"Content-Type", "multipart/form-data; boundary=cut"}, {"Accept", "application/json"}});
    CHECK(result(answer) == std::to_string(sum));
  }
}
