// The Open Inference Protocol on the service alone: what is refused, with what is wrong in the error.
#include "v2_testing.hpp"

#include <functional>
#include <limits>

using namespace testing;

TEST_CASE("requests that are refused: 400, with what is wrong") {
  echo_service s;
  const auto refuse = [&](std::string_view body, std::string_view words, std::string model = "echo") {
    CAPTURE(std::string(body.substr(0, 100)));
    check_error(infer(s, std::move(model), body), 400, words);
  };
  const auto a = [](std::string_view shape, std::string_view data, std::string_view datatype = "FP32") {
    return request(input("a", datatype, shape, cat("\"data\":", data)));
  };
  refuse("", "the body is empty");
  for (const char* blanks : {"\t", " \r\n\t "}) refuse(blanks, "nothing but blanks");
  refuse("{", "not JSON");
  refuse("[]", "not a JSON object: it begins with []");
  refuse(cat(a("[1]", "[1]"), "{}"), "more follows the request, at byte 66");
  refuse("{\"inputs\":[}", "[v2]");
  refuse(cat(a("[1]", "[1]"), "x"), R"(it ends with \"x\" at byte 66)");
  refuse(cat(a("[1]", "[1]"), std::string(1, '\0')), "[v2]");
  refuse("{}", "the input a is missing: echo needs it");
  refuse(request(square), "the input b is missing: matmul needs it", "matmul");
  refuse(request(cat(square, ",", square)), "the input a is there twice", "matmul");
  refuse(request(input("c", "FP32", "[1]", R"("data":[1])")), R"(the input \"c\" is not known: matmul has a, b)", "matmul");
  refuse(request(square, R"(,"outputs":[{"name":"x"}])"), R"(the output \"x\" is not known: echo has same, first)");
  refuse(request(square, R"(,"outputs":[{"name":"same"},{"name":"same"}])"), "the output same is there twice");
  refuse(request(square, R"(,"outputs":[{}])"), R"(outputs[0] has no \"name\")");
  refuse(request(square, R"(,"outputs":{})"), "outputs is an object: a list is needed");
  refuse(request(square, R"(,"what":1)"),
         R"(the request has \"what\", which is not known: id, parameters, inputs or outputs)");
  refuse(request(square, R"(,"id":1)"), "id is 1: a string is needed");
  refuse(request(square, R"(,"model_name":{})"), "model_name is an object: a string is needed");
  refuse(request(square, R"(,"id":"1","id":"2")"), R"(the request has \"id\" twice)");
  for (const char* id : {"1", "-1", "0.5", "1e-9", R"("x")", "true", "[]", "{}"})
    refuse(request(square, cat(R"(,"parameters":{"sequence_id":)", id, "}")), R"(parameters has \"sequence_id\", )",
           "rowsum");
  refuse(request(square, R"(,"parameters":{"sequence_id":7})"), "7: requests are not parts of a sequence");
  refuse(request(square, R"(,"model_version":"2")"), R"(model_version is \"2\": the path is of echo, version 1)");
  refuse(request(square, R"(,"model_version":1)"), "model_version is 1: a string is needed");
  refuse(request(square, R"(,"parameters":{"timeout":-1})"), "timeout is -1: a whole number from 0");
  refuse(request(square, R"(,"parameters":{"priority":1.5})"), "priority is 1.5");
  refuse(request(square, R"(,"parameters":{"binary_data_output":1})"), "binary_data_output is 1: true or false");
  refuse(request(square, R"(,"parameters":[])"), "parameters is a list: an object");
  refuse(request(square, R"(,"parameters":{"priority":1,"priority":2})"), R"(parameters has \"priority\" twice)");
  // What is passed over is JSON as well.
  for (const char* odd : {"[1,,2]", "{1:2}", R"({"a" 1})", "nul", "01", "+1", ".5", "[1 2]", R"("\x")", "tru", "NaN", "[",
                          "{\"a\":}", "[1,]", "{\"a\":1,}", "'x'", "-", "1e", "\"\t\""})
    for (const auto& body : {request(square, cat(R"(,"parameters":{"own":)", odd, "}")),
                             request(input("a", "FP32", "[1]", cat(R"("data":[1],"parameters":{"own":)", odd, "}"))),
                             request(square, cat(R"(,"outputs":[{"name":"same","parameters":{"own":)", odd, "}}]"))})
      refuse(body, "[v2]");
  std::string deep = "1";
  for (int i = 0; i < 64; ++i) deep = cat("[", deep, "]");
  CHECK(infer(s, "rowsum", request(square, cat(R"(,"parameters":{"own":)", deep, "}"))).status == 200);
  refuse(request(square, cat(R"(,"parameters":{"own":[)", deep, "]}")), "parameters.own nests more than 64 levels");
  refuse(request(square, cat(R"(,"parameters":{"own":)", std::string(1'000'000, '['))), "[v2]");
  refuse(request(square, R"(,"outputs":[{"name":"same","parameters":{"classification":3}}])"),
         R"(\"classification\", 3: outputs are numbers)");
  refuse(request(square, R"(,"outputs":[{"name":"same","parameters":{"shared_memory_region":"x"}}])"),
         R"(\"shared_memory_region\")");
  refuse(request(square, R"(,"outputs":[{"name":"same","parameters":{"binary_data":0}}])"),
         "binary_data is 0: true or false");
  refuse(request(square, R"(,"inputs":null)"), "twice");
  refuse(R"({"inputs":null})", "inputs is null: a list is needed");
  refuse(request("null"), "inputs[0] is null: an object");
  refuse(request(R"({"name":null,"shape":[1],"datatype":"FP32","data":[1]})"), "inputs[0].name is null: a string");
  refuse(request(input("a", "FP32", "[1]", R"("data":null)")), "neither");
  refuse(request(input("a", "FP32", "[1]", R"("data":[1],"parameters":{"binary_data_size":"4"})")), "binary_data_size is");
  refuse(request("1"), "inputs[0] is 1: an object");
  refuse(request(R"({"name":"a","shape":[1],"data":[1]})"), R"(inputs[0] has no \"datatype\")");
  refuse(request(R"({"name":"a","datatype":"FP32","data":[1]})"), R"(inputs[0] has no \"shape\")");
  refuse(request(R"({"shape":[1],"datatype":"FP32","data":[1]})"), R"(inputs[0] has no \"name\")");
  refuse(request(R"({"name":"a","shape":[1],"datatype":"FP32"})"), R"(neither \"data\" and \"binary_data_size\")");
  refuse(request(R"({"name":"a","shape":[1],"datatype":"FP32","data":[1],"data":[2]})"), R"(inputs[0] has \"data\" twice)");
  refuse(request(input("a", "FP32", "[1]", R"("data":[1],"parameters":{"binary_data_size":4})")), "both");
  refuse(request(input("a", "FP32", "[1]", R"("data":[1],"parameters":{"shared_memory_region":"x"})")),
         R"(\"shared_memory_region\")");
  refuse(request(input("a", "FP32", "[1]", R"("data":[1],"more":1)")), R"(inputs[0] has \"more\")");
  for (const char* datatype : {"BOOL", "BYTES", "INT8", "UINT16", "fp32", "f32", ""})
    refuse(a("[1]", "[1]", datatype), cat("the input a is of \\\"", datatype, "\\\": echo takes FP32, FP64, FP16"));
  refuse(a("[1]", "[1]", "FP64"), R"(of \"FP64\": echo_int32 takes INT32)", "echo_int32");
  refuse(a("[1]", "[1]", "FP16"), "of FP16, which has no JSON");
  refuse(a("[1]", "[1]", "BF16"), "of BF16, which has no JSON");
  refuse(a("[-1]", "[1]"), "inputs[0].shape[0] is -1");
  refuse(a("[1.5]", "[1]"), "inputs[0].shape[0] is 1.5");
  refuse(a("[1,1,1,1,1,1,1,1,1]", "[1]"), "more than 8 extents");
  refuse(a("3", "[1]"), "inputs[0].shape is 3: a list");
  refuse(a("[4611686018427387904,4]", "[1]"), "does not fit");
  refuse(a("[2,2]", "[1,2,3]"), "a.data has 3 elements, and the shape (2, 2) has 4");
  refuse(a("[2,2]", "[1,2,3,4,5]"), "a.data has more elements than the 4 of the shape (2, 2)");
  refuse(a("[2,2]", "[[1,2],[3]]"), "a.data[1] has 1 elements, and the shape (2, 2) says 2");
  refuse(a("[2,2]", "[[1,2]]"), "a.data has 1 elements, and the shape (2, 2) says 2");
  refuse(a("[2,2]", "[[1,2],3,4]"), "a.data[1] is a number: a list is needed");
  refuse(a("[2,2]", "[1,[2],3,4]"), "a.data[1] is a list: a number is needed");
  refuse(a("[2]", "[[1,2]]"), "a.data[0] is a list: a number is needed");
  refuse(a("[2]", "1"), "a.data is a number: a list is needed");
  refuse(a("[2]", R"(["1","2"])"), "a.data[0] is a string");
  refuse(a("[2]", "[1,null]"), "a.data[1] is null");
  refuse(a("[2]", "[1,NaN]"), "[v2]");
  refuse(a("[2]", "[1,1e39]"), "a.data[1] is 1e39: it overflows f32");
  refuse(a("[2]", "[1,0.5]", "INT32"), "a.data[1] is 0.5: no whole number between -2147483648 and 2147483647");
  refuse(a("[2000,2000]", "[1]"), "4000000 elements by its shape (2000, 2000), more than a body of");
  refuse(request(input("a", "FP32", "[2,3]", R"("data":[1,2,3,4,5,6])") + "," + other), "a.extent(1) must equal b.extent(0)",
         "matmul");
  refuse(request(input("a", "FP32", "[2]", R"("data":[1,2])") + "," + other), "of rank 1: ranks 2 to 8 are taken", "matmul");
  refuse(request(input("a", "FP64", "[2,2]", R"("data":[1,2,3,4])") + "," + other), "[matmul]", "matmul");
  refuse(request(binary_input("a", "FP32", "[1]", 4)), "no Inference-Header-Content-Length");
}

