// JSON in and out: what is refused, and that numbers come back exactly.
#include "service_testing.hpp"
#include "testing.hpp"

#include <charconv>
#include <cmath>
#include <cstring>
#include <random>

using namespace testing;

namespace {

sluice::endpoint echo(std::string name, std::vector<sluice::dtype> types) {
  return {.name = std::move(name),
          .summary = "What came in",
          .inputs = {{.name = "a", .dtypes = std::move(types)}},
          .outputs = {{.name = "result"}},
          .run = [](std::span<const sluice::tensor> in, const sluice::call_context&) { return std::vector{in[0]}; }};
}

struct echo_service : sluice::service {
  explicit echo_service(sluice::service_options o = {}) : sluice::service(o) {
    using sluice::dtype;
    add(echo("echo", {dtype::f32, dtype::f64, dtype::i64, dtype::i32, dtype::u8}));
  }
};

std::string body_of(std::string_view a, std::string_view type = "f32") {
  return cat("{\"a\": ", a, ", \"dtype\": \"", type, "\"}");
}

template <class T>
T parsed(std::string_view text) {
  T x{};
  std::from_chars(text.data(), text.data() + text.size(), x);
  return x;
}

}  // namespace

TEST_CASE("lists of every rank come back as they were") {
  echo_service s;
  for (const char* text : {"7", "[7]", "[1,2,3]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4]]]", "[[[[[[[[1,2]]]]]]]]"}) {
    CAPTURE(text);
    CHECK(result(post(s, "echo", body_of(text))) == text);
  }
  CHECK(result(post(s, "echo", " {\n\"a\" : [ [ 1 , 2 ]\n, [ 3\t, 4 ] ]\r\n} ")) == "[[1,2],[3,4]]");
  CHECK(post(s, "echo", "{\"a\":[[1,2,3],[4,5,6]]}").text() ==
        R"({"result":[[1,2,3],[4,5,6]],"shape":[2,3],"dtype":"f32","device":"cpu"})");
}

TEST_CASE("numbers are printed in the shortest form that reads back") {
  echo_service s;
  CHECK(result(post(s, "echo", body_of("[0.1, -0, -0.0, 1e3, 16777217, 1e-45, 3.4028235e38, 1.5E+2]"))) ==
        "[0.1,-0.0,-0.0,1000,16777216,1e-45,3.4028235e+38,150]");
  CHECK(result(post(s, "echo", body_of("[0.1, 5e-324, 1.7976931348623157e308, 9007199254740993]", "f64"))) ==
        "[0.1,5e-324,1.7976931348623157e+308,9007199254740992]");
  CHECK(result(post(s, "echo", body_of("[9223372036854775807, -9223372036854775808, 0]", "i64"))) ==
        "[9223372036854775807,-9223372036854775808,0]");
  CHECK(result(post(s, "echo", body_of("[0, 255]", "u8"))) == "[0,255]");
}

TEST_CASE("a decimal becomes the nearest float, not the nearest of the nearest double") {
  echo_service s;
  for (const char* text :
       {"1.00000017881393421514957253748434595763683319091796875001",  // just above half-way: a double lands on half-way
        "1.00000017881393432617187499", "7.006492321624085354618649164449806401147e-46", "7.0064923216240853e-46",
        "1.1754943157898259e-38", "3.4028235677973366e38"}) {
    CAPTURE(text);
    const auto answer = result(post(s, "echo", body_of(cat("[", text, "]"))));
    const float wanted = parsed<float>(text);
    if (wanted > 3.4028235e38f || wanted == 0) continue;
    CHECK(parsed<float>(std::string_view(answer).substr(1)) == wanted);
  }
}

