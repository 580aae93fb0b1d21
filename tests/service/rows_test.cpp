// Rows of the catalogue that come and go, in several versions, while calls are under way.
#include "v2_testing.hpp"

using namespace testing;

namespace {

// Adds `n` to its input, and answers it as version `version`.
sluice::endpoint plus(float n, std::string version = "1", std::string name = "plus") {
  sluice::endpoint row{
      .name = std::move(name),
      .summary = cat("Adds ", std::to_string(static_cast<int>(n))),
      .inputs = {{.name = "a", .dtypes = {sluice::dtype::f32, sluice::dtype::f64}, .min_rank = 1, .max_rank = 1}},
      .outputs = {{.name = "result", .dtypes = {sluice::dtype::f32}}},
      .run = [n](std::span<const sluice::tensor> in, const sluice::call_context&) {
        sluice::tensor out(in[0].shape(), sluice::dtype::f32);
        auto to = out.view<float, 1>();
        for (std::int64_t i = 0; i < in[0].extent(0); ++i)
          to(i) = n + (in[0].dtype() == sluice::dtype::f32 ? in[0].view<float, 1>()(i)
                                                           : static_cast<float>(in[0].view<double, 1>()(i)));
        return std::vector{out};
      }};
  row.version = std::move(version);
  return row;
}

const std::string one = input("a", "FP32", "[1]", R"("data":[1])");

// What a model makes of 1.
std::string of_one(sluice::service& s, const std::string& model, std::string_view more = "") {
  const auto r = infer(s, model, request(one, more));
  const auto text = r.text();
  const auto at = text.find("\"data\":[");
  return r.status == 200 && at != text.npos ? text.substr(at + 8, text.find(']', at) - at - 8) : text;
}

int count_of(const std::string& text, std::string_view word) {
  int n = 0;
  for (std::size_t at = 0; (at = text.find(word, at)) != text.npos; at += word.size()) ++n;
  return n;
}

// A row whose life can be seen.
struct counted {
  static inline std::atomic<int> alive{0};
  counted() { ++alive; }
  ~counted() { --alive; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
};

}  // namespace

TEST_CASE("rows of one name are its versions, and the highest answers where none is named") {
  sluice::service s;
  s.add(plus(2, "2"));
  s.add(plus(10, "10"));
  s.add(plus(1, "1"));
  CHECK(result(post(s, "plus", R"({"a":[1]})")) == "[11]");
  CHECK(of_one(s, "plus") == "11");
  for (const int v : {1, 2, 10}) {
    const auto path = cat("plus/versions/", std::to_string(v));
    CHECK(of_one(s, path) == std::to_string(1 + v));
    CHECK(infer(s, path, request(one)).text().find(cat(R"("model_version":")", std::to_string(v), "\"")) !=
          std::string::npos);
    CHECK(send(s, "GET", cat("/v2/models/", path, "/ready")).text() == R"({"name":"plus","ready":true})");
    CHECK(send(s, "GET", cat("/v2/models/", path)).text().find(R"("versions":["1","2","10"],"platform":"sluice")") !=
          std::string::npos);
  }
  check_error(infer(s, "plus/versions/3", request(one)), 404, R"(plus has version 1 and 2 and 10, not \"3\")");
  check_error(send(s, "GET", "/v2/models/plus/versions/01"), 404, "plus has version");
  check_error(infer(s, "plus", request(one, R"(,"model_version":"2")")), 400, "of plus, version 10");
  CHECK(of_one(s, "plus/versions/2", R"(,"model_version":"2")") == "3");

  const auto index = send(s, "POST", "/v2/repository/index").text();
  for (const char* v : {"1", "2", "10"})
    CHECK(index.find(cat(R"({"name":"plus","version":")", v, R"(","state":"READY","reason":""})")) != std::string::npos);
  CHECK(count_of(send(s, "GET", "/v2/models").text(), R"("name":"plus",)") == 1);

  CHECK(s.remove("plus", "10"));
  CHECK(of_one(s, "plus") == "3");
  CHECK(s.remove("plus", "2"));
  CHECK_FALSE(s.remove("plus", "2"));
  CHECK(of_one(s, "plus") == "2");
}

TEST_CASE("a dtype's model has the versions that take it") {
  sluice::service s;
  s.add(plus(1, "1"));
  auto narrow = plus(2, "2");
  narrow.inputs[0].dtypes = {sluice::dtype::f32};
  s.add(std::move(narrow));
  CHECK(send(s, "GET", "/v2/models/plus_fp64").text().find(R"("versions":["1"])") != std::string::npos);
  const auto wide = request(input("a", "FP64", "[1]", R"("data":[1])"));
  CHECK(infer(s, "plus_fp64", wide).text().find(R"("model_version":"1")") != std::string::npos);
  CHECK(infer(s, "plus_fp64/versions/1", wide).status == 200);
  check_error(infer(s, "plus_fp64/versions/2", wide), 404, "plus_fp64 has version 1, not");
}

