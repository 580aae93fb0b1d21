// Files that are refused, each with its reason, and inputs that a model does not take.
#include <algorithm>

#include "files.hpp"
#include "model_testing.hpp"

using namespace testing;
using sluice::model;

namespace {

#define CHECK_NOT_LOADED(name, code, ...) CHECK_REFUSED(model::load(model_file(name)), code, name, __VA_ARGS__)

// Whether bytes give a model that runs, or an error of ours: anything else ends the program.
std::string outcome(const std::string& path) {
  try {
    const auto m = model::load(path);
    std::vector<tensor> inputs;
    for (const auto& f : m.inputs()) {
      shape s{std::span(f.extents)};
      for (auto& extent : s) extent = extent < 0 ? 2 : std::min<std::int64_t>(extent, 100);
      inputs.push_back(tensor::zeros(s, f.dtype));
    }
    static_cast<void>(m.run(inputs));
    return "runs";
  } catch (const sluice::error& e) {
    return std::string(name_of(e.code()));
  }
}

}  // namespace

TEST_CASE("files that are none") {
  CHECK_NOT_LOADED("none.onnx", io, "No such file or directory");
  CHECK_NOT_LOADED("none/model.onnx", io, "No such file or directory");
  CHECK_NOT_LOADED("external", io, "it is a directory");
  CHECK_REFUSED(model::load("/dev/null"), io, "it is a character device");
  const folder f;
  write_file(f / "empty.onnx", "");
  CHECK_REFUSED(model::load(f / "empty.onnx"), malformed, "empty.onnx (0 bytes)", "truncated");
  write_file(f / "text.onnx", "This is no model, but a text of some length.\n");
  CHECK_REFUSED(model::load(f / "text.onnx"), malformed, "text.onnx (45 bytes)", "truncated or no ONNX");
  write_file(f / "ort.onnx", std::string("\x20\0\0\0ORTM", 8) + std::string(100, '\0'));  // the engine's own format
  CHECK_REFUSED(model::load(f / "ort.onnx"), malformed, "no ONNX");
}

TEST_CASE("models of what is not known") {
  CHECK_NOT_LOADED("bad/op.onnx", unsupported, "NoSuchOp");
  CHECK_NOT_LOADED("bad/domain.onnx", unsupported, "no.such");
  CHECK_NOT_LOADED("bad/opset.onnx", unsupported, "1000");
  CHECK_NOT_LOADED("bad/version.onnx", unsupported, ": Unsupported model IR version: 1000");
  CHECK_NOT_LOADED("bad/string.onnx", unsupported, "input \"x\" has elements of ONNX's type 8", "f16, bf16");
  CHECK_NOT_LOADED("bad/bool.onnx", unsupported, "input \"x\" has elements of ONNX's type 9");
  CHECK_NOT_LOADED("bad/sequence.onnx", unsupported, "output \"y\" is no tensor");
  CHECK_NOT_LOADED("bad/shapeless.onnx", unsupported, "input \"x\" has no shape");
  CHECK_NOT_LOADED("bad/rank.onnx", unsupported, "input \"x\" has 9 dimensions, and 8 are the most");
  CHECK_NOT_LOADED("bad/circle.onnx", malformed, "acyclic");
  CHECK_NOT_LOADED("bad/shapes.onnx", malformed, "9");
}

TEST_CASE("every truncation of a file is refused") {
  const folder f;
  const auto whole = read_file(model_file("mlp.onnx"));
  REQUIRE(whole.size() > 300);
  REQUIRE(outcome(model_file("mlp.onnx")) == "runs");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    write_file(f / "part.onnx", std::string_view(whole).substr(0, size));
    CHECK_REFUSED(model::load(f / "part.onnx"), malformed, "part.onnx (" + std::to_string(size) + " bytes)");
  }
  const auto large = read_file(model_file("resnet18.onnx"));
  for (const std::size_t size : {std::size_t{4096}, large.size() / 2, large.size() - 1}) {
    write_file(f / "part.onnx", std::string_view(large).substr(0, size));
    CHECK_REFUSED(model::load(f / "part.onnx"), malformed, "truncated");
  }
}

TEST_CASE("no change of a byte ends the process") {
  const folder f;
  const auto whole = read_file(model_file("mlp.onnx"));
  numbers n(11);
  int refusals = 0;
  for (int i = 0; i < 600; ++i) {
    std::string changed = whole;
    changed[static_cast<std::size_t>(n.below(static_cast<std::int64_t>(whole.size())))] = static_cast<char>(n.next());
    write_file(f / "changed.onnx", changed);
    refusals += outcome(f / "changed.onnx") == "runs" ? 0 : 1;
  }
  CHECK(refusals > 100);
}

TEST_CASE("data outside the model's folder is not read") {
  const std::string_view rule = "a path relative to the model's folder, and not leave that";
  CHECK_NOT_LOADED("external/parent.onnx", malformed, "tensor \"w1\"", "\"../outside.bin\"", rule);
  CHECK_NOT_LOADED("external/another_field.onnx", malformed, "tensor \"w1\"", "\"../outside.bin\"", rule);
  CHECK_NOT_LOADED("external/another_type.onnx", malformed, "tensor \"w1\"", "\"../outside.bin\"", rule);
  CHECK_NOT_LOADED("external/parent_within.onnx", malformed, "\"below/../data.bin\"", rule);
  CHECK_NOT_LOADED("external/absolute.onnx", malformed, "/outside.bin\"", rule);
  CHECK_NOT_LOADED("external/memory.onnx", malformed, "\"*/_ORT_MEM_ADDR_/*\"", rule);
  CHECK_NOT_LOADED("external/link.onnx", malformed, "\"link.bin\": that is a link to a place outside the model's folder");
  CHECK_NOT_LOADED("external/link_folder.onnx", malformed, "\"folder/outside.bin\": that is a link to a place outside");
  for (const char* name :
       {"external/in_constant.onnx", "external/in_subgraph.onnx", "external/in_sparse.onnx", "external/in_function.onnx"})
    CHECK_NOT_LOADED(name, malformed, "tensor \"w\"", "\"../outside.bin\"", rule);
}