TEST_CASE("random bits go in and come out the same") {
  echo_service s;
  std::mt19937_64 random(7);
  for (const char* type : {"f32", "f64"}) {
    const bool single = type[1] == '3';
    std::string text = "[";
    std::vector<double> values;
    while (values.size() < 70'001) {
      double x = 0;
      if (single) {
        const auto bits = static_cast<std::uint32_t>(random());
        float f;
        std::memcpy(&f, &bits, 4);
        x = static_cast<double>(f);
      } else {
        const std::uint64_t bits = random();
        std::memcpy(&x, &bits, 8);
      }
      if (!std::isfinite(x)) continue;
      char number[64];
      const auto end =
          single ? std::to_chars(number, number + 64, static_cast<float>(x)).ptr : std::to_chars(number, number + 64, x).ptr;
      text += cat(values.empty() ? "" : ",", std::string_view(number, static_cast<std::size_t>(end - number)));
      values.push_back(x);
    }
    text += "]";
    const auto answer = result(post(s, "echo", body_of(text, type)));
    std::string_view rest(answer);
    std::size_t wrong = 0;
    for (const double x : values) {
      rest.remove_prefix(1);
      const auto number = rest.substr(0, rest.find_first_of(",]"));
      const double y = single ? static_cast<double>(parsed<float>(number)) : parsed<double>(number);
      wrong += std::memcmp(&x, &y, 8) != 0;
      rest.remove_prefix(number.size());
    }
    CHECK(rest == "]");
    CHECK(wrong == 0);
  }
}

TEST_CASE("blocks of a large result join without a seam") {
  echo_service s;
  struct size {
    int rows, columns;
  };
  for (const auto& z : {size{1, 50'000}, {50'000, 1}, {333, 101}, {3, 16'384}, {16'384, 3}}) {
    const std::string text = list(
        z.rows, [&](int i) { return list(z.columns, [&](int j) { return std::to_string((i * z.columns + j) % 1000); }); });
    const bool same = result(post(s, "echo", cat("{\"a\":", text, "}"))) == text;
    CHECK_MESSAGE(same, z.rows << " x " << z.columns);
  }
}

TEST_CASE("results without elements keep their lists") {
  echo_service s;
  const auto json = headers{{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}};
  const auto print = [&](sluice::shape extents) {
    return result(post(s, "echo", sluice::encode_npy(sluice::tensor(extents)), json));
  };
  CHECK(print({0}) == "[]");
  CHECK(print({0, 3}) == "[]");
  CHECK(print({2, 0}) == "[[],[]]");
  CHECK(print({2, 1, 0}) == "[[[]],[[]]]");
}

TEST_CASE("bytes that are no JSON: 400") {
  echo_service s;
  const auto refuse = [&](std::string_view body, std::string_view words = "[json]") {
    CAPTURE(std::string(body.substr(0, 60)));
    check_problem(post(s, "echo", body), 400, words);
  };
  refuse("", "empty");
  for (const char* body : {" ",
                           "{",
                           "}",
                           "[",
                           "nul",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":[1}",
                           "{\"a\":[1]",
                           "{\"a\":[1]]}",
                           "{\"a\":[1]},",
                           "{\"a\":[1],}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[1,,2]}",
                           "{\"a\":[01]}",
                           "{\"a\":[1.]}",
                           "{\"a\":[.5]}",
                           "{\"a\":[+1]}",
                           "{\"a\":[0x10]}",
                           "{\"a\":[1e]}",
                           "{\"a\":[--1]}",
                           "{\"a\":[- 1]}",
                           "{\"a\":[NaN]}",
                           "{\"a\":[Infinity]}",
                           "{\"a\":[-Infinity]}",
                           "{\"a\":[nan]}",
                           "{\"a\":[1]} x",
                           "{\"a\":[1]} {\"a\":[1]}",
                           "{'a':[1]}",
                           "{a:[1]}",
                           "{\"a\":[1] \"dtype\":\"f32\"}",
                           "{\"a\" [1]}",
                           "{\"a\":[1],\"dtype\":\"f32}",
                           "{\"a\":[tru]}",
                           "[1,2]",
                           "3",
                           "\"a\"",
                           "/* c */{\"a\":[1]}"})
    refuse(body);
  refuse(std::string_view("{\"a\":[1]}\0", 10), R"(ends with \"\\u0000\" at byte 9)");
  refuse(std::string_view("\0{\"a\":[1]}", 10));
  refuse(std::string_view("{\"a\":[1\0]}", 10), "a[0] is 1?, at byte 6");  // a zero byte ends no sentence
  for (const char* blanks : {"\t", " \r\n\t "}) refuse(blanks, "Empty: no JSON found");
  refuse("{\"a\":[1]} x \n", R"(ends with \"x\" at byte 10)");
  refuse("[1, 2]", "begins with [1, 2]");
  refuse("{\"a\":[1],\"\xff\":1}");
  refuse("{\"a\":[\"\xc3\x28\"]}");
  refuse(
      "\xef\xbb\xbf"
      "{\"a\":[1]}");
}

