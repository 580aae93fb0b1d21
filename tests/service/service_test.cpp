// The service without a transport: routes, .npy, media types, limits, slots, endpoints of an application's own.
#include "service_testing.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

using namespace testing;

namespace {

std::string npy(std::initializer_list<std::initializer_list<float>> rows) {
  return sluice::encode_npy(sluice::tensor::of<float>(rows));
}

sluice::tensor tensor_in(const sluice::response& r) {
  REQUIRE(r.status == 200);
  CHECK(r.header("Content-Type") == "application/x-npy");
  const std::string text = r.text();
  return sluice::decode_npy(std::as_bytes(std::span(text)));
}

std::string both_parts(std::string_view a, std::string_view b) { return part("a", a) + part("b", b) + "--cut--\r\n"; }

// An .npy with any header text.
std::string raw_npy(std::string_view dictionary, std::string_view data = {}) {
  std::string text(dictionary);
  text += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(text.size() & 0xff);
  out += static_cast<char>(text.size() >> 8);
  return out + text + std::string(data);
}

sluice::endpoint scale() {
  return {.name = "scale",
          .summary = "A matrix plus itself, and its row sums",
          .inputs = {{.name = "a", .min_rank = 2, .max_rank = 2}},
          .outputs = {{.name = "twice"}, {.name = "sums"}},
          .run = [](std::span<const sluice::tensor> in, const sluice::call_context& c) {
            auto twice = in[0].clone();
            auto v = twice.view<float, 2>();
            for (std::int64_t i = 0; i < v.extent(0); ++i)
              for (std::int64_t j = 0; j < v.extent(1); ++j) v(i, j) *= 2;
            return std::vector{twice, sluice::rowsum(in[0], c.where)};
          }};
}

constexpr auto product = R"({"a":[[1,2],[3,4]],"b":[[5,6],[7,8]]})";

}  // namespace

TEST_CASE("matmul and rowsum as JSON") {
  sluice::service s;
  const auto r = post(s, "matmul", product, {{"Content-Type", "application/json; charset=utf-8"}});
  CHECK(r.text() == R"({"result":[[19,22],[43,50]],"shape":[2,2],"dtype":"f32","device":"cpu","precision":"strict"})");
  CHECK(r.header("Content-Type") == "application/json");
  CHECK(r.header("X-Sluice-Device") == "cpu");
  CHECK(post(s, "rowsum", R"({"dtype":"f64","a":[[1,2],[3,4]]})").text() ==
        R"({"result":[3,7],"shape":[2],"dtype":"f64","device":"cpu"})");
  CHECK(result(post(s, "rowsum", R"({"a":[1,2]})")) == "3");
  CHECK(result(post(s, "matmul", R"({"a":[[[1,2]],[[3,4]]],"b":[[1],[1]]})")) == "[[[3]],[[7]]]");
}

TEST_CASE("matmul and rowsum as .npy") {
  sluice::service s;
  const auto a = npy({{1, 2}, {3, 4}}), b = npy({{5, 6}, {7, 8}});
  const auto sums = tensor_in(post(s, "rowsum", a, npy_type));
  CHECK(sums.shape() == sluice::shape{2});
  CHECK(sums.view<float, 1>()(1) == 7);
  const auto c = tensor_in(post(s, "matmul", both_parts(a, b), multipart_type));
  CHECK(c.shape() == sluice::shape{2, 2});
  CHECK(c.view<float, 2>()(1, 0) == 43);
  const auto swapped = part("b", b) + part("a", a) + "--cut--";
  CHECK(tensor_in(post(s, "matmul", swapped, multipart_type)).view<float, 2>()(1, 0) == 43);
  CHECK(tensor_in(post(s, "rowsum", part("a", a) + "--cut--", multipart_type)).view<float, 1>()(0) == 3);
  // A Fortran-ordered input, and one of integers.
  const auto fortran = raw_npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "\1\2\3\4\5\6");
  CHECK(result(post(s, "rowsum", fortran, {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}})) ==
        "[9,12]");
}

