// Calls that wait for the same device run as one, and each gets its own part. On the fake backend, by an endpoint that
// waits at a gate.
#include "execution/gathering_scheduler.hpp"

#include <future>
#include <map>

#include "codec/codec_registry.hpp"
#include "execution/executor.hpp"
#include "http/http_error.hpp"
#include "http/protocol.hpp"
#include "service_testing.hpp"

using namespace sluice;
using namespace testing;

namespace {

struct answer {
  int status = 0;
  std::string result{};    // or the error's text
  std::string gathered{};  // X-Sluice-Gathered
};

// An endpoint of twice its input, which refuses 13.
struct doubling {
  explicit doubling(std::string device = "fake:0", std::int64_t limit = 64, int workers = 2,
                    std::int64_t result_bytes = 1 << 20) {
    service_options o{.device = require(device)};
    o.compute_workers = workers;
    o.limits.result_bytes = result_bytes;
    o.queue_length = 32;
    o.inline_bytes = -1;  // every call on a worker
    auto gathers = std::make_unique<serving::gathering_scheduler>();
    scheduler = gathers.get();
    e = std::make_unique<serving::executor>(o, std::move(gathers));
    e->endpoints.add({.name = "twice",
                      .inputs = {{.name = "a"}},
                      .outputs = {{.name = "result"}},
                      .run = [this](std::span<const tensor> in, const call_context& c) { return run(in[0], c); },
                      .estimate =
                          [](std::span<const tensor> in) {
                            work w;
                            w.operation = "twice";
                            w.result_bytes = static_cast<std::int64_t>(in[0].bytes());
                            return w;
                          },
                      .parameters = {{.name = "plus"}},
                      .gather = {.limit = limit, .least_rank = 1}});
    v1 = serving::v1(*e, serving::standard_codecs());
  }

  std::vector<tensor> run(const tensor& a, const call_context& c) {
    {
      const std::lock_guard lock(mutex);
      shapes.push_back(a.shape().str());
      on_device = on_device && (a.rank() < 2 || a.device() == c.where);  // of a batch
    }
    entrance.pass();
    const tensor from = a.to(device::cpu).contiguous();
    tensor to(a.shape());
    const auto* x = static_cast<const float*>(from.data());
    auto* y = static_cast<float*>(to.data());
    for (std::int64_t i = 0; i < a.count(); ++i) {
      if (x[i] == 13) throw error(error_code::invalid_argument, "[twice] 13 has no double");
      y[i] = 2 * x[i] + static_cast<float>(c.parameters.empty() ? 0 : c.parameters[0]);
    }
    return {to.to(c.where)};
  }

  std::future<answer> begin(std::string body, serving::request_context with = {}, std::string query = {}) {
    return std::async(std::launch::async, [this, body, with = std::move(with), query]() mutable -> answer {
      try {
        const auto r = v1->answer({.method = "POST", .path = "/v1/twice", .query = query, .body = body}, with);
        return {r.status, result(r), std::string(r.header("X-Sluice-Gathered"))};
      } catch (const serving::http_error& refused) {
        return {refused.status, refused.detail};
      } catch (const error& failed) {
        return {status_of(failed.code()), failed.what()};
      }
    });
  }
  std::future<answer> begin(int value) { return begin(cat(R"({"a":[)", std::to_string(value), ",1]}")); }
  // One call at the gate, and calls 1 to `others` that wait for it.
  bool begin_behind_one(std::vector<std::future<answer>>& all, int others) {
    all.push_back(begin(0));
    if (!entered(1)) return false;
    for (int i = 1; i <= others; ++i) all.push_back(begin(i));
    return waits(others);
  }
  [[nodiscard]] bool waits(int calls) const {
    return eventually([&] { return scheduler->waiting() == calls; });
  }
  bool entered(int calls) {
    return eventually([&] { return entrance.entered == calls; });
  }

  std::unique_ptr<serving::executor> e;
  serving::gathering_scheduler* scheduler;
  std::unique_ptr<serving::protocol> v1;
  gate entrance;
  std::mutex mutex;
  std::vector<std::string> shapes;  // of every run
  bool on_device = true;
};

// Whatever fails in a test, calls that wait at the gate end before the futures are waited for.
struct opens {
  gate& g;
  ~opens() { g.open(); }
};

}  // namespace

TEST_CASE("calls that wait for the one under way run as one, and each gets its own part") {
  doubling d;
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  REQUIRE(d.begin_behind_one(all, 5));
  CHECK(d.entrance.entered == 1);
  d.entrance.open();
  for (int i = 0; i <= 5; ++i) {
    const answer a = all[static_cast<std::size_t>(i)].get();
    CHECK(a.status == 200);
    CHECK(a.result == cat("[", std::to_string(2 * i), ",2]"));
    CHECK(a.gathered == (i == 0 ? "" : "5"));
  }
  CHECK(d.shapes == std::vector<std::string>{"(2)", "(5, 2)"});
  CHECK(d.on_device);
  CHECK(d.e->compute.now().free == 2);
  CHECK(d.e->metrics->text(d.e->compute, 2, {})
            .find("sluice_gathered_calls_total{op=\"twice\",version=\"1\",device=\"fake:0\"} 5\n") != std::string::npos);
  CHECK(d.begin(8).get().result == "[16,2]");  // none is under way any more
  CHECK(d.shapes.size() == 3);
}

