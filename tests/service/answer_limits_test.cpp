// Results and answers have limits: a small request cannot ask for much memory, nor hold what it is sent.
#include <atomic>

#include "rowsum_stream_testing.hpp"
#include "sluice/ops/all.hpp"
#include "v2_testing.hpp"

using namespace testing;
using sluice::dtype;
using sluice::shape;

namespace {

std::string npy(const shape& extents, dtype type = dtype::f32) {
  const auto count = static_cast<std::size_t>(extents.count());
  return sluice::npy_header_bytes(type, extents) + std::string(count * sluice::size_of(type), '\0');
}

std::string parts(const shape& a, const shape& b) { return cat(part("a", npy(a)), part("b", npy(b)), "--cut--\r\n"); }

std::string v2_inputs(std::string_view a, std::string_view b, std::string_view rest) {
  return cat(input("a", "FP32", a, rest), ",", input("b", "FP32", b, rest));
}

const headers parts_as_json{multipart_type[0], {"Accept", "application/json"}};
const headers npy_as_json{npy_type[0], {"Accept", "application/json"}};

// The product of (n, 0) and (0, n), which no bytes of the request pay for, in every form of a request and of an answer.
template <class F>
void each_way(std::int64_t n, F answered) {
  const std::string a = cat("[", std::to_string(n), ",0]"), b = cat("[0,", std::to_string(n), "]");
  const auto json = request(v2_inputs(a, b, R"("data":[])"));
  const auto binary = request(v2_inputs(a, b, R"("parameters":{"binary_data_size":0})"));
  const auto binary_out = request(v2_inputs(a, b, R"("data":[])"), R"(,"parameters":{"binary_data_output":true})");
  answered("parts", [=](sluice::service& s) { return post(s, "matmul", parts({n, 0}, {0, n}), multipart_type); });
  answered("parts as JSON", [=](sluice::service& s) { return post(s, "matmul", parts({n, 0}, {0, n}), parts_as_json); });
  answered("v2 JSON", [=](sluice::service& s) { return infer(s, "matmul", json); });
  answered("v2 binary in, JSON out", [=](sluice::service& s) { return infer_binary(s, "matmul", binary, ""); });
  answered("v2 binary out", [=](sluice::service& s) { return infer(s, "matmul", binary_out); });
}

// An endpoint whose result is as many zeros as the input's first element says, in memory for one of them.
sluice::endpoint zeros(std::atomic<int>& runs) {
  return {.name = "zeros",
          .inputs = {{.name = "a", .dtypes = {dtype::i64}}},
          .outputs = {{.name = "result"}},
          .run = [&runs](std::span<const sluice::tensor> in, const sluice::call_context&) {
            ++runs;
            const auto n = *static_cast<const std::int64_t*>(in[0].data());
            return std::vector{sluice::tensor::zeros({1}).broadcast_to({n})};
          }};
}

}  // namespace

TEST_CASE("the result's size is known from shapes, and refused before anything is computed") {
  sluice::service s;  // at the defaults
  const std::string much =
      "result f32 (20000, 20000) has 400000000 elements, 1600000000 bytes: a result has at most "
      "16777216 elements, and all of a call 67108864 bytes";
  each_way(20'000, [&](const char* way, auto ask) {
    CAPTURE(way);
    const auto r = ask(s);
    CHECK(r.status == 413);
    CHECK_MESSAGE(r.text().find(much) != std::string::npos, r.text());
  });
  const auto ones = [](int n, bool rows) {
    const auto one = [&](int) { return std::string(rows ? "[1]" : "1"); };
    return rows ? list(n, one) : cat("[", list(n, one), "]");
  };
  check_problem(post(s, "matmul", cat("{\"a\":", ones(60'000, true), ",\"b\":", ones(60'000, false), "}")), 413,
                "(60000, 60000) has 3600000000 elements");
  check_problem(post(s, "rowsum", npy({100'000'000, 0}), npy_type), 413, "result f32 (100000000) has 100000000 elements");
  check_problem(post(s, "rowsum", npy({100'000'000, 0}), npy_as_json), 413, "100000000 elements");
  // By broadcasting.
  const auto batches = parts({4000, 1, 8, 0}, {1, 4000, 0, 8});
  check_problem(post(s, "matmul", batches, multipart_type), 413, "(4000, 4000, 8, 8) has 1024000000 elements");
  // As large as it may be.
  CHECK(post(s, "matmul", parts({4096, 0}, {0, 4096}), multipart_type).size() == (64 << 20) + 128);
  check_problem(post(s, "matmul", parts({4097, 0}, {0, 4096}), multipart_type), 413, "16781312 elements");
  const auto eight = cat(part("a", npy({4096, 0}, dtype::f64)), part("b", npy({0, 4096}, dtype::f64)), "--cut--\r\n");
  check_problem(post(s, "matmul", eight, multipart_type), 413,
                "result f64 (4096, 4096) has 134217728 bytes: the results of a call have at most 67108864");
}

