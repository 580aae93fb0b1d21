// Where the service computes, and that every answer, the metrics and /v1/placement tell of it.
#include "exact_profiles.hpp"
#include "service_testing.hpp"
#include "testing.hpp"

using namespace testing;
using sluice::device;

namespace {

bool holds(std::string_view all, std::string_view part) { return all.find(part) != all.npos; }

std::string npy_of(const tensor& t) {
  std::string all = sluice::npy_header_bytes(t.dtype(), t.shape());
  return all.append(static_cast<const char*>(t.data()), t.bytes());
}

sluice::response large(sluice::service& s, headers with = {}) {
  with.insert(with.end(), npy_type.begin(), npy_type.end());
  return post(s, "rowsum", npy_of(tensor::zeros({1024, 1024})), std::move(with));
}

std::string line_of(const std::string& text, std::string_view begin) {
  const auto at = text.find(cat("\n", begin));
  return at == text.npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}

}  // namespace

TEST_CASE("an answer tells where it was computed, what that was to take, and why") {
  know_all();
  sluice::service s;
  auto r = post(s, "matmul", R"({"a": [[1, 2], [3, 4]], "b": [[1, 0], [0, 1]]})");
  CHECK(r.status == 200);
  CHECK(r.header("X-Sluice-Device") == "cpu");
  CHECK(std::stod(std::string(r.header("X-Sluice-Predicted"))) > 0);
  CHECK(std::stod(std::string(r.header("X-Sluice-Predicted"))) < 1e-5);
  CHECK(r.header("X-Sluice-Reason").starts_with("cpu: "));
  CHECK(holds(r.header("X-Sluice-Reason"), " us there, "));
  CHECK(holds(r.header("X-Sluice-Reason"), " on paced:1"));

  CHECK(r.header("X-Sluice-Precision") == "strict");
  r = post(s, "matmul", R"({"a": [[1, 2], [3, 4]], "b": [[1, 0], [0, 1]], "precision": "fast"})");
  CHECK(r.header("X-Sluice-Reason").ends_with(" on paced:1; precision fast"));

  // 4 MiB at 1 GB/s would take the CPU 4 ms; no copy to paced:0 takes any time.
  r = large(s);
  CHECK(r.status == 200);
  CHECK(r.header("X-Sluice-Device") == "paced:0");
  CHECK(r.header("X-Sluice-Reason").starts_with("paced:0: "));
  CHECK(r.header("Content-Type") == "application/x-npy");

  r = send(s, "POST", "/v2/models/rowsum/infer",
           R"({"inputs": [{"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]})");
  CHECK(r.status == 200);
  CHECK(r.header("X-Sluice-Device") == "cpu");
  CHECK(holds(r.text(), R"("parameters":{"device":"cpu","predicted_seconds":)"));
  CHECK(holds(r.text(), R"("reason":"cpu: )"));

  const std::string text = send(s, "GET", "/metrics").text();
  CHECK(line_of(text, "sluice_placement_decisions_total{op=\"rowsum\",version=\"1\",device=\"paced:0\"") ==
        "sluice_placement_decisions_total{op=\"rowsum\",version=\"1\",device=\"paced:0\",why=\"soonest\"} 1");
  const std::string of_large = "{op=\"rowsum\",version=\"1\",device=\"paced:0\"} ";
  CHECK(line_of(text, cat("sluice_placement_predicted_calls_total", of_large)).ends_with(" 1"));
  for (const char* name : {"sluice_placement_predicted_seconds_total", "sluice_placement_observed_seconds_total"}) {
    const std::string line = line_of(text, cat(name, of_large));
    REQUIRE_FALSE(line.empty());
    CHECK(std::stod(line.substr(line.rfind(' '))) > 0);
  }
}

TEST_CASE("a device that is named, preferred, or in time") {
  know_all();
  const auto device_of = [](sluice::service& s, headers with = {}) {
    return std::string(large(s, std::move(with)).header("X-Sluice-Device"));
  };
  sluice::service named({.device = "paced:1"});
  CHECK(device_of(named) == "paced:1");
  CHECK(large(named).header("X-Sluice-Reason") == "paced:1: the caller named it");
  sluice::service preferring({.device = sluice::prefer(far)});
  CHECK(device_of(preferring) == "paced:1");
  CHECK(large(preferring).header("X-Sluice-Reason").starts_with("paced:1: the caller prefers it; "));
  sluice::service absent({.device = sluice::prefer("nosuch")});
  CHECK(device_of(absent) == "paced:0");
  sluice::service needed({.device = sluice::require("nosuch")});
  CHECK(large(needed).status == 503);
}