TEST_CASE("other shapes and parameters do not join, nor ranks below the rule's") {
  doubling d("fake:0", 64, 8);
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  all.push_back(d.begin(1));
  all.push_back(d.begin(R"({"a":[1,1,1]})"));
  all.push_back(d.begin(R"({"a":[1,1]})", {}, "plus=1"));
  all.push_back(d.begin(R"({"a":1})"));
  all.push_back(d.begin(R"({"a":2})"));
  REQUIRE(d.entered(5));
  CHECK(d.scheduler->waiting() == 0);
  all.push_back(d.begin(R"({"a":[3,3,3]})"));
  all.push_back(d.begin(R"({"a":[3,3]})", {}, "plus=1"));
  REQUIRE(d.waits(2));
  d.entrance.open();
  const char* wanted[] = {"[2,2]", "[2,2,2]", "[3,3]", "2", "4", "[6,6,6]", "[7,7]"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const answer a = all[i].get();
    CHECK(a.result == wanted[i]);
    CHECK(a.gathered == "");
  }
  CHECK(d.shapes.size() == 7);
}

TEST_CASE("a batch has no more calls than the rule allows; the rest are the next one") {
  doubling d("fake:0", 3);
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  REQUIRE(d.begin_behind_one(all, 5));
  d.entrance.open();
  std::map<std::string, int> gathered;
  for (int i = 0; i <= 5; ++i) {
    const answer a = all[static_cast<std::size_t>(i)].get();
    CHECK(a.result == cat("[", std::to_string(2 * i), ",2]"));
    ++gathered[a.gathered];
  }
  CHECK(gathered == std::map<std::string, int>{{"", 1}, {"2", 2}, {"3", 3}});
  CHECK(d.shapes == std::vector<std::string>{"(2)", "(3, 2)", "(2, 2)"});
}

TEST_CASE("no more calls wait than have results within the limit") {
  doubling d("fake:0", 64, 2, 16);
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  REQUIRE(d.begin_behind_one(all, 2));
  all.push_back(d.begin(3));
  REQUIRE(d.entered(2));
  CHECK(d.scheduler->waiting() == 2);
  d.entrance.open();
  for (int i = 0; i <= 3; ++i)
    CHECK(all[static_cast<std::size_t>(i)].get().result == cat("[", std::to_string(2 * i), ",2]"));
  CHECK(d.shapes == std::vector<std::string>{"(2)", "(2)", "(2, 2)"});
}

TEST_CASE("an error stays with its call: the others of its batch are computed alone") {
  doubling d;
  int bad = 1;
  SUBCASE("of the one that leads") {}
  SUBCASE("of one that joined") { bad = 3; }
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  all.push_back(d.begin(0));
  REQUIRE(d.entered(1));
  for (int i = 1; i <= 4; ++i) {  // the first that waits leads
    all.push_back(d.begin(i == bad ? 13 : i));
    REQUIRE(d.waits(i));
  }
  d.entrance.open();
  for (int i = 0; i <= 4; ++i) {
    const answer a = all[static_cast<std::size_t>(i)].get();
    CHECK(a.status == (i == bad ? 422 : 200));
    CHECK(a.result == (i == bad ? "[twice] 13 has no double" : cat("[", std::to_string(2 * i), ",2]")));
    CHECK(a.gathered == "");
  }
  CHECK(d.shapes == std::vector<std::string>{"(2)", "(4, 2)", "(2)", "(2)", "(2)", "(2)"});
  CHECK(d.scheduler->waiting() == 0);
  CHECK(d.e->compute.now().free == 2);
}

TEST_CASE("a call whose deadline passes or whose client disconnects while it waits is in no batch") {
  doubling d;
  std::atomic<bool> left{false};
  std::future<answer> gone;
  std::vector<std::future<answer>> all;
  const opens last{d.entrance};
  all.push_back(d.begin(0));
  REQUIRE(d.entered(1));
  serving::request_context client;
  client.gone = [&] { return left.load(); };
  gone = d.begin(R"({"a":[6,6]})", std::move(client));
  REQUIRE(d.waits(1));
  serving::request_context hurried;
  hurried.deadline = serving::request_context::clock::now() + std::chrono::milliseconds(200);
  const answer late = d.begin(R"({"a":[7,7]})", std::move(hurried)).get();
  CHECK(late.status == 504);
  REQUIRE(d.waits(1));
  left = true;
  CHECK(gone.get().status == 503);
  REQUIRE(d.waits(0));
  for (int i = 1; i <= 2; ++i) all.push_back(d.begin(i));
  REQUIRE(d.waits(2));
  d.entrance.open();
  for (int i = 0; i <= 2; ++i)
    CHECK(all[static_cast<std::size_t>(i)].get().result == cat("[", std::to_string(2 * i), ",2]"));
  CHECK(d.shapes == std::vector<std::string>{"(2)", "(2, 2)"});
  CHECK(d.e->compute.now().free == 2);
}

TEST_CASE("on the CPU calls wait for nobody") {
  doubling d("cpu", 64, 2);
  std::future<answer> first, second;
  const opens last{d.entrance};
  first = d.begin(1);
  second = d.begin(2);
  REQUIRE(d.entered(2));
  d.entrance.open();
  CHECK(first.get().result == "[2,2]");
  CHECK(second.get().result == "[4,2]");
}

TEST_CASE("the op says from which rank its calls are stacked") {
  CHECK(serving::endpoint_of(canny_op()).gather.limit == 64);
  CHECK(serving::endpoint_of(canny_op()).gather.least_rank == 3);
  CHECK(serving::endpoint_of(matmul_op()).gather.limit == 0);
}
