// What the tests of the Open Inference Protocol share.
#pragma once

#include "service_testing.hpp"

namespace testing {

inline constexpr auto length_header = "Inference-Header-Content-Length";

template <class T>
std::string bytes(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

inline sluice::response infer(sluice::service& s, std::string model, std::string_view body, headers with = {}) {
  return send(s, "POST", cat("/v2/models/", model, "/infer"), body, std::move(with));
}

// `json`, then `data`, with the header that says where the one ends.
inline sluice::response infer_binary(sluice::service& s, std::string model, std::string json, std::string data) {
  return infer(s, std::move(model), json + data, {{length_header, std::to_string(json.size())}});
}

// An answer without what it tells of its placement.
inline std::string unplaced(std::string text) {
  const auto begin = text.find("\"parameters\":{\"device\":"), end = text.find("},", begin);
  REQUIRE(end != text.npos);
  return text.erase(begin, end + 2 - begin);
}

inline std::string input(std::string_view name, std::string_view datatype, std::string_view shape, std::string_view rest) {
  return cat(R"({"name":")", name, R"(","datatype":")", datatype, R"(","shape":)", shape, ",", rest, "}");
}

inline std::string binary_input(std::string_view name, std::string_view datatype, std::string_view shape, std::size_t size) {
  return input(name, datatype, shape, cat(R"("parameters":{"binary_data_size":)", std::to_string(size), "}"));
}

inline std::string request(std::string_view inputs, std::string_view more = "") {
  return cat(R"({"inputs":[)", inputs, "]", more, "}");
}

// One refusal: its status, its form, and words that it must hold.
inline void check_error(const sluice::response& r, int status, std::string_view words) {
  const std::string text = r.text();
  CAPTURE(text);
  CHECK(r.status == status);
  CHECK(r.header("Content-Type") == "application/json");
  CHECK(text.starts_with(R"({"error":")"));
  CHECK_MESSAGE(text.find(words) != text.npos, "wanted: " << std::string(words));
}

// The data behind the JSON of an answer.
inline std::string binary_of(const sluice::response& r) {
  REQUIRE_MESSAGE(r.status == 200, r.text());
  REQUIRE(!r.header(length_header).empty());
  return r.text().substr(std::stoul(std::string(r.header(length_header))));
}

inline sluice::endpoint echo(std::vector<sluice::dtype> types) {
  return {
      .name = "echo",
      .summary = "What came in, and its first row",
      .inputs = {{.name = "a", .dtypes = types}},
      .outputs = {{.name = "same", .dtypes = types}, {.name = "first", .dtypes = types}},
      .run = [](std::span<const sluice::tensor> in, const sluice::call_context&) {
        return std::vector{in[0], in[0].rank() > 0 ? in[0].slice(0, 0, std::min<std::int64_t>(1, in[0].extent(0))) : in[0]};
      }};
}

struct echo_service : sluice::service {
  explicit echo_service(sluice::service_options o = {}) : sluice::service(o) {
    using sluice::dtype;
    add(echo({dtype::f32, dtype::f64, dtype::f16, dtype::bf16, dtype::i64, dtype::i32, dtype::u8}));
  }
};

inline const std::string square = input("a", "FP32", "[2,2]", R"("data":[1,2,3,4])");
inline const std::string other = input("b", "FP32", "[2,2]", R"("data":[[5,6],[7,8]])");

}  // namespace testing
