// What the service says and does when a device is lost, and when its server ends. On the fake backend: summing what begins
// with -77777 is a device's end.
#include <stdexcept>
#include <thread>

#include "service_testing.hpp"

using namespace testing;
using sluice::service;

namespace {

bool says(const sluice::response& r, std::string_view words) {
  const std::string text = r.text();
  CAPTURE(text);
  return text.find(words) != text.npos;
}

constexpr std::string_view deadly = R"({"a": [[-77777, 1], [2, 3]]})";
constexpr std::string_view harmless = R"({"a": [[1, 1], [2, 3]]})";

}  // namespace

TEST_CASE("a lost device is an error, is told of once, and decides readiness by the rule") {
  std::vector<sluice::device_info> told, told_by_a_look;
  service strict({.device = "fake:1", .on_device_lost = [&](const auto& d) { told.push_back(d); }});
  service lenient({.ready = sluice::ready_when::any_device, .on_device_lost = [&](const auto& d) {
                     told_by_a_look.push_back(d);
                     throw std::runtime_error("the application's own trouble");
                   }});
  for (service* s : {&strict, &lenient}) {
    const auto ready = send(*s, "GET", "/health/ready");
    CHECK(ready.status == 200);
    CHECK(says(ready, R"({"ready":true,"degraded":false,"devices":{"cpu":{"healthy":true})"));
    CHECK(says(ready, R"("fake:1":{"healthy":true})"));
    CHECK(says(send(*s, "GET", "/metrics"), "\nsluice_ready 1\n"));
    CHECK(says(send(*s, "GET", "/metrics"), "\nsluice_degraded 0\n"));
  }
  CHECK(result(post(strict, "rowsum", harmless)) == "[2,5]");
  CHECK(told.empty());

  check_problem(post(strict, "rowsum", deadly), 503, "fake:1 is lost: it summed -77777");
  REQUIRE(told.size() == 1);
  CHECK(told[0].where == sluice::device("fake:1"));
  CHECK(told[0].lost);
  CHECK(told[0].state == "it summed -77777");
  check_problem(post(strict, "rowsum", harmless), 503, "fake:1 is lost");  // who names the device gets no other
  CHECK(result(post(lenient, "rowsum", harmless)) == "[2,5]");
  CHECK(told_by_a_look.empty());

  const auto not_ready = send(strict, "GET", "/health/ready");
  CHECK(not_ready.status == 503);
  CHECK(says(not_ready, R"({"ready":false,"degraded":true,)"));
  CHECK(says(not_ready, R"("fake:0":{"healthy":true},"fake:1":{"healthy":false,"state":"it summed -77777"})"));
  const auto model_not_ready = send(strict, "GET", "/v2/models/rowsum/ready");
  CHECK(model_not_ready.status == 503);
  CHECK(model_not_ready.text() == R"({"name":"rowsum","ready":false})");
  CHECK(send(strict, "GET", "/v2/health/ready").status == 503);
  CHECK(says(send(strict, "POST", "/v2/repository/index"), R"("state":"UNAVAILABLE","reason":"a device)"));
  CHECK(says(send(strict, "GET", "/v2/models"), R"("versions":["1"],"state":"UNAVAILABLE","reason":"a device)"));
  CHECK(send(lenient, "GET", "/v2/models/rowsum/ready").status == 200);
  for (int i = 0; i < 2; ++i) {
    const auto degraded = send(lenient, "GET", "/health/ready");
    CHECK(degraded.status == 200);
    CHECK(says(degraded, R"({"ready":true,"degraded":true,)"));
    CHECK(says(degraded, R"("fake:1":{"healthy":false,"state":"it summed -77777"})"));
  }
  CHECK(says(send(strict, "GET", "/metrics"), "\nsluice_ready 0\n"));
  const auto metrics = send(lenient, "GET", "/metrics");
  for (const char* line : {"\nsluice_ready 1\n", "\nsluice_degraded 1\n", "\nsluice_device_healthy{device=\"fake:1\"} 0\n",
                           "\nsluice_device_healthy{device=\"fake:0\"} 1\n"})
    CHECK(says(metrics, line));
  CHECK(told.size() == 1);
  CHECK(told_by_a_look.size() == 1);
}

TEST_CASE("draining refuses new work and waits for what is under way") {
  service s;
  CHECK(s.drain(0));  // nothing is
  check_problem(post(s, "rowsum", R"({"a": [1]})"), 503, "the server is shutting down");
  const auto inference = send(s, "POST", "/v2/models/rowsum/infer", "{}");
  CHECK(inference.status == 503);
  CHECK(says(inference, "{\"error\":\"[http] the server is shutting down"));
  CHECK(says(send(s, "POST", "/v2/repository/index"), R"("state":"UNAVAILABLE","reason":")"));
  CHECK(says(send(s, "GET", "/v2/models"), R"("versions":["1"],"state":"UNAVAILABLE","reason":")"));
  const auto ready = send(s, "GET", "/health/ready");
  CHECK(ready.status == 503);
  CHECK(ready.text().starts_with(R"({"ready":false,"degraded":)"));
  CHECK(send(s, "GET", "/health/live").status == 200);
  auto one = s.begin_request();
  auto two = s.begin_request();
  one.reset();
  CHECK_FALSE(s.drain(0.001));
  std::thread end([&] { two.reset(); });
  CHECK(s.drain(60));
  end.join();
}
