// What a client may set beside the inputs: endpoint::parameters, by the query, members of bodies, parts of forms and v2's
// parameters.
#include "v2_testing.hpp"

#include <algorithm>
#include <limits>

using namespace sluice;
using namespace testing;

namespace {

// The number and the place of the name that it was called with.
endpoint told() {
  return {.name = "told",
          .summary = "Its parameters",
          .inputs = {{.name = "a", .dtypes = {dtype::f64}}},
          .outputs = {{.name = "result", .dtypes = {dtype::f64}}},
          .run =
              [](std::span<const tensor>, const call_context& c) {
                return std::vector{tensor::of<double>({c.parameters[0], c.parameters[1]})};
              },
          .parameters = {{.name = "level", .summary = "A number", .usual = 0.5},
                         {.name = "how", .summary = "A name", .usual = 1, .choices = {"up", "down", "2"}}}};
}

struct told_service : service {
  told_service() { add(told()); }
};

std::string numbers(service& s, std::string query, std::string_view more = "") {
  return result(ask(s, "/v1/told", std::move(query), cat(R"({"a":1)", more, "}")));
}

}  // namespace

TEST_CASE("values come from the query, from JSON and from forms, and are the usual ones where none is set") {
  told_service s;
  CHECK(numbers(s, "") == "[0.5,1]");
  CHECK(numbers(s, "level=-1.5e2&how=up") == "[-150,0]");
  CHECK(numbers(s, "how=2", R"(,"level":3)") == "[3,2]");
  CHECK(numbers(s, "", R"(,"level":"3","how":"up")") == "[3,0]");
  CHECK(numbers(s, "", R"(,"how":2)") == "[0.5,2]");
  CHECK(numbers(s, "level=3", R"(,"level":3.0)") == "[3,1]");
  const auto form = cat("--cut\r\nContent-Disposition: form-data; name=level\r\n\r\n7\r\n",
                        part("a", encode_npy(tensor::full({}, 1, dtype::f64))), "--cut--");
  CHECK(result(ask(s, "/v1/told", "", form, {multipart_type[0], {"Accept", "application/json"}})) == "[7,1]");
}

TEST_CASE("and from the parameters of v2") {
  told_service s;
  const auto told = [&](std::string query, std::string_view parameters) {
    return ask(s, "/v2/models/told/infer", std::move(query),
               testing::request(input("a", "FP64", "[1]", R"("data":[1])"), cat(R"(,"parameters":)", parameters)));
  };
  CHECK(told("", R"({"level":2,"how":"up"})").text().find(R"("data":[2,0])") != std::string::npos);
  CHECK(told("level=2", R"({"how":"2","others":[1]})").text().find(R"("data":[2,2])") != std::string::npos);
  check_error(told("", R"({"level":"much"})"), 400, "it must be a number");
  check_error(told("level=2", R"({"level":3})"), 400, "asks for 2 as well");
}

TEST_CASE("what is no value of a parameter is refused") {
  told_service s;
  const auto refused = [&](std::string query, std::string_view more, int status, std::string_view words) {
    check_problem(ask(s, "/v1/told", std::move(query), cat(R"({"a":1)", more, "}")), status, words);
  };
  refused("level=1x", "", 400, R"([told] level is \"1x\": it must be a number)");
  refused("level=", "", 400, "it must be a number");
  refused("level=inf", "", 422, "it must be a finite number");
  refused("level=-1e400", "", 422, "it must be a finite number");
  refused("how=sideways", "", 400, "it must be up or down or 2");
  refused("level=1&level=1", "", 400, "twice");
  refused("", R"(,"level":true)", 422, "\\\"level\\\" is not a string, and not a number");
  refused("", R"(,"level":1,"level":1)", 422, "there twice");
  refused("how=up", R"(,"how":"down")", 400, "asks for up as well");
}

TEST_CASE("they are in the document") {
  told_service s;
  const auto text = send(s, "GET", "/openapi.json").text();
  const auto call = text.substr(text.find("\"/v1/told\""), 3000);
  CHECK(call.find(R"("name":"level","in":"query","description":"A number","schema":{"type":"number","default":0.5)") !=
        call.npos);
  CHECK(call.find(R"("enum":["up","down",2],"default":"down")") != call.npos);
}

TEST_CASE("ops that this build does not have are named, with the reason, where they would be") {
  sluice::service s;
  const auto ops = sluice::all_ops();
  CHECK(s.endpoints().size() + s.not_offered().size() ==
        static_cast<std::size_t>(std::count_if(ops.begin(), ops.end(), [](const auto* op) { return op->has_endpoint; })));
  for (const auto& sentence : s.not_offered()) {
    const auto name = sentence.substr(0, sentence.find(':'));
    check_problem(post(s, name, "{}"), 501, sentence.substr(name.size() + 2));
    CHECK(send(s, "GET", cat("/v2/models/", name)).status == 501);
  }
}

TEST_CASE("rows whose parameters the catalogue does not take") {
  service s;
  const auto refused = [&](std::vector<call_parameter> all) {
    auto row = told();
    row.parameters = std::move(all);
    CHECK_THROWS_AS(s.add(std::move(row)), error);
  };
  refused({{.name = "a b"}});
  refused({{.name = "k"}, {.name = "k"}});
  for (const char* reserved : {"nonfinite", "result_dtype", "dtype", "timeout", "a"}) refused({{.name = reserved}});
  refused({{.name = "k", .usual = 2, .choices = {"one", "two"}}});
  refused({{.name = "k", .usual = std::numeric_limits<double>::infinity()}});
}
