// Which models a folder has, and why the rest of it is none.
#include "folder.hpp"

#include <doctest/doctest.h>

#include "files.hpp"
#include "labels.hpp"
#include "sluice/error.hpp"

namespace {

namespace fs = std::filesystem;
using namespace sluice::serving::models;

// in/ is given; out/ is not.
struct tree {
  tree() : in(root / "in") { write("out/1/model.onnx"); }
  void write(const std::string& path, std::string_view text = "x") const {
    const fs::path whole = root / path;
    fs::create_directories(whole.parent_path());
    testing::write_file(whole.string(), text);
  }
  void link(const std::string& to, const std::string& path) const {
    fs::create_directories((fs::path(root / path)).parent_path());
    fs::create_symlink(to, root / path);
  }
  [[nodiscard]] std::string reason(const std::string& path) const {
    for (const auto& i : list_models(in).ignored)
      if (i.path == path) return i.reason;
    return "it is not ignored";
  }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& m : list_models(in).models)
      for (const auto& v : m.versions) all.push_back(m.name + " " + std::to_string(v.number));
    return all;
  }

  testing::folder root;
  const fs::path in;
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("versions are numbers, and in their order") {
  const tree t;
  for (const char* path : {"in/b/10/model.onnx", "in/b/9/model.onnx", "in/a-1_X/1/model.onnx"}) t.write(path);
  CHECK(t.names() == std::vector<std::string>{"a-1_X 1", "b 9", "b 10"});
  for (const char* name : {"0", "01", "-1", "+1", "1.0", "v1", "99999999999999999999", "1 "}) {
    t.write(std::string("in/b/") + name + "/model.onnx");
    CHECK_MESSAGE(has(t.reason(std::string("b/") + name), "positive integer"), name);
  }
  CHECK(t.names().size() == 3);
}

TEST_CASE("what is no model is ignored with a reason, what is hidden without one") {
  const tree t;
  t.write("in/README.md");
  t.write("in/.git/1/model.onnx");
  t.write("in/a/1/model.onnx");
  t.write("in/a/config.pbtxt");
  t.write("in/a/.tmp/model.onnx");
  t.write("in/a/2/other.onnx");
  t.write("in/a/3");
  t.write("in/a b/1/model.onnx");
  t.write("in/" + std::string(65, 'n') + "/1/model.onnx");
  fs::create_directories(t.in / "a/4/model.onnx");
  CHECK(t.names() == std::vector<std::string>{"a 1"});
  CHECK(has(t.reason("README.md"), "not a folder"));
  CHECK(has(t.reason("a/config.pbtxt"), "neither a version"));
  CHECK(has(t.reason("a/2"), "no model.onnx"));
  CHECK(has(t.reason("a/3"), "not a folder"));
  CHECK(has(t.reason("a/4/model.onnx"), "not a file"));
  CHECK(has(t.reason("a b"), "letters, digits"));
  CHECK(has(t.reason(std::string(65, 'n')), "1 to 64"));
  CHECK(list_models(t.in).ignored.size() == 8);  // model.onnx and its version
}

TEST_CASE("links are followed within the folder, and refused where they lead out") {
  const tree t;
  t.write("in/..data/kept/1/model.onnx");  // as Kubernetes mounts volumes
  t.link("..data/kept", "in/kept");
  t.link("../out", "in/whole");
  t.link("../../out/1", "in/version/1");
  t.link("../../../out/1/model.onnx", "in/file/1/model.onnx");
  t.link("/etc/passwd", "in/..data/kept/labels.txt");
  t.link("nowhere", "in/broken");
  CHECK(t.names() == std::vector<std::string>{"kept 1"});
  for (const char* path : {"whole", "version/1", "file/1/model.onnx", "kept/labels.txt"})
    CHECK_MESSAGE(has(t.reason(path), "leads out of the folder"), std::string(path));
  CHECK(has(t.reason("broken"), "No such file"));
  CHECK_FALSE(list_models(t.in).models.at(1).versions.at(0).labels);
}

TEST_CASE("a version's own image.json and labels.txt come before the model's") {
  const tree t;
  for (const char* path : {"a/1/model.onnx", "a/2/model.onnx", "a/image.json", "a/labels.txt", "a/2/image.json"})
    t.write(std::string("in/") + path);
  const auto m = list_models(t.in).models.at(0);
  CHECK(m.versions[0].image_json == fs::canonical(t.in / "a/image.json"));
  CHECK(m.versions[1].image_json == fs::canonical(t.in / "a/2/image.json"));
  CHECK(m.versions[1].labels == fs::canonical(t.in / "a/labels.txt"));
}

TEST_CASE("one model is found by its name, and none by a path") {
  const tree t;
  t.write("in/a/1/model.onnx");
  std::vector<ignored_entry> ignored;
  CHECK(find_model(t.in, "a", ignored)->versions.size() == 1);
  for (const char* name : {"b", "", ".", "..", "../out", "a/1", "/etc"}) CHECK_FALSE(find_model(t.in, name, ignored));
  CHECK_THROWS_WITH_AS(list_models(t.in / "none"), doctest::Contains("cannot be read"), sluice::error);
  CHECK_THROWS_WITH_AS(list_models(t.in / "a/1/model.onnx"), doctest::Contains("cannot be read"), sluice::error);
}

TEST_CASE("labels are lines, as many as there are classes") {
  const tree t;
  const auto labels = [&](std::string_view text, std::int64_t classes) {
    t.write("labels.txt", text);
    return read_labels(fs::path(t.root / "labels.txt"), classes);
  };
  CHECK(labels("tench\nhen of the woods\n", 2) == std::vector<std::string>{"tench", "hen of the woods"});
  CHECK(labels("a\r\nb", 2) == std::vector<std::string>{"a", "b"});
  CHECK_THROWS_WITH_AS(labels("a\nb\n", 3), doctest::Contains("2 lines, and the model 3 classes"), sluice::error);
  CHECK_THROWS_WITH_AS(labels("", 1), doctest::Contains("0 lines"), sluice::error);
  CHECK_THROWS_WITH_AS(labels("a\n\nb\n", 3), doctest::Contains("line 2 is empty"), sluice::error);
  CHECK_THROWS_WITH_AS(labels("\xff\n", 1), doctest::Contains("UTF-8"), sluice::error);
  CHECK_THROWS_WITH_AS(read_labels(fs::path(t.root / "none"), 1), doctest::Contains("none"), sluice::error);
}
