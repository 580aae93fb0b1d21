// Shapes that inputs must have, outputs with labels, and outputs as records: in every form of an answer.
#include <cmath>
#include <limits>

#include "v2_testing.hpp"

using namespace testing;
using namespace sluice;

namespace {

using labels = std::vector<std::string>;

const auto names = std::make_shared<const labels>(labels{"tabby", "a \"b\"\n", "\xc3\xb6re", ""});

// The numbers that came in, a quarter of each, and NaN for 3.
std::vector<tensor> named(const tensor& a) {
  tensor quarter(a.shape(), dtype::f32);
  const auto* from = static_cast<const std::int64_t*>(a.data());
  auto* to = static_cast<float*>(quarter.data());
  for (std::int64_t i = 0; i < a.count(); ++i) to[i] = from[i] == 3 ? std::nanf("") : static_cast<float>(from[i]) / 4;
  return {a, a, quarter};
}

field numbers(std::string name) { return {.name = std::move(name), .dtypes = {dtype::i64}}; }
field label() { return {.name = "label", .dtypes = {dtype::i64}, .labels = names}; }

endpoint predictions() {
  return {.name = "cats",
          .summary = "Names of numbers",
          .inputs = {numbers("a")},
          .outputs = {label(), numbers("index"), {.name = "probability"}},
          .run = [](std::span<const tensor> in, const call_context&) { return named(in[0]); },
          .records = "predictions"};
}

// The same without records, and the labels alone.
endpoint apart() {
  auto row = predictions();
  row.name = "apart";
  row.records = "";
  return row;
}
endpoint alone() {
  return {.name = "alone",
          .inputs = {numbers("a")},
          .outputs = {label()},
          .run = [](std::span<const tensor> in, const call_context&) { return std::vector{in[0]}; }};
}

endpoint shaped() {
  return {.name = "shaped",
          .inputs = {{.name = "image", .summary = "Pictures", .extents = {-1, 3, 2}}},
          .outputs = {{.name = "result", .extents = {-1, 3, 2}}},
          .run = [](std::span<const tensor> in, const call_context&) { return std::vector{in[0]}; }};
}

struct cats : service {
  explicit cats(service_options o = {}) : service(o) {
    for (auto row : {predictions(), apart(), alone(), shaped()}) add(std::move(row));
  }
};

std::string v2_numbers(std::string_view shape, std::string_view data, std::string_view more = "") {
  return testing::request(input("a", "INT64", shape, cat(R"("data":)", data)), more);
}

std::string element(std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&size), sizeof size).append(bytes);
}

const headers npy_as_json{npy_type[0], {"Accept", "application/json"}};
const headers as_npy{{"Accept", "application/x-npy"}};
std::string zeros_npy(const shape& extents) { return encode_npy(tensor::zeros(extents, dtype::i64)); }
const std::string binary_out = R"(,"parameters":{"binary_data_output":true})";

}  // namespace

TEST_CASE("records: one for each place, a list of lists for rank 2") {
  cats s;
  CHECK(post(s, "cats", R"({"a":[0,2]})").text() == R"({"predictions":[{"label":"tabby","index":0,"probability":0},)"
                                                    "{\"label\":\"\xc3\xb6re\",\"index\":2,\"probability\":0.5}"
                                                    R"(],"device":"cpu"})");
  CHECK(post(s, "cats", R"({"a":[[1],[2]]})").text() ==
        R"({"predictions":[[{"label":"a \"b\"\u000a","index":1,"probability":0.25}],[)"
        "{\"label\":\"\xc3\xb6re\",\"index\":2,\"probability\":0.5}"
        R"(]],"device":"cpu"})");
  CHECK(post(s, "cats", zeros_npy({0}), npy_as_json).text() == R"({"predictions":[],"device":"cpu"})");
  CHECK(post(s, "cats", zeros_npy({2, 0}), npy_as_json).text() == R"({"predictions":[[],[]],"device":"cpu"})");
  auto row = predictions();
  row.name = "bare";
  row.described = false;
  s.add(std::move(row));
  CHECK(post(s, "bare", R"({"a":[0]})").text() == R"({"predictions":[{"label":"tabby","index":0,"probability":0}]})");
}

