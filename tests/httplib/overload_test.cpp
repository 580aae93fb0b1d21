// A service on a hardened server when more comes than it can compute, when clients leave, and when it ends.
#include "both_servers.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <vector>

#include "sluice/httplib.hpp"
#include "sluice/parallel.hpp"

using namespace testing;

namespace {

constexpr std::size_t large = 1 << 20;  // bytes of a body beyond limits.inline_bytes

sluice::endpoint blocked(gate& door) {
  return {.name = "blocked",
          .summary = "Answers when the gate is open",
          .inputs = {{.name = "a", .min_rank = 1, .max_rank = 1}},
          .outputs = {{.name = "result"}},
          .run = [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
            door.pass();
            return std::vector{in[0]};
          }};
}

// Computes until it is cancelled.
sluice::endpoint endless(std::atomic<int>& begun, std::atomic<int>& ended) {
  return {.name = "endless",
          .summary = "Computes until it is cancelled",
          .inputs = {{.name = "a", .min_rank = 1, .max_rank = 1}},
          .outputs = {{.name = "result"}},
          .run = [&](std::span<const sluice::tensor> in, const sluice::call_context&) {
            ++begun;
            try {
              for (;;)
                sluice::parallel_for(100, [](std::int64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); });
            } catch (const sluice::error& e) {
              CHECK(e.code() == sluice::error_code::cancelled);
              ++ended;
              throw;
            }
            return std::vector{in[0]};
          }};
}

struct house {
  explicit house(sluice::service_options o = {}, const sluice::hardened_options& h = {}) : service(std::move(o)), a(h) {
    service.add(blocked(door));
    service.add(endless(begun, ended));
    sluice::mount(a.server, service);
    a.start();
  }
  ~house() { door.open(); }

  [[nodiscard]] std::unique_ptr<wire> ask(std::string_view name, std::string_view extra = "", std::size_t bytes = 0) const {
    std::string body = R"({"a":[1]})";
    body.resize(std::max(body.size(), bytes), ' ');
    auto w = std::make_unique<wire>(a.port);
    w->send(head(name, body.size(), extra) + body);
    return w;
  }
  [[nodiscard]] static std::string head(std::string_view name, std::size_t bytes, std::string_view extra = "") {
    return cat("POST /v1/", name,
               " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ", std::to_string(bytes), "\r\n",
               extra, "\r\n");
  }
  void until_metric(std::string_view line) {
    INFO(line);
    REQUIRE(eventually([&] { return send(service, "GET", "/metrics").text().find(line) != std::string::npos; }));
  }

  gate door;
  std::atomic<int> begun{0}, ended{0};
  sluice::service service;
  app a;
};

sluice::service_options narrow(int queue_length) {
  sluice::service_options o;
  o.compute_workers = 1;
  o.queue_length = queue_length;
  return o;
}

}  // namespace

TEST_CASE("calls that wait leave threads to others, and the queue has its whole length with fewer threads") {
  house h(narrow(20), {.threads = 2});
  std::vector<std::unique_ptr<wire>> all;
  for (int i = 0; i < 21; ++i) all.push_back(h.ask("blocked"));
  h.until_metric("\nsluice_compute_queue_length 20\n");
  CHECK(says(h.a.tell(last_get), "200"));
  const auto refused = h.ask("blocked")->read_until("}");
  CHECK(says(refused, "429"));
  CHECK(refused.find("Retry-After: ") != refused.npos);
  h.door.open();
  for (auto& w : all) CHECK(says(w->read_until("}"), "200"));
}

TEST_CASE("no more threads than allowed wait: 429") {
  house h(narrow(20), {.threads = 2, .waiting_threads = 3});
  std::vector<std::unique_ptr<wire>> all;
  for (int i = 0; i < 3; ++i) all.push_back(h.ask("blocked"));
  h.until_metric("\nsluice_compute_queue_length 2\n");
  CHECK(says(h.ask("blocked")->read_until("}"), "429"));
  CHECK(says(h.a.tell(last_get), "200"));
  h.door.open();
  for (auto& w : all) CHECK(says(w->read_until("}"), "200"));
}

