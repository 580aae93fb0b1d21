// Jobs on files: from the request to the result, refusals, and ranges.
#include "jobs_testing.hpp"

#include <sys/stat.h>

using namespace sluice;
using testing::ask;
using testing::cat;
using testing::check_problem;
using testing::house;
using testing::job_service;
using testing::result_of;
using testing::started;
using testing::until_ended;
using testing::until_state;
using testing::value_of;

TEST_CASE("from the request to the result") {
  const house p;
  const tensor a = testing::rough({1000, 37}, dtype::f32);
  const tensor b = testing::rough({37, 3}, dtype::f32, 2);
  write_npy(p.data("sub/a.npy"), a);
  write_npy(p.data("b.npy"), b);
  const auto bytes = testing::bytes_of(a);
  testing::write_file(p.data("raw"), cat("0123", std::string(bytes.begin(), bytes.end())));
  job_service s(p.options());

  const auto first = started(s, R"({"operation":"rowsum","input":"d/sub/a.npy"})");
  auto text = until_ended(s, first);
  CAPTURE(text);
  CHECK(value_of("state", text) == "done");
  CHECK(value_of("columns", text) == "37");
  CHECK(value_of("dtype", text) == "f32");
  CHECK(value_of("bytes", text) == "148000");
  CHECK(value_of("bytes_total", text) == "148000");
  CHECK(value_of("rows", text) == "1000");
  CHECK(value_of("error", text) == "null");
  CHECK(testing::same_bits(result_of(s, first), rowsum(a)));

  const auto raw = started(s, R"({"operation":"rowsum","input":"d/raw","columns":37,"offset":4,"column_totals":true})");
  CHECK(value_of("state", until_ended(s, raw)) == "done");
  CHECK(testing::same_bits(result_of(s, raw), rowsum(a)));
  CHECK(testing::same_bits(result_of(s, raw, "column_totals"), rowsum(a.transpose(0, 1))));
  check_problem(ask(s, "GET", cat("/v1/jobs/", first, "/column_totals")), 404, "column totals");

  const auto product = started(s, R"({"operation":"matmul","input":"d/sub/a.npy","operand":"d/b.npy"})");
  CHECK(value_of("state", until_ended(s, product)) == "done");
  CHECK(testing::same_bits(result_of(s, product), matmul(a, b)));
  CHECK(value_of("precision", ask(s, "GET", cat("/v1/jobs/", product)).text()) == "strict");
  CHECK(value_of("precision", text).empty());

  // The latest first, and no more than asked for.
  const auto list = ask(s, "GET", "/v1/jobs").text();
  CHECK(list.find(product) < list.find(raw));
  CHECK(list.find(raw) < list.find(first));
  const auto latest = s.handle({.method = "GET", .path = "/v1/jobs", .query = "x=1&limit=1"}).text();
  CHECK(latest.find(product) != latest.npos);
  CHECK(latest.find(raw) == latest.npos);
  CHECK(s.handle({.method = "GET", .path = "/v1/jobs", .query = "limit=%31"}).text() == latest);
  for (const char* wrong : {"limit=1&limit=2", "limit=%"})
    CHECK(s.handle({.method = "GET", .path = "/v1/jobs", .query = wrong}).status == 400);
  for (const char* wrong : {"limit=0", "limit=1001", "limit=x", "limit="})
    check_problem(s.handle({.method = "GET", .path = "/v1/jobs", .query = wrong}), 422, "1 to 1000");

  // One that has ended is removed, with its results.
  CHECK(p.files_of_jobs() == 4);
  CHECK(ask(s, "DELETE", cat("/v1/jobs/", raw)).status == 204);
  CHECK(p.files_of_jobs() == 2);
  for (const char* part : {"", "/result", "/events"}) check_problem(ask(s, "GET", cat("/v1/jobs/", raw, part)), 404, raw);
  check_problem(ask(s, "DELETE", cat("/v1/jobs/", raw)), 404, raw);

  const auto metrics = ask(s, "GET", "/metrics").text();
  CHECK(metrics.find("\nsluice_jobs{state=\"done\"} 2\n") != metrics.npos);
  CHECK(metrics.find("\nsluice_jobs{state=\"running\"} 0\n") != metrics.npos);
  CHECK(metrics.find("\nsluice_job_bytes_total 444000\n") != metrics.npos);
}