TEST_CASE("limits of results are options") {
  sluice::service_options o;
  o.limits.elements = 100;
  o.limits.result_bytes = 256;
  sluice::service s(o);
  each_way(8, [&](const char* way, auto ask) {
    CAPTURE(way);
    CHECK(ask(s).status == 200);
  });
  each_way(9, [&](const char* way, auto ask) {
    CAPTURE(way);
    CHECK(ask(s).status == 413);
  });
  o.limits.result_bytes = 0;
  CHECK_THROWS_AS(sluice::service{o}, sluice::error);
  o.limits.result_bytes = 1 << 20;
  o.limits.all_answers_bytes = (2 << 20) - 1;
  CHECK_THROWS_WITH(sluice::service{o}, doctest::Contains("at least twice limits.result_bytes, which is 1048576"));
  ++o.limits.all_answers_bytes;
  CHECK(sluice::service{o}.options().limits.all_answers_bytes == 2 << 20);
}

TEST_CASE("an application's endpoint: by its results, by its estimate, or when they are there") {
  std::atomic<int> runs{0};
  const auto refused = [&](const sluice::endpoint& row, std::string_view words, int after_runs) {
    sluice::service s;
    s.add(row);
    runs = 0;
    CHECK(result(post(s, "zeros", R"({"a":[3]})")) == "[0,0,0]");
    CHECK(runs == 1);
    for (const char* body : {R"({"a":[17000000]})", R"({"a":[4000000000000]})"}) {
      runs = 0;
      check_problem(post(s, "zeros", body), 413, words);
      check_problem(post(s, "zeros", body, {{"Accept", "application/x-npy"}}), 413, words);
      const auto data = cat("\"data\":", std::string_view(body).substr(5, std::string_view(body).size() - 6));
      check_error(infer(s, "zeros", request(input("a", "INT64", "[1]", data))), 413, words);
      CHECK(runs == 3 * after_runs);
    }
  };
  const auto first = [](std::span<const sluice::tensor> in) { return *static_cast<const std::int64_t*>(in[0].data()); };
  auto row = zeros(runs);
  refused(row, "elements, ", 1);
  row.estimate = [&](std::span<const sluice::tensor> in) {
    sluice::work w;
    w.result_bytes = 4 * first(in);
    return w;
  };
  refused(row, "bytes by the endpoint's estimate: those of a call have at most 67108864", 0);
  row.estimate = nullptr;
  row.results = [&](std::span<const sluice::tensor> in) {
    return std::vector<sluice::operand_spec>{{.dtype = dtype::f32, .shape = {first(in)}}};
  };
  refused(row, "elements, ", 0);
}

TEST_CASE("empty lists are printed within the limit of elements") {
  sluice::service s;
  check_problem(post(s, "matmul", parts({50'000'000, 0}, {0, 0}), parts_as_json), 413, "50000000 empty lists as JSON");
  const auto many = std::int64_t{1} << 24;
  check_problem(post(s, "matmul", parts({many, many, 1, 0}, {0, 0}), parts_as_json), 413, "empty lists");
  CHECK(post(s, "matmul", parts({many, many, 1, 0}, {0, 0}), multipart_type).status == 200);
  CHECK(result(post(s, "matmul", parts({2, 1, 3, 0}, {0, 0}), parts_as_json)) == "[[[[],[],[]]],[[[],[],[]]]]");
  CHECK(result(post(s, "matmul", parts({2, 0, many, 0}, {0, 0}), parts_as_json)) == "[[],[]]");
  const auto cut = [] { return 1000; };
  const auto streamed = [&](const shape& extents, const headers& with) {
    return stream(s, sluice::npy_header_bytes(dtype::f32, extents), "", with, cut);
  };
  check_problem(streamed({50'000'000, 0, 5}, npy_as_json), 413, "50000000 empty lists");
  CHECK(streamed({50'000'000, 0, 5}, npy_type).status == 200);
  CHECK(result(streamed({2, 0, 5}, npy_as_json)) == "[[],[]]");
}

