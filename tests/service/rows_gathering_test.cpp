// Calls of several rows that wait run as one, on a device and on the CPU; inputs are prepared and results finished a call.
#include <doctest/doctest.h>

#include <future>
#include <random>

#include "execution/executor.hpp"
#include "execution/gathering_scheduler.hpp"
#include "http/http_error.hpp"
#include "service_testing.hpp"

using namespace sluice;
using namespace testing;

namespace {

constexpr auto never = std::chrono::steady_clock::time_point::max();
using floats = std::vector<float>;

tensor rows_of(const floats& values) {
  tensor t({static_cast<std::int64_t>(values.size()), 1});
  std::copy(values.begin(), values.end(), static_cast<float*>(t.data()));
  return t;
}

floats values_of(const tensor& t) {
  const tensor from = t.to(device::cpu).contiguous();
  const auto* first = static_cast<const float*>(from.data());
  return {first, first + from.count()};
}

struct answer {
  int status = 200;
  floats values{};
  int gathered = 0;
  std::string error{};
};

struct asked {
  std::uint64_t priority = 0;
  double parameter = 0;
  std::chrono::steady_clock::time_point deadline = never;
};

// An endpoint of twice its rows, which refuses 13. Its run waits at a gate.
struct doubling {
  explicit doubling(std::string where = "fake:0", int workers = 2, std::int64_t limit = 4, bool has_gate = true) {
    service_options o{.device = require(where)};
    o.compute_workers = workers;
    o.queue_length = 64;
    auto gathers = std::make_unique<serving::gathering_scheduler>();
    scheduler = gathers.get();
    e = std::make_unique<serving::executor>(o, std::move(gathers));
    row.name = "twice";
    row.inputs = {{.name = "a"}};
    row.outputs = {{.name = "result"}};
    row.run = [this](std::span<const tensor> in, const call_context& c) { return run(in[0], c); };
    row.estimate = [where](std::span<const tensor> in) {
      work w{.operation = "twice", .result_bytes = static_cast<std::int64_t>(in[0].bytes())};
      w.add_measured(where, 1);
      return w;
    };
    row.gather = {.limit = limit, .by = joining::rows, .on_cpu = true};
    if (!has_gate) entrance.open();
  }
  ~doubling() { entrance.open(); }

  std::vector<tensor> run(const tensor& a, const call_context& c) {
    {
      const std::lock_guard lock(mutex);
      runs.push_back(values_of(a));
    }
    entrance.pass();
    floats values = values_of(a);
    for (float& v : values) {
      if (v == 13) throw error(error_code::invalid_argument, "[twice] 13 has no double");
      v *= 2;
    }
    return {rows_of(values).to(c.where)};
  }

  answer call(const floats& values, asked as = {}, const endpoint* other = nullptr) try {
    const endpoint& called = other != nullptr ? *other : row;
    serving::request_context with;
    with.deadline = as.deadline;
    serving::call c(called, with, e->options);
    c.context.priority = as.priority;
    const std::array parameters{as.parameter};
    if (as.parameter != 0) c.context.parameters = parameters;
    answer a;
    e->run(c, [&] {
      c.take({rows_of(values)});
      const auto done = e->submit(c);
      a.values = values_of(done.results[0]);
      a.gathered = done.where.gathered;
      return response{};
    });
    return a;
  } catch (const serving::http_error& refused) {
    return {.status = refused.status, .error = refused.detail};
  } catch (const error& failed) {
    return {.status = status_of(failed.code()), .error = failed.what()};
  }
  std::future<answer> begin(floats values, asked as = {}, const endpoint* other = nullptr) {
    return std::async(std::launch::async, [=, this] { return call(values, as, other); });
  }
  // Begins them one after the other, behind one that is at the gate.
  std::vector<std::future<answer>> begin_behind_one(const std::vector<floats>& calls) {
    std::vector<std::future<answer>> all;
    all.push_back(begin({0}));
    REQUIRE(eventually([&] { return entrance.entered == 1; }));
    for (const auto& values : calls) {
      all.push_back(begin(values));
      REQUIRE(wait_for(static_cast<int>(all.size()) - 1));
    }
    return all;
  }
  // For a worker, or for others.
  bool wait_for(int calls) {
    return eventually([&] { return e->compute.now().waiting + scheduler->waiting() == calls; });
  }

