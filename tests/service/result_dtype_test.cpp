// ?result_dtype=f64: sums in a dtype by choice, under /v1, /v2 and as a stream.
#include "rowsum_stream_testing.hpp"
#include "sluice/ops/rowsum.hpp"
#include "v2_testing.hpp"

using namespace testing;
using sluice::dtype;

namespace {

const headers npy{{"Content-Type", "application/x-npy"}};
const headers npy_as_json{{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}};

}  // namespace

TEST_CASE("sums in every dtype that they have, bit for bit, as .npy") {
  sluice::service s;
  for (const auto type : {dtype::f64, dtype::f32, dtype::f16, dtype::i64, dtype::i32, dtype::u8})
    for (const auto to : {dtype::f64, dtype::f32, dtype::f16, dtype::i64}) {
      if (to == dtype::i64 && sluice::is_floating(type)) continue;
      CAPTURE(text(type));
      CAPTURE(text(to));
      const auto rows = rough({40, 1100}, type, 3);
      const auto body = sluice::encode_npy(rows);
      const auto wanted = sluice::rowsum(rows, {}, {.dtype = to});
      CHECK(same_bits(sums_in(ask(s, "/v1/rowsum", cat("result_dtype=", text(to)), body, npy)), wanted));
      const auto cut = [] { return std::size_t{999}; };
      CHECK(same_bits(sums_in(stream(s, body, cat("result_dtype=", text(to)), npy, cut)), wanted));
      CHECK(same_bits(sums_in(stream(s, bytes_in(rows), cat(query_of(rows), "&result_dtype=", text(to)), raw_type, cut)),
                      wanted));
    }
}

TEST_CASE("rows of an upload that are larger than the room are joined before they are rounded") {
  sluice::service s;
  for (const auto type : {dtype::f32, dtype::f64, dtype::i64})
    for (const auto to : {dtype::f64, dtype::f32, dtype::f16}) {
      CAPTURE(text(type));
      CAPTURE(text(to));
      auto rows = rough({2, 1'048'577}, type, 4);
      if (type == dtype::f32) rows.view<float, 2>()(1, 5) = std::numeric_limits<float>::quiet_NaN();
      CHECK(same_bits(sums_in(stream(s, bytes_in(rows), cat(query_of(rows), "&result_dtype=", text(to)), raw_type,
                                     [] { return std::size_t{1'000'003}; })),
                      sluice::rowsum(rows, {}, {.dtype = to})));
    }
}

TEST_CASE("the dtype of the result is in JSON too, and of rows without elements") {
  sluice::service s;
  const std::string third = R"({"a": [[0.1, 0.2], [1, 2]], "dtype": "f32"})";
  CHECK(ask(s, "/v1/rowsum", "", third).text() == R"({"result":[0.3,3],"shape":[2],"dtype":"f32","device":"cpu"})");
  CHECK(ask(s, "/v1/rowsum", "result_dtype=f64", third).text() ==
        R"({"result":[0.30000000447034836,3],"shape":[2],"dtype":"f64","device":"cpu"})");
  CHECK(ask(s, "/v1/rowsum", "result_dtype=float64", third).text() ==
        ask(s, "/v1/rowsum", "result_dtype=f64", third).text());
  CHECK(ask(s, "/v1/rowsum", "result_dtype=bf16", R"({"a": [[1, 2]]})").text() ==
        R"({"result":[3],"shape":[1],"dtype":"bf16","device":"cpu"})");
  CHECK(ask(s, "/v1/rowsum", "result_dtype=f32", R"({"a": [[1, 2]], "dtype": "i64"})").text() ==
        R"({"result":[3],"shape":[1],"dtype":"f32","device":"cpu"})");
  const auto none = sluice::encode_npy(tensor::zeros({3, 0}, dtype::f32));
  for (const auto to : {dtype::f64, dtype::f16, dtype::bf16}) {
    const auto query = cat("result_dtype=", text(to));
    const auto whole = ask(s, "/v1/rowsum", query, none, npy_as_json);
    CHECK(whole.text().find(cat(R"("dtype":")", text(to), R"(")")) != std::string::npos);
    CHECK(stream(s, none, query, npy_as_json, [] { return std::size_t{70}; }).text() == whole.text());
  }
  // 65504 is the largest f16: what does not fit is an infinity, which JSON does not have.
  const auto large = sluice::encode_npy(tensor::full({2, 2}, 65504, dtype::f32));
  for (const auto& r : {ask(s, "/v1/rowsum", "result_dtype=f16", large, npy_as_json),
                        stream(s, large, "result_dtype=f16", npy_as_json, [] { return std::size_t{70}; })}) {
    CHECK(r.status == 422);
    CHECK(r.text().find("2 of the result's 2 numbers are NaN or infinite") != std::string::npos);
  }
  CHECK(stream(s, large, "result_dtype=f16&nonfinite=string", npy_as_json, [] { return std::size_t{70}; })
            .text()
            .find(R"(["Infinity","Infinity"])") != std::string::npos);
}