TEST_CASE("sums of rows without elements, which no bytes of an upload pay for") {
  sluice::service s({.limits = {.result_bytes = 400}});
  const auto cut = [] { return 1000; };
  const auto streamed = [&](const shape& extents, dtype type = dtype::f32) {
    return stream(s, sluice::npy_header_bytes(type, extents), "", npy_type, cut);
  };
  CHECK(sums_in(streamed({100, 0})).count() == 100);
  check_problem(streamed({101, 0}), 413, "101 rows without elements have sums of 4 bytes each: 400 bytes");
  check_problem(streamed({51, 0}, dtype::u8), 413, "51 rows without elements have sums of 8 bytes each");
}

TEST_CASE("answers that are not sent yet have a budget, of which one takes half of what is left at most") {
  constexpr std::int64_t result = 64 * 64 * 4;
  sluice::service s({.limits = {.result_bytes = result, .all_answers_bytes = 4 * result}});
  const auto large = [&] { return post(s, "matmul", parts({64, 0}, {0, 64}), multipart_type); };
  const auto small = [&] { return post(s, "matmul", parts({4, 0}, {0, 4}), multipart_type); };
  std::vector<sluice::response> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(large());
    CHECK(held.back().status == 200);
  }
  const std::string refusal = "the answer takes up to 16384 bytes of memory, and answers under way hold 49152 of 65536";
  const auto refused = large();
  check_problem(refused, 503, refusal);
  CHECK(refused.header("Retry-After") == "1");
  each_way(64, [&](const char* way, auto ask) {
    CAPTURE(way);
    const auto r = ask(s);
    CHECK(r.status == (std::string_view(way).find("JSON") == std::string_view::npos ? 503 : 413));
  });
  // Small answers still go out, and large ones once another has been sent.
  for (int i = 0; i < 20; ++i) {
    held.push_back(small());
    CHECK(held.back().status == 200);
  }
  held.erase(held.begin(), held.begin() + 2);
  CHECK(large().status == 200);  // and sent at once
  CHECK(large().status == 200);
  held.clear();
  // Text takes more memory than the result: at most half of the budget, whatever is under way.
  check_problem(post(s, "matmul", parts({64, 0}, {0, 64}), parts_as_json), 413,
                "in the form that is asked for: at most 32768");
}

TEST_CASE("text and what is compressed count as what they hold") {
  // (32, 32) of f32 as text: 19,000 bytes at most.
  sluice::service s({.limits = {.result_bytes = 4096, .all_answers_bytes = 100'000}});
  std::vector<sluice::response> held;
  const auto text = [&] { return post(s, "matmul", parts({32, 0}, {0, 32}), parts_as_json); };
  const auto count = [&](auto ask) {
    held.clear();
    while (held.size() < 100 && (held.empty() || held.back().status == 200)) held.push_back(ask());
    return held.size() - 1;
  };
  CHECK(count(text) == 3);
  // Once compressed they take little.
  const auto body = request(v2_inputs("[32,0]", "[0,32]", R"("data":[])"));
  const auto compressed = [&] {
    sluice::request r{.method = "POST", .path = "/v2/models/matmul/infer", .body = body};
    r.header = [](std::string_view name) { return std::string_view(name == "Accept-Encoding" ? "gzip" : ""); };
    r.compress = [](const std::vector<sluice::body_piece>&, std::string_view) {
      return std::vector{sluice::body_piece::of(std::string(100, 'z'))};
    };
    return s.handle(r);
  };
  held.clear();
  CHECK(count(compressed) == 99);
}