  std::unique_ptr<serving::executor> e;
  serving::gathering_scheduler* scheduler;
  endpoint row;
  gate entrance;
  std::mutex mutex;
  std::vector<floats> runs;
};

floats twice(floats values) {
  for (float& v : values) v *= 2;
  return values;
}

}  // namespace

TEST_CASE("calls of different rows that wait run as one, and each gets its own") {
  std::string where = "fake:0";
  int workers = 2;
  SUBCASE("on a device") {}
  SUBCASE("on the CPU, for its only worker") { where = "cpu", workers = 1; }
  doubling d(where, workers);
  auto all = d.begin_behind_one({{1}, {2, 3}, {4}, {5, 6}});
  d.entrance.open();
  CHECK(all[0].get().gathered == 1);
  const std::vector<floats> inputs{{1}, {2, 3}, {4}, {5, 6}};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto a = all[i + 1].get();
    CHECK(a.values == twice(inputs[i]));
    CHECK(a.gathered == (i < 3 ? 3 : 1));
  }
  CHECK(d.runs == std::vector<floats>{{0}, {1, 2, 3, 4}, {5, 6}});
  CHECK(d.scheduler->waiting() == 0);
  CHECK(d.e->compute.now().free == workers);
  const auto text = d.e->metrics->text(d.e->compute, workers, {});
  CHECK(text.find(cat("sluice_batch_rows_sum{op=\"twice\",version=\"1\",device=\"", where, "\"} 7\n")) != std::string::npos);
  CHECK(text.find(cat("sluice_batch_rows_count{op=\"twice\",version=\"1\",device=\"", where, "\"} 3\n")) !=
        std::string::npos);
}

TEST_CASE("on the CPU a call that finds a worker free waits for nobody") {
  doubling d("cpu", 3);
  std::vector<std::future<answer>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(d.begin({static_cast<float>(i)}));
    REQUIRE(eventually([&] { return d.entrance.entered == i + 1; }));
  }
  d.entrance.open();
  for (int i = 0; i < 3; ++i) CHECK(all[static_cast<std::size_t>(i)].get().gathered == 1);
}

TEST_CASE("on the CPU nothing waits where the measured times say that it does not pay") {
  doubling d("cpu", 1);
  d.row.gather.seconds = [](const device&, std::int64_t rows) { return static_cast<double>(rows); };
  auto all = d.begin_behind_one({{1}, {2}, {3}});
  d.entrance.open();
  for (auto& one : all) CHECK(one.get().gathered == 1);
  CHECK(d.runs == std::vector<floats>{{0}, {1}, {2}, {3}});
}

TEST_CASE("a second measured batch of half of the rows begins while the first of a device is computed, and no third") {
  doubling d("fake:0", 4, 16);
  d.row.gather.seconds = [](const device&, std::int64_t rows) { return 1e-3 * (10 + 0.1 * static_cast<double>(rows)); };
  auto all = d.begin_behind_one({});
  all.push_back(d.begin({1, 2, 3}));  // 3 of 4 rows
  REQUIRE(eventually([&] { return d.entrance.entered == 2; }));
  for (const float i : {4.0F, 5.0F, 6.0F}) {
    all.push_back(d.begin({i}));
    REQUIRE(d.wait_for(static_cast<int>(all.size()) - 2));
  }
  CHECK(d.entrance.entered == 2);
  d.entrance.open();
  for (auto& one : all) CHECK(one.get().status == 200);
  REQUIRE(d.runs.size() == 3);
  CHECK(d.runs[1] == floats{1, 2, 3});
  CHECK(d.runs[2] == floats{4, 5, 6});
}

