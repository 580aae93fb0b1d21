// Heads of requests for the service and of its answers, on either kind of server.
#include "both_servers.hpp"
#include "gzip.hpp"
#include "sluice/npy.hpp"

using namespace testing;

namespace {

const std::string last = "Connection: close\r\n";
const std::string sums = R"({"a":[[1,2],[3,4]]})";

std::string length(std::string_view body) { return cat("Content-Length: ", std::to_string(body.size()), "\r\n"); }

std::string rowsum(std::string_view type, std::string_view fields, std::string_view body) {
  return cat(post(cat("Content-Type: ", type, "\r\nAccept: application/json\r\n", last, length(body), fields), "/v1/rowsum"),
             body);
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++n;
  return n;
}

}  // namespace

TEST_CASE_TEMPLATE("multipart bodies as other clients write them", Server, plain, owned) {
  Server running;
  const auto a = sluice::encode_npy(sluice::tensor::of<float>({{1, 2}, {3, 4}}));
  const auto told = [&](std::string_view before, std::string_view head,
                        std::string_view type = "multipart/form-data; boundary=cut") {
    return wire(running.port())
        .send(rowsum(type, "", cat(before, "--cut\r\n", head, "\r\n\r\n", a, "\r\n--cut--\r\n")))
        .read();
  };
  const std::string quoted = "Content-Disposition: form-data; name=\"a\"";
  for (const std::string_view head : {"Content-Disposition: form-data; name=a",
                                      // .NET's MultipartFormDataContent
                                      "Content-Type: application/octet-stream\r\nContent-Disposition: form-data; name=a; "
                                      "filename=a.npy; filename*=utf-8''a.npy",
                                      "content-disposition:Form-Data;FILENAME=\"a;b.npy\" ; Name=\"a\"",
                                      "X: y\r\nContent-Disposition: form-data; filename*=utf-8''x%22; name=a"}) {
    CAPTURE(head);
    CHECK(has(told("", head), "{\"result\":[3,7]"));
  }
  for (const std::string_view before : {"\r\n\r\n", "A preamble.\r\n--cutter\r\n", "--\r\n"})
    CHECK(has(told(before, quoted), "{\"result\":[3,7]"));
  for (const std::string_view type :
       {"Multipart/Form-Data; charset=utf-8; Boundary=\"cut\"; x=y", "multipart/form-data;x=\"boundary=no\";boundary=cut"})
    CHECK(has(told("", quoted, type), "{\"result\":[3,7]"));
  CHECK(says(told("", "Content-Disposition: form-data;\r\n name=\"a\""), "400"));  // folded
}

TEST_CASE_TEMPLATE("content codings by any of their names, in any case", Server, plain, owned) {
  Server running;
  const auto told = [&](std::string_view coding, std::string_view body) {
    return wire(running.port()).send(rowsum("application/json", cat("Content-Encoding: ", coding, "\r\n"), body)).read();
  };
  CHECK(says(told("identity", sums), "200"));
  CHECK(says(told("Identity", sums), "200"));
  for (const char* const none : {"xbr", "gzip, gzip", "brotli", "zstd", "br;q=1"}) CHECK(says(told(none, sums), "415"));
#ifdef CPPHTTPLIB_ZLIB_SUPPORT
  for (const char* const coding : {"gzip", "GZIP", "x-gzip", "X-GZip"}) {
    CAPTURE(coding);
    CHECK(has(told(coding, gzip(sums)), "{\"result\":[3,7]"));
    CHECK(says(told(coding, gzip(std::string(80'000'000, ' '))), "413"));
  }
#endif
#ifdef CPPHTTPLIB_BROTLI_SUPPORT
  std::string brotli;
  httplib::detail::brotli_compressor().compress(
      sums.data(), sums.size(), true, [&](const char* data, std::size_t n) { return brotli.append(data, n), true; });
  for (const char* const coding : {"br", "BR"}) CHECK(has(told(coding, brotli), "{\"result\":[3,7]"));
#endif
}

TEST_CASE_TEMPLATE("answers have a date and one line about the connection, and HEAD never a body", Server, plain, owned) {
  Server running;
  const auto told = [&](std::string_view bytes) { return wire(running.port()).send(bytes).read(); };
  for (const std::string& bytes :
       {cat("GET /health/live HTTP/1.1\r\nHost: x\r\n", last, "\r\n"), rowsum("application/json", "", sums),
        rowsum("application/json", "", "{"), rowsum("text/x", "", sums), cat(post(length(sums), "/health/live"), sums),
        post("Content-Length: 999999999\r\n", "/v1/rowsum")}) {
    CAPTURE(bytes);
    const auto answer = told(bytes);
    CAPTURE(answer);
    CHECK(count(answer, "\r\nDate: ") == 1);
    if constexpr (std::is_same_v<Server, owned>) CHECK(count(answer, "\r\nConnection: ") <= 1);
  }
  struct sent {
    std::string fields, body;
  };
  for (const auto& [fields, body] : {sent{last, ""},
                                     {length(sums), sums},
                                     {length(sums) + last, sums},
                                     {"Transfer-Encoding: chunked\r\n", chunk(sums) + "0\r\n\r\n"}})
    for (const std::string path : {"/v1/devices", "/v1/rowsum", "/metrics", "/openapi.json"}) {
      CAPTURE(fields);
      CAPTURE(path);
      wire w(running.port());
      const auto answer = w.send(cat("HEAD ", path, " HTTP/1.1\r\nHost: x\r\n", fields, "\r\n", body)).read();
      CAPTURE(answer);
      CHECK(answers_in(answer) == 1);
      CHECK(answer.find("\r\n\r\n") == answer.size() - 4);
      CHECK(w.closed);
    }
}

TEST_CASE_TEMPLATE("304 has no length of its own, and its connection goes on", Server, plain, owned) {
  Server running;
  const std::string get_page = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n";
  const auto whole = wire(running.port()).send(cat(get_page, last, "\r\n")).read();
  const auto at = whole.find("\r\nETag: ");
  REQUIRE(at != whole.npos);
  const auto tag = whole.substr(at + 8, whole.find("\r\n", at + 2) - at - 8);
  for (const char* const method : {"GET", "HEAD"}) {
    CAPTURE(method);
    const auto same = cat(method, get_page.substr(3), "If-None-Match: ", tag, "\r\n");
    wire w(running.port());  // one after the other: a plain httplib loses what comes with a request
    const auto first = w.send(cat(same, "\r\n")).read_until("\r\n\r\n");
    const auto all = first + w.send(cat(same, last, "\r\n")).read();
    CAPTURE(all);
    CHECK(count(all, "HTTP/1.1 304 ") == 2);
    CHECK(!has(all, "Content-Length"));
    CHECK(!has(all, "openapi\":"));
    CHECK(count(all, "\r\nContent-Type: application/json\r\n") == 2);
  }
}