TEST_CASE("JSON that says what cannot be: 422, with the numbers") {
  echo_service s;
  const auto refuse = [&](std::string_view body, std::string_view words, std::string name = "echo") {
    CAPTURE(std::string(body.substr(0, 60)));
    check_problem(post(s, std::move(name), body), 422, words);
  };
  refuse(R"({"a":[[1,2],[3]]})", "a[1] has 1 element and a[0] has 2");
  refuse(R"({"a":[[[1],[2]],[[3]]]})", "a[1] has 1 element and a[0] has 2");
  refuse(R"({"a":[[[1],[2]],[[3],[4,5]]]})", "a[1][1] has 2 elements and a[0][0] has 1");
  refuse(R"({"a":[]})", "a is an empty list");
  refuse(R"({"a":[[]]})", "a[0] is an empty list");
  refuse(R"({"a":[[1],[]]})", "a[1] is an empty list");
  refuse(R"({"a":[1,[2]]})", "a[1] is a list: a number is needed");
  refuse(R"({"a":[[1],2]})", "a[1] is a number: a list is needed");
  refuse(R"({"a":["1"]})", "a[0] is a string");
  refuse(R"({"a":"1"})", "a is a string");
  refuse(R"({"a":[null]})", "a[0] is null");
  refuse(R"({"a":[true]})", "a[0] is true");
  refuse(R"({"a":[{}]})", "a[0] is an object");
  refuse(R"({"a":{"b":1}})", "a is an object");
  refuse(R"({"a":[1e400]})", "1e400: it overflows f32");
  refuse(R"({"a":[1e39]})", "1e39: it overflows f32");
  refuse(R"({"a":[-1e39]})", "-1e39: it overflows f32");
  refuse(R"({"a":[3.4028236e38]})", "overflows f32");
  refuse(body_of("[1e400]", "f64"), "1e400: it overflows f64");
  refuse(body_of("[0.5]", "i32"), "0.5: no whole number");
  refuse(body_of("[2147483648]", "i32"), "between -2147483648 and 2147483647");
  refuse(body_of("[-1]", "u8"), "between 0 and 255");
  refuse(body_of("[9223372036854775808]", "i64"), "9223372036854775808");
  refuse(body_of("[1]", "f16"), "f32, f64, i64, i32, u8");
  refuse(body_of("[1]", "float"), "\\\"float\\\"");
  refuse(R"({"a":[1],"dtype":32})", "not a string");
  refuse(R"({})", "\\\"a\\\" is missing");
  refuse(R"({"dtype":"f32"})", "\\\"a\\\" is missing");
  refuse(R"({"a":[1],"b":[1]})", "\\\"b\\\" is not known");
  refuse(R"({"a":[1],"":[1]})", "\\\"\\\" is not known");
  refuse(R"({"a":[1],"a":[1]})", "\\\"a\\\" is there twice");
  refuse(R"({"a":[1],"\u0061":[1]})", "\\\"a\\\" is there twice");
  refuse(R"({"a":[1],"dtype":"f32","dtype":"f32"})", "\\\"dtype\\\" is there twice");
  refuse(R"({"a":[1],"\u0064type":"f64"})", "\\\"dtype\\\"");
  refuse(R"({"a":[[1,2]],"b":[[1,2]]})", "a.extent(1) must equal b.extent(0)", "matmul");
  refuse(R"({"a":[1,2],"b":[[1,2]]})", "a is (2), of rank 1", "matmul");
  refuse(R"({"a":[[3e38]],"b":[[3e38]]})", "1 of the result's 1 numbers are NaN or infinite, the first at [0][0]", "matmul");
  refuse(R"({"a":[[1,1],[3e38,3e38],[3e38,3e38]]})", "2 of the result's 3 numbers are NaN or infinite, the first at [1]",
         "rowsum");
}