TEST_CASE("binary requests that are refused") {
  echo_service s;
  const auto refuse = [&](std::string json, std::string data, std::string_view words) {
    CAPTURE(json);
    check_error(infer_binary(s, "echo", std::move(json), std::move(data)), 400, words);
  };
  const auto two = request(binary_input("a", "FP32", "[2]", 8));
  refuse(two, "1234567", "the input a has 8 bytes of binary data, and the body 7 more after byte");
  refuse(two, "123456789", cat("the body has ", std::to_string(two.size() + 9), " bytes"));
  refuse(two, "", "and the body 0 more");
  refuse(request(binary_input("a", "FP32", "[2]", 7)), "1234567",
         "a binary_data_size of 7, and its shape (2) of FP32 takes 8");
  refuse(request(input("a", "FP32", "[2]", R"("data":[1,2])")), "1", "add up to");
  refuse(request(binary_input("a", "BYTES", "[1]", 5)), "1234x", R"(of \"BYTES\")");
  const auto header = [&](std::string_view value, std::string_view words) {
    check_error(infer(s, "echo", two + "12345678", {{length_header, std::string(value)}}), 400, words);
  };
  header("x", R"(is \"x\": not a number of bytes)");
  header("-1", "-1");
  header("1e3", "1e3");
  header("99999999999999999999999", "not a number");
  header("9999", cat("is 9999, and the body has ", std::to_string(two.size() + 8)));
  header("3", "[v2]");
}