TEST_CASE("a call of more rows than a batch may have is split; its parts join others in order") {
  doubling d;
  auto all = d.begin_behind_one({{1, 2}, {3, 4, 5, 6, 7, 8, 9}, {10}, {11}});
  d.entrance.open();
  for (std::size_t i = 0; i < 5; ++i)
    CHECK(all[i].get().values == twice(std::vector<floats>{{0}, {1, 2}, {3, 4, 5, 6, 7, 8, 9}, {10}, {11}}[i]));
  CHECK(d.runs == std::vector<floats>{{0}, {1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11}});
}

TEST_CASE("a call of more rows than a batch may have is complete or an error, wherever it runs") {
  std::string where = "fake:0";
  SUBCASE("on a device") {}
  SUBCASE("on the CPU") { where = "cpu"; }
  doubling d(where, 2, 4, false);
  CHECK(d.call({1, 2, 3, 4, 5, 6, 7, 8, 9}).values == twice({1, 2, 3, 4, 5, 6, 7, 8, 9}));
  CHECK(d.runs.size() == 3);
  const auto bad = d.call({1, 2, 3, 4, 5, 13});
  CHECK(bad.status == 422);
  CHECK(bad.error == "[twice] 13 has no double");
  d.row.gather.on_cpu = false;  // alone
  CHECK(d.call({1, 2, 3, 4, 5}).values == twice({1, 2, 3, 4, 5}));
  for (const auto& run : d.runs) CHECK(run.size() <= 4);
}

TEST_CASE("of 31 good calls and one whose run throws only that fails") {
  std::string where = "fake:0";
  int workers = 2;
  SUBCASE("on a device") {}
  SUBCASE("on the CPU") { where = "cpu", workers = 1; }
  doubling d(where, workers, 32);
  std::vector<floats> calls;
  for (int i = 0; i < 32; ++i) calls.push_back({static_cast<float>(i == 20 ? 13 : 100 + i)});
  auto all = d.begin_behind_one(calls);
  d.entrance.open();
  for (std::size_t i = 0; i < 32; ++i) {
    const auto a = all[i + 1].get();
    CHECK(a.status == (i == 20 ? 422 : 200));
    if (i != 20) CHECK(a.values == twice(calls[i]));
  }
  CHECK(d.runs[1].size() == 32);
  CHECK(d.scheduler->waiting() == 0);
}

TEST_CASE("endpoints with the same rule join, whatever their parameters") {
  doubling d;
  d.row.gather.same = std::make_shared<int>(1);
  endpoint other = d.row, third = d.row;
  other.name = "other";
  third.gather.same = nullptr;
  std::vector<std::future<answer>> all;
  all.push_back(d.begin({0}));
  REQUIRE(eventually([&] { return d.entrance.entered == 1; }));
  all.push_back(d.begin({1}, {.parameter = 1}));
  REQUIRE(d.wait_for(1));
  all.push_back(d.begin({2}, {.parameter = 2}, &other));
  REQUIRE(d.wait_for(2));
  all.push_back(d.begin({3}, {}, &third));  // of its own kind: begins at once
  REQUIRE(eventually([&] { return d.entrance.entered == 2; }));
  d.entrance.open();
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].get().values == floats{2 * static_cast<float>(i)});
  CHECK(d.runs == std::vector<floats>{{0}, {3}, {1, 2}});
}

TEST_CASE("a higher priority joins first") {
  doubling d("fake:0", 8, 2);
  std::vector<std::future<answer>> all;
  all.push_back(d.begin({0}));
  REQUIRE(eventually([&] { return d.entrance.entered == 1; }));
  for (const auto& [value, priority] : {std::pair{1, 3}, {2, 0}, {3, 2}, {4, 1}}) {
    all.push_back(d.begin({static_cast<float>(value)}, {.priority = static_cast<std::uint64_t>(priority)}));
    REQUIRE(d.wait_for(value));
  }
  d.entrance.open();
  for (auto& one : all) CHECK(one.get().status == 200);
  CHECK(d.runs == std::vector<floats>{{0}, {4, 2}, {3, 1}});
}