TEST_CASE("orders that are none") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({4, 3}, dtype::f32));
  write_npy(p.data("f64.npy"), testing::random({3, 4}, dtype::f64));
  testing::write_file(p.data("raw"), "0123456789");
  testing::write_file(p.data("empty"), "");
  job_service s(p.options());
  const auto refused = [&](std::string_view order, int status, std::string_view words) {
    CAPTURE(std::string(order));
    check_problem(testing::post(s, "jobs", order), status, words);
  };
  refused("", 400, "not JSON");
  refused("{", 400, "not JSON");
  refused("{} x", 400, "not JSON");
  refused("[]", 422, "must be a JSON object");
  refused("{}", 422, "operation is");
  refused(R"({"operation":"product","input":"d/a.npy"})", 422, "rowsum or matmul");
  refused(R"({"operation":"rowsum"})", 422, "input");
  refused(R"({"operation":"rowsum","input":3})", 422, "input must be a string");
  refused(R"({"operation":"rowsum","input":"d/a.npy","input":"d/a.npy"})", 422, "twice");
  refused(R"({"operation":"rowsum","input":"d/a.npy","output":"d/b"})", 422, "\\\"output\\\" is unknown");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":0})", 422, "columns must be an integer, at least 1");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":1.5})", 422, "columns");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":2,"offset":-1})", 422, "offset");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":2,"dtype":"f7"})", 422, "f7");
  refused(R"({"operation":"rowsum","input":"d/raw","column_totals":1})", 422, "must be true or false");
  refused(R"({"operation":"rowsum","input":"d/raw"})", 422, "d/raw does not begin with the magic of .npy");
  refused(R"({"operation":"rowsum","input":"d/raw","columns":1})", 400, "d/raw has 10 bytes: not a multiple");
  refused(R"({"operation":"rowsum","input":"d/empty","columns":1})", 400, "0 bytes");
  refused(R"({"operation":"rowsum","input":"d/a.npy","columns":4})", 422, "columns is 4");
  refused(R"({"operation":"rowsum","input":"d/a.npy","operand":"d/a.npy"})", 422, "matmul's");
  refused(R"({"operation":"matmul","input":"d/a.npy"})", 422, "operand");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy","column_totals":true})", 422, "rowsum's");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy"})", 422, "the operand must be (3, n) of f32");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/f64.npy"})", 422, "the operand must be (3, n) of f32");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy","precision":"exact"})", 400,
          "it must be strict or fast or tensor_core");
  for (const char* operation : {"matmul", "rowsum"})
    refused(cat(R"({"input":"d/a.npy","precision":"","operation":")", operation, "\"}"), 400,
            "precision is \\\"\\\": it must be");
  refused(R"({"operation":"matmul","input":"d/a.npy","operand":"d/a.npy","precision":1})", 422, "must be a string");
  refused(R"({"operation":"rowsum","input":"d/a.npy","precision":"strict"})", 422, "precision is matmul's");
  refused(cat(R"({"operation":"rowsum","input":")", std::string(70'000, 'x'), "\"}"), 413, "65536");
  for (const char* type : {"application/x-npy", "multipart/form-data; boundary=b", "text/plain"}) {
    const auto r = testing::post(s, "jobs", "x", {{"Content-Type", type}});
    check_problem(r, 415,
                  cat("[jobs] Content-Type is \\\"", type, "\\\": this takes application/json\""));  // and nothing else
  }
  check_problem(ask(s, "PUT", "/v1/jobs"), 405, "GET, HEAD, POST");
  check_problem(ask(s, "POST", "/v1/jobs/1"), 405, "GET, HEAD, DELETE");
  check_problem(ask(s, "DELETE", "/v1/jobs/1/result"), 405, "GET, HEAD");
  check_problem(ask(s, "GET", "/v1/jobs/1/other"), 404, "nothing is served");
  check_problem(ask(s, "GET", "/v1/jobs/"), 404, "no job");
  CHECK(ask(s, "GET", "/v1/jobs").text() == R"({"jobs":[]})");
  CHECK(p.files_of_jobs() == 0);
}

TEST_CASE("no byte of a file that is not given") {
  const house p;
  std::filesystem::create_symlink(p.here / "secret", p.data("link"));
  std::filesystem::create_symlink("../..", p.data("up"));
  REQUIRE(::mkfifo(p.data("pipe").c_str(), 0600) == 0);
  job_service s(p.options());
  const auto status = [&](std::string_view input) {
    return testing::post(s, "jobs", cat(R"({"operation":"rowsum","dtype":"u8","columns":1,"input":")", input, "\"}")).status;
  };
  for (const char* input : {"d/../secret", "d/sub/../../secret", "d//etc/passwd", "d/link", "d/up/secret", "d/sub", "d/.",
                            "d/pipe", "d/sub/..", "d/link\\u0000.npy"}) {
    CAPTURE(input);
    CHECK(status(input) == 403);
  }
  for (const char* input : {"d/%2e%2e/secret", "d/%2e%2e%2fsecret", "d/none", "d/", "d", "", "/etc/passwd", "e/secret", "..",
                            "../secret", "./d/sub"}) {
    CAPTURE(input);
    CHECK((status(input) == 404 || std::string_view(input).empty()));
  }
  testing::write_file(p.data("a"), "abc");
  CHECK(status("d/a") == 202);
}