TEST_CASE("a quarter of a million brackets") {
  echo_service s;
  const std::string open(250'000, '[');
  check_problem(post(s, "echo", cat("{\"a\":", open, std::string(250'000, ']'), "}")), 422, "more than 8 deep");
  check_problem(post(s, "echo", cat("{\"a\":", open, "}")), 422, "more than 8 deep");
  CHECK(post(s, "echo", open).status == 400);
  CHECK(post(s, "echo", cat("{\"b\":", open, ",\"dtype\":\"f32\"}")).status / 100 == 4);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(post(s, "echo", objects).status / 100 == 4);
}

TEST_CASE("the dtype may stand before or behind what it is about") {
  echo_service s;
  for (const char* body :
       {R"({"dtype":"f64","a":[1e300]})", R"({"a":[1e300],"dtype":"f64"})", R"({"a":[1e300], "dtype" : "f64" })"})
    CHECK(result(post(s, "echo", body)) == "[1e+300]");
  CHECK(post(s, "echo", R"({"a":["dtype"]})").status == 422);
}

TEST_CASE("limits of elements and rank") {
  sluice::service_options o;
  o.limits.elements = 5;
  o.limits.rank = 2;
  o.limits.body_bytes = 100;
  echo_service s(o);
  CHECK(post(s, "echo", R"({"a":[1,2,3,4,5]})").status == 200);
  check_problem(post(s, "echo", R"({"a":[1,2,3,4,5,6]})"), 413, "more than 5 elements");
  check_problem(post(s, "echo", R"({"a":[[[1]]]})"), 422, "more than 2 deep");
  check_problem(post(s, "echo", cat("{\"a\":[1]", std::string(92, ' '), "}")), 413, "101 bytes: at most 100");
}

TEST_CASE("the quick way through plain lists gives what the parser gives, whatever a body is changed to") {
  sluice::service s;
  testing::numbers n(7);
  // An escaped key is not plain: it takes the other way.
  const auto parsed = [](std::string body) {
    for (std::size_t at = 0; (at = body.find("\"a\"", at)) != body.npos; at += 8) body.replace(at, 3, "\"\\u0061\"");
    return body;
  };
  const std::string pieces[] = {"[",   "]",  ",",  " ",  "1", "-", ".", "0", "e5", "\"a\":", "}", "{", "\"dtype\":\"f64\"",
                                "NaN", "\n", ",,", "2.5"};
  int differ = 0;
  int good = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string body = i % 3 == 0   ? R"({"a":[[1,2.25,-3e2],[4, 5,6]]})"
                       : i % 3 == 1 ? "{ \"dtype\" : \"f64\", \"a\" : [ [[1],[2]] , [[3],[0.1]] ] }\n"
                                    : R"({"a":[1,2,3,4,5,6,7,8]})";
    for (auto k = n.below(3); k > 0; --k) {
      const auto at = static_cast<std::size_t>(n.below(static_cast<std::int64_t>(body.size())));
      body.replace(at, static_cast<std::size_t>(n.below(3)), pieces[n.below(std::size(pieces))]);
    }
    const auto quick = post(s, "rowsum", body), slow = post(s, "rowsum", parsed(body));
    good += quick.status == 200 ? 1 : 0;
    // Bytes are counted from the body's beginning, and texts show it: refusals are compared by their status.
    const bool same = quick.status == slow.status && (quick.status != 200 || quick.text() == slow.text());
    if (!same && differ++ < 3) CHECK_MESSAGE(same, body << " -> " << quick.text() << " and " << slow.text());
  }
  CHECK(differ == 0);
  CHECK(good > 5'000);
}

TEST_CASE("large lists of every rank are read by blocks without a seam") {
  sluice::service s;
  testing::numbers n(8);
  for (const auto& [rows, columns] : {std::pair{200'000, 1}, {1, 200'000}, {300, 701}, {100'000, 2}}) {
    const int height = rows;  // clang 14 captures no structured binding
    CAPTURE(height);
    std::string body = "{\"a\":[";
    std::vector<double> sums;
    for (int r = 0; r < rows; ++r) {
      body.append(r == 0 ? "[" : ", [");
      double sum = 0;
      for (int c = 0; c < columns; ++c) {
        const auto x = n.below(100'000);
        if (c > 0) body += ',';
        body.append(std::to_string(x));
        sum += static_cast<double>(x);
      }
      body += ']';
      sums.push_back(sum);
    }
    const auto answer = post(s, "rowsum", cat(body, "],\"dtype\":\"f64\"}"), {{"Accept", "application/x-npy"}});
    REQUIRE(answer.status == 200);
    const std::string bytes = answer.text();
    const auto t = sluice::decode_npy(std::as_bytes(std::span(bytes)));
    REQUIRE(t.count() == rows);
    CHECK(std::equal(sums.begin(), sums.end(), static_cast<const double*>(t.data())));
    check_problem(post(s, "rowsum", cat(body, ",[1,2,3]]}")), 422, "rows must be equally long");
    body.insert(body.begin() + static_cast<std::ptrdiff_t>(body.size() / 2), 'x');
    CHECK(post(s, "rowsum", cat(body, "]}")).status == 400);
  }
}

TEST_CASE("whole numbers in any form are integers, and exponents have any number of digits") {
  echo_service s;
  for (const char* type : {"i32", "i64"})
    CHECK(result(post(s, "echo",
                      body_of("[1.0, 1e2, -0.0, 120e-1, 0.5E+1, 3000000000000e-12, -7.000, 0e99999999999999999999]",
                              type))) == "[1,100,0,12,5,3,-7,0]");
  CHECK(result(post(s, "echo", body_of("[255.0, 2.55e2, 0e-99999999999999999999]", "u8"))) == "[255,255,0]");
  CHECK(result(post(s, "echo", body_of("[-9223372036854775808.0, 9.223372036854775807e18, 9007199254740993e0]", "i64"))) ==
        "[-9223372036854775808,9223372036854775807,9007199254740993]");
  const auto refuse_in = [&](const char* number, const char* type) {
    check_problem(post(s, "echo", body_of(cat("[", number, "]"), type)), 422, "no whole number between");
  };
  for (const char* number : {"0.5", "1.25e1", "1e-1", "1e-99999999999999999999", "1e99999999999999999999", "9.3e18", "1e19",
                             "-9223372036854775809.0"})
    refuse_in(number, "i64");
  for (const char* number : {"256.0", "-1.0", "2.56e2"}) refuse_in(number, "u8");
  for (const char* type : {"f32", "f64"}) {
    CHECK(result(post(s, "echo",
                      body_of("[1e-99999999999999999999, -1e-99999999999999999999, 0e99999999999999999999, 2]", type))) ==
          "[0,-0.0,0,2]");
    check_problem(post(s, "echo", body_of("[1e99999999999999999999]", type)), 422, "it overflows");
  }
}

TEST_CASE("a body that is not JSON is called so, whatever else is wrong with it") {
  echo_service s;
  for (const char* body : {R"({"a":[0.5],"dtype":"i32")", R"({"b":[1]} x)", R"({"a":["x"], nul})", R"({"a":[[1],[1,2]]]})",
                           R"({"a":[],"b":"\q"})", R"({"a":{"b":[1]},})"})
    CHECK_MESSAGE(post(s, "echo", body).status == 400, body);
  for (const char* body : {R"({"a":[0.5],"dtype":"i32"})", R"({"b":[1]})", R"({"a":["x"]})", R"({"a":[[1],[1,2]]})"})
    CHECK_MESSAGE(post(s, "echo", body).status == 422, body);
}

TEST_CASE("NaN and infinities as the client wants them") {
  echo_service s;
  const float inf = std::numeric_limits<float>::infinity();
  const auto body = encode_npy(sluice::tensor::of<float>({{1.5f, std::nanf("")}, {inf, -inf}}));
  const auto ask = [&](std::string query, std::string path = "/v1/echo") {
    return testing::ask(s, std::move(path), std::move(query), body,
                        {{"Content-Type", "application/x-npy"}, {"Accept", "application/json"}});
  };
  check_problem(ask(""), 422, "ask for application/x-npy, or for ?nonfinite=null or ?nonfinite=string");
  CHECK(result(ask("nonfinite=null")) == "[[1.5,null],[null,null]]");
  CHECK(result(ask("nonfinite=string")) == R"([[1.5,"NaN"],["Infinity","-Infinity"]])");
  CHECK(result(ask("x=1&nonfinite=%6eull")) == "[[1.5,null],[null,null]]");
  for (const char* wrong : {"nonfinite=NaN", "nonfinite=", "nonfinite=null&nonfinite=null", "nonfinite=%zz"})
    CHECK_MESSAGE(ask(wrong).status == 400, wrong);
  CHECK(result(ask("columns=2&nonfinite=string", "/v1/rowsum/stream")) == R"(["NaN","NaN"])");
  CHECK(result(ask("nonfinite=null", "/v1/rowsum/stream")) == "[null,null]");
  const auto infer = testing::ask(s, "/v2/models/echo_fp64/infer", "nonfinite=string",
                                  R"({"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[1]}]})");
  CHECK(infer.status == 200);
}