TEST_CASE("a call whose deadline passes while a part of it runs is answered when that ends, and the rest is dropped") {
  doubling d;
  auto all = d.begin_behind_one({});
  const asked hurried{.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(50)};
  CHECK(d.call({1, 2, 3, 4, 5}, hurried).status == 504);
  d.entrance.open();
  CHECK(all[0].get().status == 200);
  CHECK(d.runs == std::vector<floats>{{0}});
}

TEST_CASE("inputs are prepared once a call, before they join, and each call's results are finished") {
  doubling d;
  std::atomic<int> prepared{0}, finished{0};
  d.row.prepare = [&](std::vector<tensor> in, const call_context&) {
    ++prepared;
    auto values = values_of(in[0]);
    if (values[0] == 7) throw error(error_code::malformed, "[twice] 7 is no picture");
    for (float& v : values) v += 100;
    return std::vector{rows_of(values)};
  };
  d.row.finish = [&](std::vector<tensor> results, const call_context& c) {
    ++finished;
    auto values = values_of(results[0]);
    values.resize(1);
    if (!c.parameters.empty()) values[0] = static_cast<float>(c.parameters[0]);
    return std::vector{rows_of(values)};
  };
  d.row.results = [](std::span<const tensor>) { return std::vector{operand_spec{dtype::f32, {1, 1}}}; };
  auto all = d.begin_behind_one({{1, 2}, {3, 4}});
  CHECK(d.call({7}).error == "[twice] 7 is no picture");
  d.entrance.open();
  CHECK(all[0].get().values == floats{200});
  CHECK(all[1].get().values == floats{202});
  CHECK(all[2].get().values == floats{206});
  CHECK(d.runs == std::vector<floats>{{100}, {101, 102, 103, 104}});
  CHECK(prepared == 4);
  CHECK(finished == 3);
  CHECK(d.call({1}, {.parameter = 9}).values == floats{9});
}

TEST_CASE("limits hold for prepared inputs, and for what is answered") {
  doubling d("cpu", 2, 4, false);
  const auto most = d.e->options.limits.elements;
  d.row.prepare = [&](std::vector<tensor>, const call_context&) {
    return std::vector{tensor::zeros({1, 1}).broadcast_to({most + 1, 1})};
  };
  CHECK(d.call({1}).status == 413);
  CHECK(d.runs.empty());
  d.row.prepare = nullptr;
  d.row.finish = [](std::vector<tensor>, const call_context&) { return std::vector<tensor>(); };
  CHECK(d.call({1}).status == 500);
  d.row.finish = [](std::vector<tensor> r, const call_context&) { return r; };
  CHECK(d.call({1}).values == floats{2});
  CHECK(d.e->answers->used() == 0);
}

TEST_CASE("each of many random calls has its own rows doubled, whoever its neighbours are") {
  std::string where = "fake:0";
  SUBCASE("on a device") {}
  SUBCASE("on the CPU") { where = "cpu"; }
  doubling d(where, 3, 8, false);
  if (where == "cpu")
    d.row.gather.seconds = [](const device&, std::int64_t rows) { return 1e-3 * (1 + 0.1 * static_cast<double>(rows)); };
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t)
    callers.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 100; ++i) {
        floats values(1 + random() % 12);
        for (float& v : values) v = static_cast<float>(random() % 50);
        asked as{.priority = random() % 4};
        if (random() % 16 == 0) as.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
        const auto a = d.call(values, as);
        const bool bad = std::find(values.begin(), values.end(), 13.0F) != values.end();
        const bool right = a.status == 200 ? !bad && a.values == twice(values)
                                           : (a.status == 422 && bad) || (a.status == 504 && as.deadline != never);
        if (!right) ++wrong;
      }
    });
  for (auto& c : callers) c.join();
  CHECK(wrong == 0);
  CHECK(d.scheduler->waiting() == 0);
  CHECK(d.e->compute.now().free == 3);
  CHECK(d.e->answers->used() == 0);
}