TEST_CASE("figures are those of a version, and go with it") {
  sluice::service s;
  s.add(plus(1, "1"));
  s.add(plus(2, "2"));
  of_one(s, "plus");
  of_one(s, "plus");
  of_one(s, "plus/versions/1");
  const auto count_in = [&](const char* path) {
    const auto text = send(s, "GET", path).text();
    const auto at = text.find(R"("inference_count":)");
    return text.substr(at + 18, text.find(',', at) - at - 18);
  };
  CHECK(count_in("/v2/models/plus/versions/1/stats") == "1");
  CHECK(count_in("/v2/models/plus/versions/2/stats") == "2");
  CHECK(count_in("/v2/models/plus/stats") == "2");
  CHECK(count_of(send(s, "GET", "/v2/models/stats").text(), R"("name":"plus",)") == 2);
  const auto metrics = [&] { return send(s, "GET", "/metrics").text(); };
  for (const char* line : {"\nsluice_requests_total{route=\"plus\",version=\"2\",code=\"200\"} 2\n",
                           "\nsluice_requests_total{route=\"plus\",version=\"1\",code=\"200\"} 1\n"})
    CHECK_MESSAGE(metrics().find(line) != std::string::npos, metrics());
  s.replace(plus(3, "2"));
  of_one(s, "plus");
  CHECK(count_in("/v2/models/plus/stats") == "3");  // counters never step back
  s.remove("plus", "2");
  CHECK(metrics().find("version=\"2\"") == std::string::npos);
  CHECK(metrics().find("route=\"plus\",version=\"1\"") != std::string::npos);
  s.add(plus(4, "2"));
  CHECK(count_in("/v2/models/plus/stats") == "0");
}

TEST_CASE("names that come and go leave nothing behind") {
  sluice::service s;
  for (int i = 0; i < 100; ++i) {
    const auto name = cat("gone_", std::to_string(i));
    s.replace(plus(1, "1", name));
    CHECK(of_one(s, name) == "2");
    CHECK(send(s, "GET", cat("/v1/", name)).status == 405);
    CHECK(s.remove(name));
    CHECK(post(s, name, R"({"a":[1]})").status == 404);
  }
  for (const char* path : {"/metrics", "/v2/models", "/v2/models/stats", "/openapi.json"})
    CHECK(send(s, "GET", path).text().find("gone_") == std::string::npos);
}

TEST_CASE("the document follows rows that are replaced and removed") {
  sluice::service s;
  const auto has = [&](const char* words) {
    return send(s, "GET", "/openapi.json").text().find(words) != std::string::npos;
  };
  s.add(plus(1));
  CHECK(has("Adds 1"));
  s.replace(plus(7));
  CHECK(has("Adds 7"));
  CHECK_FALSE(has("Adds 1"));
  for (const auto& row : s.endpoints()) s.remove(row->name);
  CHECK(s.endpoints().empty());
  CHECK_FALSE(has("plus"));
  CHECK(send(s, "GET", "/openapi.json").status == 200);
  CHECK(send(s, "GET", "/v2/models").text() == R"({"models":[]})");
}

TEST_CASE("no call fails while its row is replaced a thousand times, and old rows are released") {
  bool gathers = false;
  SUBCASE("alone") {}
  SUBCASE("that join others") { gathers = true; }
  sluice::service s({.compute_workers = 2});
  const auto next = [gathers](int n) {
    auto row = plus(static_cast<float>(n));
    if (gathers) {  // calls wait for others in batches of their row's
      row.gather = {.limit = 8, .by = sluice::joining::rows, .on_cpu = true};
      row.estimate = [](auto) {
        sluice::work cost;
        cost.flops = 1e9;  // more than what the connection's thread computes
        return cost;
      };
    }
    row.run = [run = row.run, life = std::make_shared<counted>()](auto in, const auto& c) { return run(in, c); };
    return row;
  };
  s.replace(next(0));
  std::atomic<bool> done{false};
  std::atomic<int> calls{0}, failures{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&, i] {
      while (!done) {
        const bool v2 = i % 2 == 0;
        if ((v2 ? infer(s, "plus", request(one)) : post(s, "plus", R"({"a":[1]})")).status != 200) ++failures;
        ++calls;
      }
    });
  for (int n = 1; n <= 1000; ++n) {
    s.replace(next(n));
    if (n % 10 == 0) {
      const int seen = calls;
      CHECK(eventually([&] { return calls > seen; }));
    }
  }
  done = true;
  for (auto& t : clients) t.join();
  CHECK(failures == 0);
  CHECK(calls >= 100);
  CHECK(of_one(s, "plus") == "1001");
  CHECK(counted::alive == 1);
  s.remove("plus");
  CHECK(counted::alive == 0);
}

TEST_CASE("a call under way is computed by the row that it came to") {
  sluice::service s({.compute_workers = 2});
  gate at;
  auto slow = plus(1);
  slow.run = [&at, run = slow.run](auto in, const auto& c) {
    at.pass();
    return run(in, c);
  };
  s.add(std::move(slow));
  std::string replaced, removed;
  std::thread first([&] { replaced = of_one(s, "plus"); });
  REQUIRE(eventually([&] { return at.entered == 1; }));
  s.replace(plus(2));
  CHECK(of_one(s, "plus") == "3");
  std::thread second([&] { removed = of_one(s, "plus"); });
  second.join();
  CHECK(removed == "3");
  s.remove("plus");
  check_error(infer(s, "plus", request(one)), 404, "no model");
  at.open();
  first.join();
  CHECK(replaced == "2");
  CHECK(send(s, "GET", "/metrics").text().find("route=\"plus\"") == std::string::npos);  // counted late, and gone
}

TEST_CASE("what is no version, or is there, is refused") {
  sluice::service s;
  for (const char* version : {"", "0", "01", "-1", "1.0", "v1", " 1", "1234567890123456789"})
    CHECK_THROWS_WITH_AS(s.add(plus(1, version)), doctest::Contains("a whole number from 1"), sluice::error);
  s.add(plus(1, "123456789012345678"));
  CHECK_THROWS_WITH_AS(s.add(plus(1, "123456789012345678")), doctest::Contains("taken, by version"), sluice::error);
  auto wrong = plus(1);
  wrong.run = nullptr;
  CHECK_THROWS_WITH_AS(s.replace(std::move(wrong)), doctest::Contains("it has no run"), sluice::error);
  CHECK_FALSE(s.remove("nothing"));
  CHECK_FALSE(s.remove("plus", "2"));
}