TEST_CASE("the answer's form is negotiated") {
  sluice::service s;
  const auto form = [&](std::string_view accept) {
    return std::string(post(s, "matmul", product, {{"Content-Type", "application/json"}, {"Accept", std::string(accept)}})
                           .header("Content-Type"));
  };
  for (const char* accept : {"", "*/*", "application/json", "application/*", "text/html, */*;q=0.1",
                             "application/x-npy;q=0.5, application/json", "application/x-npy;q=0, */*", "APPLICATION/JSON"})
    CHECK_MESSAGE(form(accept) == "application/json", accept);
  for (const char* accept : {"application/x-npy", "application/json;q=0.5, application/x-npy",
                             "application/x-npy, */*;q=0.1", "application/json;q=0,*/*"})
    CHECK_MESSAGE(form(accept) == "application/x-npy", accept);
  for (const char* accept : {"text/html", "application/json;q=0", "image/*", "nonsense"})
    CHECK_MESSAGE(post(s, "matmul", product, {{"Accept", accept}}).status == 406, accept);
  const auto not_finite = R"({"a":[[3e38,3e38]]})";
  CHECK(post(s, "rowsum", not_finite).status == 422);
  CHECK(tensor_in(post(s, "rowsum", not_finite, {{"Accept", "application/x-npy"}})).count() == 1);
}

TEST_CASE("types of bodies that are not taken: 415") {
  sluice::service s;
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "application/jsonx"}) {
    check_problem(post(s, "matmul", product, {{"Content-Type", type}}), 415, type);
    check_problem(post(s, "rowsum", product, {{"Content-Type", type}}), 415, "application/x-npy");
  }
  check_problem(post(s, "matmul", npy({{1}}), npy_type), 415, "each of its 2 inputs");
  check_problem(post(s, "matmul", "x", {{"Content-Type", "multipart/form-data"}}), 400, "boundary of 0");
  check_problem(post(s, "matmul", "x", {{"Content-Type", cat("multipart/form-data; boundary=", std::string(71, 'x'))}}), 400,
                "boundary of 71");
}

