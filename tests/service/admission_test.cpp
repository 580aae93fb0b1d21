// Who is let in, and who is not: slots and queue, deadlines, clients that have gone.
#include "service_testing.hpp"

#include <atomic>
#include <chrono>
#include <thread>

using namespace testing;

namespace {

// An endpoint of unknown cost: a slot does it.
sluice::endpoint scale() {
  return {.name = "scale",
          .summary = "Whatever the test has it do",
          .inputs = {{.name = "a", .min_rank = 2, .max_rank = 2}},
          .outputs = {{.name = "result"}}};
}

constexpr auto product = R"({"a":[[1,2],[3,4]],"b":[[5,6],[7,8]]})";

}  // namespace

TEST_CASE("beyond the slots and the queue: 429") {
  sluice::service_options o;
  o.compute_workers = 1;
  o.queue_length = 1;
  sluice::service s(o);
  gate door;
  auto row = scale();
  row.run = [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
    door.pass();
    return std::vector{in[0]};
  };
  s.add(row);
  std::atomic<int> done{0};
  const auto call = [&] { done += post(s, "scale", R"({"a":[[1]]})").status == 200; };
  const auto reaches = [&](std::string_view line) {
    for (int i = 0; i < 1000; ++i) {
      if (send(s, "GET", "/metrics").text().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  std::thread first(call);
  CHECK(reaches("\nsluice_compute_slots_in_use 1\n"));
  std::thread second(call);
  CHECK(reaches("\nsluice_compute_queue_length 1\n"));
  const auto r = post(s, "scale", R"({"a":[[1]]})");
  check_problem(r, 429, "1 requests are being computed and 1 wait");
  CHECK(r.header("Retry-After") == "1");
  CHECK(send(s, "GET", "/health/live").status == 200);
  CHECK(post(s, "matmul", product).status == 200);  // small: done beside them
  door.open();
  first.join();
  second.join();
  CHECK(done == 2);
  CHECK(door.entered == 2);
  CHECK(post(s, "scale", R"({"a":[[1]]})").status == 200);
}

TEST_CASE("deadlines: in the queue, before it, and what is none") {
  sluice::service_options o;
  o.compute_workers = 1;
  sluice::service s(o);
  gate door;
  auto row = scale();
  row.run = [&](std::span<const sluice::tensor> in, const sluice::call_context& c) {
    CHECK(c.deadline == std::chrono::steady_clock::time_point::max());
    door.pass();
    return std::vector{in[0]};
  };
  s.add(row);
  const auto within = [&](const char* seconds, const char* name = "scale") {
    return post(s, name, R"({"a":[[1]]})", {{"X-Request-Timeout", seconds}});
  };
  std::thread first([&] { CHECK(post(s, "scale", R"({"a":[[1]]})").status == 200); });
  while (door.entered == 0) std::this_thread::yield();
  check_problem(within("0.02"), 504, "was to be done 20000 us after the request came");
  check_problem(within("0"), 504, "was to be done 0 us after");
  check_problem(within("0", "rowsum"), 504, "[rowsum] was to be done 0 us after");
  for (const char* wrong : {"abc", "-1", "1s", " 1", "nan", "inf", "1e3", "0x1", "1,5", "+1"})
    check_problem(within(wrong), 400, "X-Request-Timeout is");
  CHECK(within("60", "rowsum").status == 200);
  CHECK(within("1000000000000", "rowsum").status == 200);
  door.open();
  first.join();
  CHECK(door.entered == 1);
  const auto text = send(s, "GET", "/metrics").text();
  CHECK(text.find("\nsluice_rejections_total{reason=\"deadline_exceeded\"} 3\n") != text.npos);
  CHECK(text.find("\nsluice_rejections_total{reason=\"malformed\"} 10\n") != text.npos);
}

TEST_CASE("a client that has gone is not computed for, and small calls need no slot") {
  sluice::service_options o;
  o.inline_bytes = -1;
  sluice::service all_in_slots(o), s;
  const auto status = [](sluice::service& to, bool gone) {
    return to.handle({.method = "POST", .path = "/v1/matmul", .body = product, .gone = [gone] { return gone; }}).status;
  };
  CHECK(status(all_in_slots, false) == 200);
  CHECK(status(all_in_slots, true) == 503);
  CHECK(status(s, true) == 200);  // it was done before anybody could ask
  const auto text = send(all_in_slots, "GET", "/metrics").text();
  CHECK(text.find("\nsluice_rejections_total{reason=\"client_gone\"} 1\n") != text.npos);
}