TEST_CASE("models of the Open Inference Protocol give them by the same query") {
  sluice::service s;
  const auto one = request(input("a", "FP32", "[1,2]", R"("data":[0.1,0.2])"));
  CHECK(unplaced(ask(s, "/v2/models/rowsum/infer", "result_dtype=f64", one).text()) ==
        R"({"model_name":"rowsum","model_version":"1","outputs":[)"
        R"({"name":"result","datatype":"FP64","shape":[1],"data":[0.30000000447034836]}]})");
  const auto json = request(binary_input("a", "BF16", "[1,2]", 4), R"(,"parameters":{"binary_data_output":true})");
  const auto r = ask(s, "/v2/models/rowsum_bf16/versions/1/infer", "result_dtype=bf16",
                     json + bytes<std::uint16_t>({0x3f80, 0x3f80}), {{length_header, std::to_string(json.size())}});
  CHECK(r.status == 200);
  CHECK(r.text().find(R"("model_name":"rowsum_bf16")") != std::string::npos);
  CHECK(r.text().find(R"("datatype":"BF16")") != std::string::npos);
  CHECK(r.text().ends_with(bytes<std::uint16_t>({0x4000})));
  check_error(ask(s, "/v2/models/rowsum/infer", "result_dtype=i64", one), 400, "sums of f32 are rounded to one of f64");
  check_error(ask(s, "/v2/models/matmul/infer", "result_dtype=f64", one), 400, "cannot be chosen");
}

TEST_CASE("a dtype that results cannot have is refused, with those that there are") {
  sluice::service s;
  const std::string body = R"({"a": [[1, 2]]})";
  check_problem(ask(s, "/v1/rowsum", "result_dtype=i64", body), 422,
                "sums of f32 are rounded to one of f64, f32, f16, bf16, not to i64");
  check_problem(ask(s, "/v1/rowsum", "result_dtype=u8", R"({"a": [[1, 2]], "dtype": "u8"})"), 422,
                "sums of u8 are rounded to one of i64, f64, f32, f16, bf16, not to u8");
  check_problem(ask(s, "/v1/rowsum", "result_dtype=f128", body), 422, "f128");
  check_problem(ask(s, "/v1/rowsum", "result_dtype=f32&result_dtype=f64", body), 400, "result_dtype");
  check_problem(ask(s, "/v1/matmul", "result_dtype=f64", R"({"a": [[1]], "b": [[1]]})"), 422,
                "[matmul] result_dtype is f64: the dtype of these results cannot be chosen");
  const auto rows = sluice::encode_npy(tensor::zeros({2, 2}, dtype::f32));
  check_problem(ask(s, "/v1/rowsum", "result_dtype=bf16", rows, npy), 406, "bf16");
  const auto cut = [] { return std::size_t{1000}; };
  check_problem(stream(s, rows, "result_dtype=bf16", npy, cut), 422, "bf16");
  check_problem(stream(s, rows, "result_dtype=i64", npy, cut), 422, "sums of f32 are rounded to one of");
  check_problem(stream(s, "12345678", "columns=1&result_dtype=i32", raw_type, cut), 422, "not to i32");
}

TEST_CASE("an endpoint of the application's own may give the choice") {
  sluice::service s;
  const auto row = [](dtype to) {
    return sluice::endpoint{
        .name = "first",
        .inputs = {{.name = "a", .min_rank = 1, .max_rank = 1}},
        .outputs = {{.name = "result", .dtypes = {dtype::f32, dtype::f64}}},
        .run = [to](std::span<const tensor> in, const sluice::call_context&) { return std::vector{in[0][0].as(to)}; }};
  };
  auto first = row(dtype::f32);
  first.with_result_dtype = [row](dtype to) { return std::make_shared<const sluice::endpoint>(row(to)); };
  s.add(first);
  CHECK(ask(s, "/v1/first", "", R"({"a": [7, 8]})").text().find(R"("dtype":"f32")") != std::string::npos);
  CHECK(ask(s, "/v1/first", "result_dtype=f64", R"({"a": [7, 8]})").text().find(R"("dtype":"f64")") != std::string::npos);
  const auto document = send(s, "GET", "/openapi.json").text();
  const auto of = [&](std::string_view path) {
    const auto at = document.find(cat("\"", path, "\":"));
    REQUIRE(at != document.npos);
    return document.substr(at, document.find("\"responses\"", at) - at);
  };
  CHECK(of("/v1/first").find(R"("name":"result_dtype")") != std::string::npos);
  CHECK(of("/v1/rowsum").find(R"("name":"result_dtype")") != std::string::npos);
  CHECK(of("/v1/rowsum/stream").find(R"("name":"result_dtype")") != std::string::npos);
  CHECK(of("/v2/models/rowsum/infer").find(R"("name":"result_dtype")") != std::string::npos);
  CHECK(of("/v1/matmul").find("result_dtype") == std::string::npos);
  CHECK(of("/v2/models/matmul/infer").find("result_dtype") == std::string::npos);
}