TEST_CASE("limits, and numbers without JSON") {
  sluice::service_options o;
  o.limits.elements = 100;
  o.limits.body_bytes = 1000;
  o.limits.rank = 2;
  echo_service s(o);
  check_error(infer(s, "echo", request(input("a", "FP32", "[101]", R"("data":[1])"))), 413, "101 elements");
  check_error(infer_binary(s, "echo", request(binary_input("a", "UINT8", "[101]", 101)), std::string(101, 'x')), 413,
              "at most 100");
  check_error(infer(s, "echo_uint8", std::string(101, 'x'), {{length_header, "0"}}), 413, "101 elements");
  check_error(infer(s, "echo", std::string(1001, ' ')), 413, "1001 bytes: at most 1000");
  check_error(infer(s, "echo", request(input("a", "FP32", "[1,1,1]", R"("data":[1])"))), 400, "more than 2 extents");
  const auto large = binary_input("a", "FP32", "[1,2]", 8);
  const auto data = bytes<float>({3e38f, 3e38f});
  check_error(infer_binary(s, "rowsum", request(large), data), 400, "1 of the result's 1 numbers are NaN or infinite");
  CHECK(binary_of(infer_binary(s, "rowsum", request(large, R"(,"parameters":{"binary_data_output":true})"), data)) ==
        bytes<float>({std::numeric_limits<float>::infinity()}));
  check_error(infer_binary(s, "echo", request(binary_input("a", "FP16", "[1]", 2)), "ab"), 400,
              "same is of f16, which has no JSON: ask for binary_data");
}