TEST_CASE("the call's precision stands behind records, and numbers that JSON does not have are as elsewhere") {
  cats s;
  auto row = predictions();
  row.name = "exact";
  row.precisions = {{"strict", "All bits"}};
  s.add(std::move(row));
  CHECK(post(s, "exact", zeros_npy({0}), npy_as_json).text() == R"({"predictions":[],"device":"cpu","precision":"strict"})");
  check_problem(
      post(s, "cats", R"({"a":[[0],[3]]})"), 422,
      "1 of the result's 2 numbers are NaN or infinite, the first at [1][0]: JSON has no such numbers; ask /v2 for "
      "binary_data, or for ?nonfinite=null");
  for (const auto& [asked, printed] : {std::pair{"null", "null"}, {"string", "\"NaN\""}})
    CHECK(ask(s, "/v1/cats", cat("nonfinite=", asked), R"({"a":[3]})").text() ==
          cat(R"({"predictions":[{"label":"","index":3,"probability":)", printed, R"(}],"device":"cpu"})"));
}

TEST_CASE("an endpoint whose outputs make no records fails") {
  cats s;
  check_problem(post(s, "cats", R"({"a":1})"), 500, "label is () and label is (): records are of outputs of equal shapes");
  check_problem(post(s, "cats", R"({"a":[[[1]]]})"), 500, "label is (1, 1, 1)");
  auto row = predictions();
  row.name = "unequal";
  row.run = [](std::span<const tensor> in, const call_context&) {
    return std::vector{in[0], in[0].slice(0, 0, 1), named(in[0])[2]};
  };
  s.add(std::move(row));
  check_problem(post(s, "unequal", R"({"a":[1,2]})"), 500, "label is (2) and index is (1)");
}

TEST_CASE("labels stand in JSON in the place of their numbers, and files hold the numbers") {
  cats s;
  CHECK(result(post(s, "alone", R"({"a":[0]})")) == R"({"label":["tabby"],"shape":[1],"dtype":"i64","device":"cpu"})");
  CHECK(post(s, "alone", R"({"a":[[0,3],[1,0]]})")
            .text()
            .starts_with(R"({"label":[["tabby",""],["a \"b\"\u000a","tabby"]],)"));
  CHECK(post(s, "alone", R"({"a":2})").text().starts_with("{\"label\":\"\xc3\xb6re\",\"shape\":[],"));
  CHECK(post(s, "alone", zeros_npy({2, 0}), npy_as_json).text().starts_with(R"({"label":[[],[]],"shape":[2,0],)"));
  CHECK(post(s, "apart", R"({"a":[0,1]})")
            .text()
            .starts_with(R"({"label":{"data":["tabby","a \"b\"\u000a"],"shape":[2],"dtype":"i64"},"index":{"data":[0,1],)"));
  const auto numbers = tensor::of<std::int64_t>({0, 2, 1});
  CHECK(post(s, "alone", R"({"a":[0,2,1]})", as_npy).text() == encode_npy(numbers));
}

TEST_CASE("a number without a label is the endpoint's mistake") {
  cats s;
  for (const auto& [a, words] : {std::pair{"[0,4]", "element 1 of label is 4: there are 4 labels"},
                                 {"[-1]", "element 0 of label is -1: there are 4 labels"}}) {
    CAPTURE(a);
    for (const char* name : {"cats", "apart", "alone"}) check_problem(post(s, name, cat(R"({"a":)", a, "}")), 500, words);
    CHECK(post(s, "alone", cat(R"({"a":)", a, "}"), as_npy).status == 200);
    const std::string shape = a[1] == '-' ? "[1]" : "[2]";
    check_error(infer(s, "cats", v2_numbers(shape, a)), 500, words);
    check_error(infer(s, "cats", v2_numbers(shape, a, binary_out)), 500, words);
  }
}

TEST_CASE("under /v2 an output with labels is BYTES, in JSON and in binary") {
  cats s;
  CHECK(send(s, "GET", "/v2/models/cats")
            .text()
            .find(R"("outputs":[{"name":"label","datatype":"BYTES","shape":[-1]},)"
                  R"({"name":"index","datatype":"INT64","shape":[-1]},)") != std::string::npos);
  CHECK(send(s, "GET", "/v2/models/cats/config").text().find(R"({"name":"label","data_type":"TYPE_STRING","dims":[-1]})") !=
        std::string::npos);
  CHECK(infer(s, "cats", v2_numbers("[2,1]", "[0,1]"))
            .text()
            .ends_with(R"("outputs":[{"name":"label","datatype":"BYTES","shape":[2,1],"data":["tabby","a \"b\"\u000a"]},)"
                       R"({"name":"index","datatype":"INT64","shape":[2,1],"data":[0,1]},)"
                       R"({"name":"probability","datatype":"FP32","shape":[2,1],"data":[0,0.25]}]})"));
  const auto r = infer(s, "cats", v2_numbers("[3]", "[0,3,2]", binary_out));
  const auto text = element("tabby") + element("") + element("\xc3\xb6re");
  CHECK(r.text().find(cat(R"("datatype":"BYTES","shape":[3],"parameters":{"binary_data_size":)", std::to_string(text.size()),
                          "}")) != std::string::npos);
  CHECK(binary_of(r).starts_with(text + bytes<std::int64_t>({0, 3, 2})));
  CHECK(binary_of(infer(s, "alone", v2_numbers("[0]", "[]", binary_out))).empty());
}