TEST_CASE("an endpoint of the application's own is placed by its estimate, and without one chooses itself") {
  know_all();
  sluice::service s;
  std::string given;
  sluice::endpoint row{.name = "halve",
                       .inputs = {{.name = "a"}},
                       .outputs = {{.name = "result"}},
                       .run = [&](std::span<const tensor> in, const sluice::call_context& c) {
                         given = c.where.str();
                         return std::vector{in[0]};
                       }};
  s.add(row);
  auto r = post(s, "halve", R"({"a": 4})");
  CHECK(given == "automatic");
  CHECK(r.header("X-Sluice-Device") == "cpu");
  CHECK(r.header("X-Sluice-Predicted").empty());
  CHECK(r.header("X-Sluice-Reason") == "cpu: the endpoint has no estimate of its work");
  row.name = "work";
  row.estimate = [](std::span<const tensor>) {
    sluice::work w;
    w.operation = "work";
    w.flops = 1e12;
    w.bytes = 1e3;
    return w;
  };
  s.add(row);
  CHECK(post(s, "work", R"({"a": 4})").status == 200);
  CHECK(given == "paced:1");
}

TEST_CASE("placement is asked without running anything") {
  know_all();
  sluice::service s;
  const auto ask = [&](std::string_view body) { return post(s, "placement", body); };
  const std::string text =
      ask(R"({"operation": "matmul", "dtype": "f32", "sizes": [16, 512, 4096], "rate": 10, "prices": {"cpu": 0.4, "paced:1": 4}})")
          .text();
  CHECK(text.starts_with(
      R"({"operation":"matmul","dtype":"f32","precision":"strict","points":[{"size":16,"device":"cpu","why":"soonest",)"));
  CHECK(holds(text, R"({"size":4096,"device":"paced:1","why":"soonest","reason":"paced:1: )"));
  CHECK(holds(text, R"({"device":"paced:0","seconds":0.27)"));
  CHECK(holds(text, R"("cost_per_million":null})"));
  // 137 GFLOP at 10 GFLOP/s and 10 calls a second take 138 machines of 0.4 an hour; one of the others is enough.
  CHECK(holds(text, R"("cost_per_million":1533})"));
  CHECK(holds(text, R"("cost_per_million":111.1})"));
  CHECK(holds(text, R"("advice":"matmul of f32 belongs on the CPU below n = )"));
  CHECK(holds(text, R"("measured":true,"source":"measured 2026-11-21T16:05:00Z, kept in )"));
  const std::string range = ask(R"({"from": 10, "to": 50})").text();
  for (const char* size : {"10", "20", "40", "50"}) CHECK(holds(range, cat("{\"size\":", size, ",")));
  const std::string sums = ask(R"({"operation": "rowsum", "dtype": "u8"})").text();
  CHECK(holds(sums, R"({"size":4096,)"));
  CHECK_FALSE(holds(sums, "precision"));
  const std::string fast = ask(R"({"precision": "fast", "operation": "matmul", "sizes": [4096]})").text();
  CHECK(fast.starts_with(R"({"operation":"matmul","dtype":"f32","precision":"fast","points":)"));
  CHECK(holds(fast, R"( on paced:0; precision fast","predictions":)"));
  check_problem(ask(R"({"precision": "exact"})"), 400, "it must be strict or fast or tensor_core");
  check_problem(ask(R"({"precision": 1})"), 422, "no string");
  check_problem(ask(R"({"precision": "fast", "operation": "rowsum"})"), 422, "rowsum gives no choice of it");

  check_problem(ask("[1]"), 400, "[placement]");
  check_problem(ask(R"({"sizes": [1]} 2)"), 400, "[placement]");
  check_problem(ask(R"({"size": [1]})"), 422, R"(\"size\" is not known)");
  check_problem(ask(R"({"operation": "sort"})"), 422, "there is no operation sort");
  check_problem(ask(R"({"dtype": "f33"})"), 422, "f33");
  check_problem(ask(R"({"dtype": "u8"})"), 422, "u8");
  check_problem(ask(R"({"sizes": []})"), 422, "no sizes");
  check_problem(ask(R"({"sizes": [2, 1]})"), 422, "size 1 is 1");
  check_problem(ask(R"({"sizes": ["x"]})"), 422, "no whole number");
  check_problem(ask(R"({"sizes": [0]})"), 422, "size 0 is 0");
  check_problem(ask(R"({"from": 3, "to": 2})"), 422, "from is 3 and to is 2");
  check_problem(ask(R"({"from": 3, "to": 4, "sizes": [1]})"), 422, "beside them");
  check_problem(ask(R"({"rate": -1})"), 422, "rate is -1");
  check_problem(ask(R"({"prices": {"cpu": -1}})"), 422, "price of cpu is -1");
  check_problem(ask(R"({"prices": {"no!": 1}})"), 422, "no!");
  check_problem(ask(R"({"prices": 3})"), 422, "no object");
  CHECK(send(s, "GET", "/v1/placement").status == 405);
  CHECK_REFUSED(s.add({.name = "placement"}), invalid_argument, "reserved");
}