TEST_CASE("paths, methods and versions") {
  sluice::service s;
  for (const char* path : {"/v2/x", "/v2/health", "/v2/health/x", "/v2/models/matmul/x", "/v2/models/matmul/infer/x",
                           "/v2/models/matmul/versions", "/v2/repository", "/v2/repository/x", "/v2/systemsharedmemory",
                           "/v2/cudasharedmemory/x/status", "/v2//", "/v2/models/matmul/"})
    check_error(send(s, "POST", path), 404, "nothing is served at");
  for (const char* version : {"2", "", "x", "01"})
    check_error(send(s, "GET", cat("/v2/models/matmul/versions/", version, "/ready")), 404, "matmul has version 1, not");
  for (const char* path :
       {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models", "/v2/models/matmul", "/v2/models/matmul/config",
        "/v2/models/matmul/ready", "/v2/models/matmul/stats", "/v2/models/stats", "/v2/systemsharedmemory/status"}) {
    const auto r = send(s, "POST", path);
    check_error(r, 405, "takes GET, HEAD, not POST");
    CHECK(r.header("Allow") == "GET, HEAD");
  }
  for (const char* path : {"/v2/models/matmul/infer", "/v2/repository/index", "/v2/systemsharedmemory/unregister"}) {
    const auto r = send(s, "GET", path);
    check_error(r, 405, "takes POST, not GET");
    CHECK(r.header("Allow") == "POST");
  }
  check_error(infer(s, "nothing", "{}"), 404, R"(there is no model \"nothing\")");
}

TEST_CASE("what an endpoint throws, in this protocol's form") {
  sluice::service s;
  static std::function<void()> behaviour;
  auto row = echo({sluice::dtype::f32});
  row.run = [](std::span<const sluice::tensor> in, const sluice::call_context&) {
    behaviour();
    return std::vector{in[0], in[0]};
  };
  s.add(row);
  const auto answers = [&](auto thrown, int status, std::string_view words) {
    behaviour = [thrown] { throw thrown; };
    check_error(infer(s, "echo", request(square)), status, words);
  };
  using sluice::error_code;
  answers(sluice::error(error_code::invalid_argument, "no \"x\""), 400, R"(no \"x\")");
  answers(sluice::error(error_code::unsupported, "x"), 501, "x");
  answers(sluice::error(error_code::device_lost, "x"), 503, "x");
  answers(std::runtime_error("the password"), 500, "the endpoint failed");
  answers(std::bad_alloc(), 503, "no memory");
}
