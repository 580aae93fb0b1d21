// Files that clients name: inside the directories, and never a byte outside.
#include "data_directories.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sluice/error.hpp"
#include "http/http_error.hpp"

using sluice::serving::data_directories;

namespace {

namespace fs = std::filesystem;

// in/ and also/ are given; out/ is not.
struct tree {
  tree() : root(fs::temp_directory_path() / ("sluice-files-" + std::to_string(::getpid()))) {
    for (const char* d : {"in/sub", "also", "out"}) fs::create_directories(root / d);
    write("in/a.npy", "a");
    write("in/sub/b.npy", "b");
    write("in/%2e%2e", "percent");
    write("also/a.npy", "second");
    write("also/c.npy", "c");
    write("out/secret", "secret");
    fs::create_symlink(root / "out/secret", root / "in/absolute");
    fs::create_symlink("../out/secret", root / "in/relative");
    fs::create_symlink("../out", root / "in/folder");
    fs::create_symlink("sub/b.npy", root / "in/within");
    fs::create_symlink("/proc/self/root", root / "in/magic");
    REQUIRE(::mkfifo((root / "in/pipe").c_str(), 0600) == 0);
  }
  ~tree() { fs::remove_all(root); }
  void write(const char* path, const char* text) const { std::ofstream(root / path) << text; }

  fs::path root;
};

std::string read(const data_directories& d, std::string_view path) {
  const auto file = d.open(path);
  char bytes[16];
  const auto n = ::read(file.get(), bytes, sizeof bytes);
  REQUIRE(n >= 0);
  return {bytes, static_cast<std::size_t>(n)};
}

int status(const data_directories& d, std::string_view path) try {
  static_cast<void>(d.open(path));
  return 200;
} catch (const sluice::serving::http_error& e) {
  return e.status;
}

}  // namespace

TEST_CASE("files under data directories") {
  const tree t;
  data_directories d({(t.root / "in").string(), (t.root / "also").string()});
  for (const auto means : {data_directories::means::best, data_directories::means::walk}) {
    CAPTURE(static_cast<int>(means));
    d.use(means);
    CHECK(read(d, "a.npy") == "a");  // the first directory's
    CHECK(read(d, "c.npy") == "c");
    CHECK(read(d, "sub/b.npy") == "b");
    CHECK(read(d, "sub//./b.npy") == "b");
    CHECK(read(d, "%2e%2e") == "percent");  // a name as any other: nothing is decoded here
    for (const char* path : {"..", "../out/secret", "sub/../../out/secret", "/etc/passwd", "//etc/passwd", "absolute",
                             "relative", "folder/secret", "within", "magic", "magic/etc/passwd", "sub", ".", "pipe"}) {
      CAPTURE(path);
      CHECK(status(d, path) == 403);
    }
    const auto outside = t.root / "out/secret";
    CHECK(status(d, outside.string()) == 403);
    CHECK(status(d, std::string("a.npy\0.txt", 10)) == 403);
    for (const std::string& path : {std::string(), std::string("none"), std::string("none/a.npy"), std::string("a.npy/x"),
                                    std::string("%2e%2e/out/secret"), std::string("%2e%2e%2fout%2fsecret"),
                                    std::string(300, 'x'), std::string(10'000, 'x')}) {
      CAPTURE(path);
      CHECK(status(d, path) == 404);
    }
  }
}

TEST_CASE("a directory stays the one that was given") {
  const tree t;
  const data_directories d({(t.root / "in").string()});
  fs::rename(t.root / "in", t.root / "moved");
  fs::create_symlink(t.root / "out", t.root / "in");
  CHECK(read(d, "a.npy") == "a");
  CHECK(status(d, "secret") == 404);
}

TEST_CASE("a directory that is none") {
  const tree t;
  CHECK_THROWS_AS(data_directories({(t.root / "none").string()}), sluice::error);
  CHECK_THROWS_AS(data_directories({(t.root / "in/a.npy").string()}), sluice::error);
  CHECK(status(data_directories({}), "a.npy") == 404);
}
