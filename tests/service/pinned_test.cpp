// What comes in for a device lies in memory that the device copies without staging. The fake backend says of each copy from
// the host which it was.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "files.hpp"
#include "service_testing.hpp"
#include "sluice/pipeline.hpp"

using namespace testing;
using sluice::device;
using sluice::service;
using sluice::tensor;

namespace {

struct copies {
  int pinned = 0;
  int staged = 0;
  bool operator==(const copies&) const = default;
};

// By the device, while f ran.
template <class F>
copies copies_of(F f) {
  const char* const path = std::getenv("SLUICE_FAKE_MARK");
  std::filesystem::remove(path);
  f();
  copies c;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    c.pinned += line == "pinned";
    c.staged += line == "staged";
  }
  return c;
}

std::string npy(const tensor& t) { return sluice::encode_npy(t); }

std::string json_of(int n) {
  return cat(R"({"a": [)", list(n, [](int) { return "1"; }), "]}");
}

std::string form(const tensor& a, const tensor& b) { return cat(part("a", npy(a)), part("b", npy(b)), "--cut--\r\n"); }

std::uint64_t pinned_allocations(const char* where) {
  return sluice::memory_statistics(where, sluice::memory::pinned).allocations;
}

constexpr copies none{0, 0}, one_pinned{1, 0}, two_pinned{2, 0}, one_staged{0, 1};

}  // namespace

TEST_CASE("a sleeping device is not woken by what may yet be refused") {
  service s({.device = "fake:1"});
  check_problem(post(s, "rowsum", R"({"a": [[1, 2], [3]]})"), 422, "a[1]");
  CHECK(sluice::awake_device() == device::cpu);
  CHECK(sluice::awake_device("fake:1") == device::cpu);
  CHECK(copies_of([&] { CHECK(result(post(s, "rowsum", json_of(3))) == "[3]"); }) == one_staged);  // wakes it
  CHECK(sluice::awake_device() == device("fake:1"));
  CHECK(sluice::awake_device("fake:1") == device("fake:1"));
  CHECK(sluice::awake_device("fake:0") == device::cpu);
  CHECK(sluice::awake_device("cpu") == device::cpu);
}

TEST_CASE("operands of a named device are decoded into its pinned memory") {
  service s({.device = "fake:1"});
  const tensor a = tensor::full({3, 5}, 2), b = tensor::full({5, 4}, 3);
  const tensor odd = tensor::full({7}, 1, sluice::dtype::u8);  // puts what follows it askew
  const auto ask = [&](const char* name, std::string_view body, const headers& type) {
    CHECK(post(s, name, body, type).status == 200);
  };
  CHECK(copies_of([&] { ask("rowsum", json_of(3), {}); }) == one_pinned);
  CHECK(copies_of([&] { ask("rowsum", json_of(30'000), {}); }) == one_pinned);
  CHECK(copies_of([&] { ask("rowsum", npy(a), npy_type); }) == one_pinned);
  CHECK(copies_of([&] { ask("rowsum", npy(tensor::full({300, 100}, 1)), npy_type); }) == one_pinned);
  CHECK(copies_of([&] { ask("matmul", form(a, b), multipart_type); }) == two_pinned);
  CHECK(copies_of([&] { ask("matmul", R"({"a": [[1, 2]], "b": [[1], [1]]})", {}); }) == two_pinned);
  s.add({.name = "second",
         .inputs = {{.name = "a", .dtypes = {sluice::dtype::u8}}, {.name = "b"}},
         .outputs = {{.name = "result"}},
         .run = [](std::span<const tensor> in, const sluice::call_context& c) {
           return std::vector{sluice::rowsum(in[1], c.where)};
         }});
  CHECK(copies_of([&] { ask("second", form(odd, b), multipart_type); }) == one_pinned);
}

TEST_CASE("so are those of the Open Inference Protocol, in JSON and in binary") {
  service s({.device = "fake:1"});
  const auto infer = [&](const char* model, const std::string& json, std::string_view data, const headers& with) {
    CHECK(send(s, "POST", cat("/v2/models/", model, "/infer"), json + std::string(data), with).status == 200);
  };
  const std::string json = R"({"inputs":[{"name":"a","datatype":"FP32","shape":[3],"data":[1,2,3]}]})";
  CHECK(copies_of([&] { infer("rowsum", json, "", {}); }) == one_pinned);
  for (const std::size_t askew : {0u, 1u}) {
    const auto binary = [](std::string_view name) {
      return cat(R"({"name":")", name, R"(","datatype":"FP32","shape":[1,1],"parameters":{"binary_data_size":4}})");
    };
    const std::string two = cat(R"({"inputs":[)", binary("a"), ",", binary("b"), "]}", std::string(askew, ' '));
    CHECK(copies_of([&] {
            infer("matmul", two, "12345678", {{"Inference-Header-Content-Length", std::to_string(two.size())}});
          }) == two_pinned);
  }
}

TEST_CASE("where the device is left to choose, only large ones are, and those of the CPU never") {
  service automatic, on_cpu({.device = "cpu"});
  for (service* s : {&automatic, &on_cpu})
    s->add({.name = "there",
            .inputs = {{.name = "a"}},
            .outputs = {{.name = "result"}},
            .run = [](std::span<const tensor> in, const sluice::call_context&) {
              return std::vector{sluice::rowsum(in[0].to("fake:1"))};
            }});
  CHECK(copies_of([&] { CHECK(post(automatic, "there", json_of(300)).status == 200); }) == one_staged);
  CHECK(copies_of([&] { CHECK(post(automatic, "there", json_of(30'000)).status == 200); }) == one_pinned);
  CHECK(copies_of([&] { CHECK(post(on_cpu, "there", json_of(30'000)).status == 200); }) == one_staged);
  const auto before = pinned_allocations("fake:1");
  CHECK(copies_of([&] { CHECK(post(on_cpu, "rowsum", json_of(30'000)).status == 200); }) == none);
  CHECK(pinned_allocations("fake:1") == before);
  CHECK(pinned_allocations("fake:0") == 0);
}

TEST_CASE("beyond what the pool keeps they come in plain memory") {
  service s({.device = "fake:1"});
  const auto sums = [&](std::int64_t columns) {
    const std::string body = npy(tensor::full({4, columns}, 1));
    return copies_of([&] { CHECK(post(s, "rowsum", body, npy_type).status == 200); });
  };
  CHECK(sums(30'000) == one_pinned);  // 480 KB, and the pool keeps 500
  CHECK(sums(35'000) == one_staged);  // 560 KB
}

TEST_CASE("rows of a file go to a device from its pinned memory") {
  const folder here;
  write_file(here / "rows.bin", std::string(1000 * 4 * 16, '\0'));
  const sluice::file_stream in(here / "rows.bin", {.columns = 16, .chunk_bytes = 6400});
  CHECK(copies_of([&] { sluice::rowsum_file(in, here / "sums.npy", {.where = "fake:1"}); }) ==
        copies{13, 0});  // 10 chunks, and the first three times more, to tell the stages apart
}