TEST_CASE("an input has the extents that its field states") {
  cats s;
  CHECK(result(post(s, "shaped", R"({"image":[[[1,2],[3,4],[5,6]]]})")) == "[[[1,2],[3,4],[5,6]]]");
  const std::string words = "(-1, 3, 2) is taken, -1 for any extent";
  check_problem(post(s, "shaped", R"({"image":[[[1,2],[3,4]]]})"), 422, cat("[shaped] image is (1, 2, 2): ", words));
  check_problem(post(s, "shaped", R"({"image":[1]})"), 422, cat("[shaped] image is (1): ", words));
  check_problem(post(s, "shaped", encode_npy(tensor::zeros({3, 2})), npy_type), 422, cat("image is (3, 2): ", words));
  CHECK(post(s, "shaped", encode_npy(tensor::zeros({0, 3, 2})), npy_type).status == 200);
  check_error(infer(s, "shaped", testing::request(input("image", "FP32", "[1,2,3]", R"("data":[1,2,3,4,5,6])"))), 400,
              cat("image is (1, 2, 3): ", words));
  CHECK(infer(s, "shaped", testing::request(input("image", "FP32", "[1,3,2]", R"("data":[1,2,3,4,5,6])"))).status == 200);
  CHECK(send(s, "GET", "/v2/models/shaped").text().find(R"("shape":[-1,3,2]}],"outputs":[)") != std::string::npos);
  CHECK(send(s, "GET", "/v2/models/shaped/config").text().find(R"("dims":[-1,3,2])") != std::string::npos);
  // Before the endpoint's own preparation.
  auto row = shaped();
  row.name = "prepared";
  row.prepare = [](std::vector<tensor>, const call_context&) { return std::vector{tensor::zeros({1})}; };
  s.add(std::move(row));
  check_problem(post(s, "prepared", R"({"image":[1]})"), 422, words);
}

TEST_CASE("answers with labels and records count as what they are") {
  service_options o;
  o.limits.result_bytes = 1 << 14;
  o.limits.all_answers_bytes = 1 << 16;
  cats s(o);
  const auto zeros = [](int n) { return cat(R"({"a":)", list(n, [](int) { return std::string("0"); }), "}"); };
  CHECK(post(s, "cats", zeros(50)).status == 200);
  CHECK(post(s, "alone", zeros(50)).status == 200);
  check_problem(post(s, "cats", zeros(500)), 413, "the answer takes up to");
  check_problem(post(s, "alone", zeros(1000)), 413, "the answer takes up to");
  CHECK(post(s, "alone", zeros(1000), as_npy).status == 200);
}

TEST_CASE("rows whose extents, labels or records cannot be are not added") {
  service s;
  const auto refused = [&](auto change, std::string_view words) {
    auto row = predictions();
    change(row);
    try {
      s.add(std::move(row));
      FAIL("it was added");
    } catch (const error& e) {
      CHECK(e.code() == error_code::invalid_argument);
      CHECK_MESSAGE(std::string_view(e.what()).find(words) != std::string_view::npos, e.what());
    }
  };
  refused([](endpoint& r) { r.inputs[0].extents = {1, -2}; }, "the extents (1, -2)");
  refused([](endpoint& r) { r.inputs[0].extents.assign(max_rank + 1, 1); }, "at most");
  refused([](endpoint& r) { r.inputs[0].labels = names; }, "the input a has labels");
  refused([](endpoint& r) { r.outputs[2].labels = names; }, "probability has labels and is of f32");
  refused([](endpoint& r) { r.outputs[0].kind = field_kind::picture; }, "label is a picture");
  for (const char* taken : {"device", "a b"}) refused([&](endpoint& r) { r.records = taken; }, taken);
}