TEST_CASE("ranges of a result") {
  const house p;
  write_npy(p.data("a.npy"), testing::random({100, 3}, dtype::f32));
  job_service s(p.options());
  const auto id = started(s, R"({"operation":"rowsum","input":"d/a.npy"})");
  until_state(s, id, "done");
  const auto path = cat("/v1/jobs/", id, "/result");
  const auto whole = ask(s, "GET", path);
  const auto all = whole.text();
  REQUIRE(all.size() == 528);
  const std::string tag(whole.header("ETag"));
  CHECK(tag == cat("\"", id, "\""));
  CHECK(whole.header("Accept-Ranges") == "bytes");

  const auto check_range = [&](std::string_view range, std::size_t begin, std::size_t end) {
    CAPTURE(std::string(range));
    const auto r = ask(s, "GET", path, {{"Range", std::string(range)}});
    CHECK(r.status == 206);
    CHECK(r.size() == end - begin);
    CHECK(r.text() == all.substr(begin, end - begin));
    CHECK(r.header("Content-Range") == cat("bytes ", std::to_string(begin), "-", std::to_string(end - 1), "/528"));
    CHECK(r.header("ETag") == tag);
  };
  check_range("bytes=0-0", 0, 1);
  check_range("bytes=128-527", 128, 528);
  check_range("bytes=500-", 500, 528);
  check_range("bytes=-28", 500, 528);
  check_range("bytes=-9999", 0, 528);
  check_range("bytes=1-99999999999999999999999", 1, 528);
  check_range("bytes=0-18446744073709551615", 0, 528);
  check_range("bytes=-18446744073709551616", 0, 528);
  check_range("bytes=0000000000000000000000003-4", 3, 5);
  check_range("Bytes=3-4", 3, 5);
  check_range("bytes= 3-4 ", 3, 5);
  for (const char* range : {"bytes=528-", "bytes=528-600", "bytes=-0", "bytes=99999999999999999999999-"}) {
    CAPTURE(range);
    const auto r = ask(s, "GET", path, {{"Range", range}});
    check_problem(r, 416, "528 bytes");
    CHECK(r.header("Content-Range") == "bytes */528");
  }
  // What is no single range of bytes is passed over.
  for (const char* range :
       {"bytes=0-1,4-5", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "rows=0-1", "bytes=+1-2"}) {
    CAPTURE(range);
    CHECK(ask(s, "GET", path, {{"Range", range}}).status == 200);
  }
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", tag}}).status == 206);
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", "\"other\""}}).status == 200);
  CHECK(ask(s, "GET", path, {{"Range", "bytes=0-1"}, {"If-Range", "Sat, 01 Jan 2050 00:00:00 GMT"}}).status == 200);
  CHECK(ask(s, "HEAD", path, {{"Range", "bytes=0-1"}}).size() == 528);
  for (const std::string& tags : {tag, cat("\"x\", ", tag), cat("W/", tag), std::string("*")}) {
    CAPTURE(tags);
    const auto r = ask(s, "GET", path, {{"If-None-Match", tags}});
    CHECK(r.status == 304);
    CHECK(r.size() == 0);
    CHECK(r.header("ETag") == tag);
  }
  CHECK(ask(s, "GET", path, {{"If-None-Match", "\"x\""}}).status == 200);
  for (const std::string& tags : {tag, cat("\"x\", ", tag), std::string("*")})
    CHECK(ask(s, "GET", path, {{"If-Match", tags}, {"Range", "bytes=0-1"}}).status == 206);
  for (const std::string& tags : {std::string("\"x\""), cat("W/", tag)})
    check_problem(ask(s, "GET", path, {{"If-Match", tags}}), 412, "not the one of If-Match");
}

TEST_CASE("a service without jobs, and options that cannot be") {
  {
    service s;
    for (const char* method : {"GET", "POST"}) check_problem(ask(s, method, "/v1/jobs"), 501, "no folder for jobs");
    check_problem(ask(s, "GET", "/v1/jobs/1/result"), 501, "no folder for jobs");
    CHECK(ask(s, "GET", "/metrics").text().find("sluice_jobs") == std::string::npos);
    CHECK_REFUSED(s.add({.name = "jobs"}), invalid_argument, "reserved");
  }
  const house p;
  const auto with = [&](auto change) {
    auto o = p.options();
    change(o);
    job_service s(o);
  };
  CHECK_REFUSED(with([](auto& o) { o.running = 0; }), invalid_argument, "[jobs] running is 0");
  CHECK_REFUSED(with([](auto& o) { o.queued = -1; }), invalid_argument, "[jobs] queued is -1");
  CHECK_REFUSED(with([](auto& o) { o.kept = 0; }), invalid_argument, "[jobs] kept is 0");
  CHECK_REFUSED(with([&](auto& o) { o.data_directories["e"] = p.here / "none"; }), io, "none");
  CHECK_REFUSED(with([&](auto& o) { o.folder.clear(), o.data_directories["e"] = p.here / "none"; }), io, "none");
  CHECK_REFUSED(with([&](auto& o) { o.data_directories["a/b"] = p.here / "data"; }), invalid_argument, "a/b");
  CHECK_REFUSED(with([&](auto& o) { o.folder = p.here / "secret"; }), io, "secret");
  std::filesystem::create_directories(p.here / "jobs");
  testing::write_file(p.here / "jobs/jobs.db", std::string(5000, 'x'));
  CHECK_REFUSED(with([](auto&) {}), io, "jobs.db");
}