TEST_CASE("what the queue has no place for is refused before its body comes") {
  house h(narrow(1));
  const auto first = h.ask("blocked");
  h.until_metric("\nsluice_compute_slots_in_use 1\n");
  const auto expecting = house::head("blocked", large, "Expect: 100-continue\r\n");
  std::unique_ptr<wire> second;
  CHECK(eventually([&] {  // more than once where this machine takes longer than the second in which a place is kept
    second = std::make_unique<wire>(h.a.port);
    second->send(expecting);
    if (!says(second->read_until("\r\n\r\n"), "100")) return false;  // its body is to come: it has the last place
    return says(wire(h.a.port).send(expecting).read_until("}"), "429");
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // a slow client's place is given to others
  wire third(h.a.port);
  CHECK(says(third.send(expecting).read_until("\r\n\r\n"), "100"));
  h.door.open();
  CHECK(says(first->read_until("}"), "200"));
  CHECK(says(second->send(std::string(large - 9, ' ') + R"({"a":[1]})").read_until("}"), "200"));
}

TEST_CASE("bodies together have a limit, and one alone is always taken") {
  auto o = narrow(20);
  o.limits.all_bodies_bytes = 3 * large / 2;
  house h(o);
  const auto first = h.ask("blocked", "", 2 * large);
  h.until_metric("\nsluice_compute_slots_in_use 1\n");
  const auto refused = h.ask("blocked", "", large)->read_until("}");
  CHECK(says(refused, "429"));
  CHECK(refused.find("take 1572864 bytes at most, and this one of 1048576 is beyond") != refused.npos);
  const auto small = h.ask("blocked");
  wire chunked(h.a.port);
  chunked.send(
      "POST /v1/blocked HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunked.send(chunk(std::string(3 * large, ' ')));
  CHECK(says(chunked.read_until("}"), "429"));
  h.door.open();
  CHECK(says(first->read_until("}"), "200"));
  CHECK(says(small->read_until("}"), "200"));
  CHECK(says(h.ask("blocked", "", large)->read_until("}"), "200"));
}

TEST_CASE("a product that nobody waits for any more ends, and its worker is free") {
  house h(narrow(1));
  {
    const auto leaving = h.ask("endless");
    CHECK(eventually([&] { return h.begun == 1; }));
  }
  CHECK(eventually([&] { return h.ended == 1; }));
  const auto late = h.ask("endless", "X-Request-Timeout: 0.2\r\n")->read_until("}");
  CHECK(says(late, "504"));
  CHECK(h.ended == 2);
  h.door.open();
  CHECK(says(h.ask("blocked")->read_until("}"), "200"));
  CHECK(send(h.service, "GET", "/metrics").text().find("\nsluice_rejections_total{reason=\"client_gone\"} 1\n") !=
        std::string::npos);
}

TEST_CASE("the end: what has come is computed, nobody new is let in, and what takes too long is cancelled") {
  house h(narrow(20));
  const auto first = h.ask("blocked"), second = h.ask("blocked");
  wire kept(h.a.port);
  CHECK(says(kept.send(get).read_until("hello"), "200"));
  h.until_metric("\nsluice_compute_queue_length 1\n");
  auto ended = std::async(std::launch::async, [&] { return sluice::shut_down(h.a.server, h.service, 30); });
  CHECK(eventually([&] { return send(h.service, "GET", "/health/ready").status == 503; }));
  // A request on a connection that was open is answered, and the connection closed.
  kept.send(house::head("blocked", 9) + R"({"a":[2]})");
  h.door.open();
  for (auto* w : {first.get(), second.get(), &kept}) {
    const auto answer = w->read();
    CHECK(says(answer, "200"));
    CHECK(w->closed);
  }
  CHECK(ended.get());
  h.a.thread.join();
}

TEST_CASE("the end has an end: a product still under way is cut off and cancelled") {
  house h(narrow(1), {.grace_seconds = 0.1});
  const auto asked = h.ask("endless");
  CHECK(eventually([&] { return h.begun == 1; }));
  CHECK_FALSE(sluice::shut_down(h.a.server, h.service, 0.2));
  h.a.thread.join();
  CHECK(h.ended == 1);
  CHECK(asked->read().find(" 200 ") == std::string::npos);
}

TEST_CASE("on a tuned server of httplib's a quarter of the threads never waits") {
  gate door;
  running plain("", narrow(20), [&](sluice::service& s) { s.add(blocked(door)); });  // 16 threads
  const std::string body = R"({"a":[1]})";
  const auto ask = [&] {
    auto w = std::make_unique<wire>(plain.port);
    w->send(house::head("blocked", body.size(), "Connection: close\r\n") + body);
    return w;
  };
  std::vector<std::unique_ptr<wire>> all;
  for (int i = 0; i < 12; ++i) all.push_back(ask());
  CHECK(eventually([&] {
    return send(plain.service, "GET", "/metrics").text().find("\nsluice_compute_queue_length 11\n") != std::string::npos;
  }));
  CHECK(says(ask()->read_until("}"), "429"));
  CHECK(plain.client().Get("/hello")->body == "hello");
  door.open();
  for (auto& w : all) CHECK(says(w->read_until("}"), "200"));
  CHECK(says(ask()->read_until("}"), "200"));
}