TEST_CASE("data that is not all there") {
  CHECK_NOT_LOADED("external/missing.onnx", malformed, "\"none.bin\": No such file or directory");
  CHECK_NOT_LOADED("external/folder_itself.onnx", malformed, "\"below\": that is no regular file");
  CHECK_NOT_LOADED("external/short.onnx", malformed, "that has 128 bytes, and 128 from byte 4 on are needed");
  CHECK_NOT_LOADED("external/no_number.onnx", malformed, "its offset or length is no number");
}

TEST_CASE("options that load() does not take") {
  const auto file = model_file("mlp.onnx");
  CHECK_REFUSED(model::load(file, {.where = sluice::device::automatic}), invalid_argument, "device automatic",
                "cpu and on cuda:N");
  CHECK_REFUSED(model::load(file, {.where = "metal"}), invalid_argument, "device metal:0");
  CHECK_REFUSED(model::load(file, {.largest_batch = -1}), invalid_argument, "largest_batch is -1: at least 1, or 0");
}

TEST_CASE("inputs that a model does not take") {
  const auto two = model::load(model_file("two.onnx"));
  const tensor a = tensor::zeros({2, 3}), b = tensor::zeros({2, 3}, dtype::i64);
  CHECK_REFUSED(two.run({a}), invalid_argument, "two.onnx: 1 tensor was given, and it has 2 inputs");
  CHECK_REFUSED(two.run({a, b, b}), invalid_argument, "3 tensors were given, and it has 2 inputs");
  CHECK_REFUSED(two.run({}), invalid_argument, "0 tensors were given");
  CHECK_REFUSED(two.run({a, a}), invalid_argument, "input \"b\" is f32 (2, 3): it takes i64 (any, 3)");
  CHECK_REFUSED(two.run({tensor::zeros({2, 4}), b}), invalid_argument, "input \"a\" is f32 (2, 4): it takes f32 (any, 3)");
  CHECK_REFUSED(two.run({tensor::zeros({2, 3, 1}), b}), invalid_argument, "input \"a\" is f32 (2, 3, 1)");
  CHECK_REFUSED(two.run({tensor::zeros({}), b}), invalid_argument, "input \"a\" is f32 ()");
  CHECK_REFUSED(two.run({a, tensor::zeros({4, 3}, dtype::i64)}), invalid_argument,
                "input \"a\" has 2 rows, input \"b\" 4: each needs as many");
  CHECK_REFUSED(two.run({tensor::zeros({0, 3}), tensor::zeros({0, 3}, dtype::i64)}), invalid_argument, "0 rows: at least 1");
  CHECK_REFUSED(model::load(model_file("fixed.onnx")).run({tensor::zeros({3, 4})}), invalid_argument,
                "input \"x\" is f32 (3, 4): it takes f32 (2, 4)");
}

TEST_CASE("rows that depend on each other are neither split nor joined") {
  for (const char* name : {"bad/transposed.onnx", "bad/mixing.onnx"}) {
    CAPTURE(name);
    const auto m = model::load(model_file(name));
    CHECK_FALSE(m.is_batched());
    CHECK(m.largest_batch() == 1);
  }
  const auto m = model::load(model_file("bad/transposed.onnx"));
  CHECK(m.run({tensor::zeros({64, 32})}).front().shape() == shape{32, 64});
  CHECK(model::load(model_file("bad/free.onnx")).is_batched());
}

TEST_CASE("memory of a batch is bounded, and rows without elements are refused") {
  CHECK(model::load(model_file("bad/wide.onnx")).largest_batch() == 32);
  CHECK(model::load(model_file("bad/wide.onnx"), {.largest_batch = 1000}).largest_batch() == 31);
  CHECK_NOT_LOADED("bad/too_wide.onnx", limit_exceeded, "2147483648 bytes a row, and 1073741824 are the most");
  const auto m = model::load(model_file("bad/free.onnx"));
  CHECK_REFUSED(m.run({tensor::zeros({std::int64_t{1} << 40, 0})}), invalid_argument,
                "(1099511627776, 0), and has no elements");
}

TEST_CASE("an output that is not what the file says") {
  const auto m = model::load(model_file("bad/output.onnx"));
  CHECK_REFUSED(m.run({tensor::zeros({2, 3})}), unsupported, "output.onnx: output \"y\" is f32 (2, 1): its file says f32",
                "3)");
  CHECK_REFUSED(m.warm(), unsupported, "output \"y\" is f32 (1, 1)");
}

TEST_CASE("values that the engine refuses are the caller's") {
  const auto m = model::load(model_file("gather.onnx"));
  CHECK(m.run({tensor::of<std::int64_t>({4, 0, -5})}).front().shape() == shape{3, 2});
  CHECK_REFUSED(m.run({tensor::of<std::int64_t>({4, 5})}), invalid_argument, "gather.onnx: ", "indices", "5");
  CHECK(m.run({tensor::of<std::int64_t>({1})}).front().shape() == shape{1, 2});
}