TEST_CASE("routes and methods") {
  sluice::service s;
  CHECK(send(s, "GET", "/health/live").text() == R"({"live":true})");
  CHECK(send(s, "GET", "/health/ready")
            .text()
            .starts_with(R"({"ready":true,"degraded":false,"devices":{"cpu":{"healthy":true})"));
  const auto devices = send(s, "GET", "/v1/devices").text();
  CHECK(devices.starts_with(R"({"devices":[{"device":"cpu","description":")"));
  CHECK(devices.find("\"refusals\":[") != devices.npos);
  CHECK(send(s, "HEAD", "/health/live").status == 200);
  for (const char* path :
       {"", "/", "/v1", "/v1/", "/v1/nothing", "/v1/matmul/", "/v2x", "/health", "/metrics/x", "v1/matmul", "/v1/\xff"})
    check_problem(send(s, "POST", path), 404, "nothing is served at");
  for (const char* method : {"GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"}) {
    const auto r = send(s, method, "/v1/matmul");
    check_problem(r, 405, method);
    CHECK(r.header("Allow") == "POST");
  }
  for (const char* path : {"/v1/devices", "/health/live", "/health/ready", "/metrics"}) {
    const auto r = send(s, "POST", path, "{}");
    check_problem(r, 405, "GET, HEAD");
    CHECK(r.header("Allow") == "GET, HEAD");
  }
}

TEST_CASE("metrics count what was answered") {
  sluice::service s;
  post(s, "matmul", product);
  post(s, "matmul", product);
  post(s, "matmul", "");
  send(s, "GET", "/v1/no\nthing");
  const auto r = send(s, "GET", "/metrics");
  const auto text = r.text();
  CHECK(r.header("Content-Type").starts_with("text/plain; version=0.0.4"));
  for (const char* line :
       {"\nsluice_requests_total{route=\"matmul\",version=\"1\",code=\"200\"} 2\n",
        "\nsluice_requests_total{route=\"matmul\",version=\"1\",code=\"400\"} 1\n",
        "\nsluice_requests_total{route=\"none\",code=\"404\"} 1\n",
        "\nsluice_request_seconds_count{route=\"matmul\",version=\"1\"} 3\n",
        "\nsluice_request_seconds_bucket{route=\"matmul\",version=\"1\",le=\"+Inf\"} 3\n",
        "\nsluice_compute_queue_length 0\n", "\nsluice_device_healthy{device=\"cpu\"} 1\n",
        "\nsluice_rejections_total{reason=\"malformed\"} 1\n", "\nsluice_rejections_total{reason=\"not_found\"} 1\n",
        "\nsluice_placement_decisions_total{op=\"matmul\",version=\"1\",device=\"cpu\",why=\"operands_there\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"read\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"queue\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"decode\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"compute\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"encode\"} 2\n",
        "\nsluice_stage_seconds_count{route=\"matmul\",version=\"1\",stage=\"write\"} 2\n",
        "\nsluice_request_bytes_total{route=\"matmul\",version=\"1\"} 74\n"})
    CHECK_MESSAGE(text.find(line) != text.npos, line);
  CHECK(text.find("thing") == text.npos);
  CHECK(text.back() == '\n');
}

TEST_CASE(".npy that is none, or not what it claims") {
  sluice::service s;
  const auto refuse = [&](const std::string& body, int status, std::string_view words) {
    check_problem(post(s, "rowsum", body, npy_type), status, words);
    if (body.size() > 20'000) return;
    check_problem(post(s, "rowsum", part("a", body) + "--cut--", multipart_type), status, "");
  };
  const auto good = npy({{1, 2}, {3, 4}});
  refuse("", 400, "[npy]");
  refuse("hello", 400, "[npy]");
  for (const std::size_t n : {1u, 6u, 9u, 20u, 127u}) refuse(good.substr(0, n), 400, "[npy]");
  refuse(good.substr(0, good.size() - 1), 400, "it should have 144");
  refuse(good + "x", 400, "it should have 144");
  refuse(raw_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "12345678"), 422, "[npy]");
  refuse(raw_npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "123"), 400, "4 bytes each");
  refuse(raw_npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "12345678"), 422, "[npy]");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", "1234"), 422,
         "at most 8 dimensions");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "1234"), 400, "[npy]");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,), }", "1234"), 400, "[npy]");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "1234"), 400, "[npy]");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", "1234"), 413,
         "1000000000000 elements");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4000000,), }", "1234"), 400, "16000");
  refuse(raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,), }", "1234"), 400, "[npy]");
  std::string huge("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
  refuse(huge + std::string(200'000, ' '), 400, "[npy]");
  check_problem(post(s, "matmul", both_parts(good, npy({{1, 2, 3}})), multipart_type), 422,
                "a.extent(1) must equal b.extent(0)");
  check_problem(post(s, "rowsum", raw_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "1234"), npy_type), 422,
                "of rank 0");
  const auto integers = sluice::encode_npy(sluice::tensor::of<std::int64_t>({{1}}));
  check_problem(post(s, "matmul", both_parts(integers, integers), multipart_type), 422,
                "a is of i64: f32, f64, f16, bf16 is taken");
}

TEST_CASE("an endpoint of the application's own, added while serving") {
  sluice::service s;
  const auto before = s.endpoints().size();
  CHECK(post(s, "scale", R"({"a":[[1,2]]})").status == 404);
  s.add(scale());
  CHECK(
      post(s, "scale", R"({"a":[[1,2]]})").text() ==
      R"({"twice":{"data":[[2,4]],"shape":[1,2],"dtype":"f32"},"sums":{"data":[3],"shape":[1],"dtype":"f32"},"device":"cpu"})");
  check_problem(post(s, "scale", R"({"a":[[1,2]]})", {{"Accept", "application/x-npy"}}), 406, "application/json");
  CHECK(s.endpoints().size() == before + 1);
  CHECK(s.endpoints().back()->summary == "A matrix plus itself, and its row sums");
}

TEST_CASE("rows that the catalogue does not take") {
  sluice::service s;
  const auto before = s.endpoints().size();
  const auto refused = [&](auto change) {
    auto row = scale();
    change(row);
    CHECK_THROWS_AS(s.add(std::move(row)), sluice::error);
  };
  for (const char* name : {"", "a b", "a/b", "devices", "matmul", "\xc3\xa4", "a\"b"})
    refused([&](auto& r) { r.name = name; });
  refused([](auto& r) { r.name = std::string(65, 'x'); });
  refused([](auto& r) { r.inputs.clear(); });
  refused([](auto& r) { r.outputs.clear(); });
  refused([](auto& r) { r.run = nullptr; });
  refused([](auto& r) { r.inputs[0].name = "dtype"; });
  refused([](auto& r) { r.inputs[0].name = ""; });
  refused([](auto& r) { r.inputs.push_back(r.inputs[0]); });
  refused([](auto& r) { r.outputs[0].name = "shape"; });
  refused([](auto& r) { r.inputs[0].usual_rank = 3; });
  refused([](auto& r) { r.inputs[0].dtypes.clear(); });
  refused([](auto& r) { r.inputs[0].max_rank = 9; });
  refused([](auto& r) { r.inputs[0].min_rank = 3; });
  CHECK(s.endpoints().size() == before);
}

TEST_CASE("what an endpoint throws becomes an answer") {
  using sluice::error_code;
  sluice::service s;
  auto row = scale();
  row.outputs.pop_back();
  static std::function<std::vector<sluice::tensor>()> behaviour;
  row.run = [](std::span<const sluice::tensor>, const sluice::call_context&) { return behaviour(); };
  s.add(row);
  const auto answers = [&](auto thrown, int status, std::string_view words) {
    behaviour = [thrown]() -> std::vector<sluice::tensor> { throw thrown; };
    check_problem(post(s, "scale", R"({"a":[[1]]})"), status, words);
  };
  answers(sluice::error(error_code::invalid_argument, "\"no\"\n\xff"), 422, R"(\"no\"\u000a\ufffd)");
  answers(sluice::error(error_code::malformed, "x"), 400, "\"malformed\"");
  answers(sluice::error(error_code::limit_exceeded, "x"), 413, "limit_exceeded");
  answers(sluice::error(error_code::unsupported, "x"), 501, "unsupported");
  answers(sluice::error(error_code::io, "x"), 500, "io");
  answers(sluice::error(error_code::device_lost, "x"), 503, "device_lost");
  answers(std::bad_alloc(), 503, "out_of_memory");
  answers(std::runtime_error("the password is x"), 500, "the endpoint failed");
  answers(7, 500, "the endpoint failed");
  behaviour = [] { return std::vector<sluice::tensor>{}; };
  check_problem(post(s, "scale", R"({"a":[[1]]})"), 500, "returned 0 results: it must return 1");
}

TEST_CASE("bodies that are read in pieces") {
  sluice::service_options o;
  o.limits.body_bytes = 4'000'000;
  sluice::service s(o);
  const auto big = sluice::encode_npy(sluice::tensor::full({1000, 700}, 1));
  const auto read = [&](std::string_view body, std::int64_t announced, std::size_t available, bool whole = true) {
    std::size_t given = 0;
    auto r = s.handle(
        {.method = "POST",
         .path = "/v1/rowsum",
         .header = [](std::string_view n) { return n == "Content-Type" ? std::string_view("application/x-npy") : ""; },
         .read_body =
             [&](const sluice::body_receiver& take) {
               for (; given < available; given += std::min<std::size_t>(4096, available - given))
                 if (!take(body.substr(given, std::min<std::size_t>(4096, available - given)))) return false;
               return whole;
             },
         .content_length = announced});
    return std::pair{std::move(r), given};
  };
  for (const std::int64_t announced : {static_cast<std::int64_t>(big.size()), std::int64_t{-1}, std::int64_t{10}}) {
    const auto [r, given] = read(big, announced, big.size());
    CHECK(tensor_in(r).view<float, 1>()(999) == 700);
    CHECK(given == big.size());
  }
  const auto [cut, some] = read(big, static_cast<std::int64_t>(big.size()), 100'000, false);
  check_problem(cut, 400, "after 100000 bytes");
  const auto [large, none] = read(big, 4'000'001, big.size());
  check_problem(large, 413, "4000001 bytes: at most 4000000");
  CHECK(none == 0);
  const std::string endless(10'000'000, 'x');
  const auto [more, taken] = read(endless, -1, endless.size());
  check_problem(more, 413, "more than 4000000 bytes");
  CHECK(taken < 4'010'000);
}

TEST_CASE("many threads, one service") {
  sluice::service s;
  const auto before = s.endpoints().size();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const auto n = std::to_string(t * 1000 + i);
        wrong += result(post(s, "rowsum", cat("{\"a\":[[", n, ",1]]}"))) != cat("[", std::to_string(t * 1000 + i + 1), "]");
        if (i % 50 == 0 && t == 0) {
          auto row = scale();
          row.name = cat("scale", n);
          s.add(std::move(row));
        }
      }
    });
  for (auto& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(s.endpoints().size() == before + 4);
}

TEST_CASE("options that cannot be") {
  const auto refused = [](auto change) {
    sluice::service_options o;
    change(o);
    CHECK_THROWS_AS(sluice::service{o}, sluice::error);
  };
  refused([](auto& o) { o.limits.body_bytes = 0; });
  refused([](auto& o) { o.limits.elements = 0; });
  refused([](auto& o) { o.limits.rank = 9; });
  refused([](auto& o) { o.compute_workers = -1; });
  refused([](auto& o) { o.queue_length = -1; });
  refused([](auto& o) { o.inline_bytes = -2; });
  refused([](auto& o) { o.compute_nice = 20; });
}
