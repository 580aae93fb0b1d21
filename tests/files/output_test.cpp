#include "sluice/sluice.hpp"  // first: header-only, it brings the rooms in their order

#include "sluice/impl/files/output.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "files.hpp"
#include "testing.hpp"

using namespace sluice;
using base::file_identity;
using files::output;

namespace {

struct rooms {
  testing::folder here;
  std::string path = here / "out";
  std::string partial = here / "out.partial";
  std::string journal = here / "out.journal";
};

void put(output& out, std::int64_t offset, std::string_view text) { out.write(offset, testing::as_bytes(text)); }

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

// A run of its own process, which ends by die(): destructors do not run.
template <class F>
void killed(F&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

}  // namespace

TEST_CASE("a result appears whole, and nothing else stays") {
  const rooms r;
  testing::write_file(r.path, "old");
  std::filesystem::permissions(r.path, std::filesystem::perms(0640));
  {
    output out(r.path, "test");
    CHECK_FALSE(out.journal());
    out.start_over();
    put(out, 2, "cd");
    put(out, 0, "ab");
    out.sync("4");
    put(out, 4, "ef");
    CHECK(testing::read_file(r.path) == "old");
    CHECK(r.here.count() == 3);
    out.commit();
  }
  CHECK(testing::read_file(r.path) == "abcdef");
  CHECK(std::filesystem::status(r.path).permissions() == std::filesystem::perms(0640));
  CHECK(r.here.count() == 1);
}

TEST_CASE("a result in place of one that may not be written") {
  const rooms r;
  testing::write_file(r.path, "old");
  using std::filesystem::perms;
  std::filesystem::permissions(r.path, perms(0440));
  const auto may = [](const std::string& path) { return std::filesystem::status(path).permissions(); };
  {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "ab");
    out.sync("2");
    CHECK(may(r.partial) == perms(0640));  // or the next run could not open it
  }
  output out(r.path, "test");
  CHECK(out.journal() == "2");
  out.go_on(2);
  out.commit();
  CHECK(may(r.path) == perms(0440));
  CHECK(testing::read_file(r.path) == "ab");
}

TEST_CASE("who may not read the result may not read its journal") {
  const rooms r;
  using std::filesystem::perms;
  const auto may = [](const std::string& path) { return std::filesystem::status(path).permissions(); };
  const auto before = ::umask(022);
  for (const auto mode : {perms(0600), perms(0644)}) {
    testing::write_file(r.path, "old");
    std::filesystem::permissions(r.path, mode);
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "ab");
    out.sync("2");
    CHECK(may(r.partial) == mode);
    CHECK(may(r.journal) == mode);
    out.start_over();
  }
  std::filesystem::remove(r.path);
  testing::write_file(r.partial, "");
  std::filesystem::permissions(r.partial, perms(0600));  // by who has the result made
  {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "ab");
    out.sync("2");
    CHECK(may(r.journal) == perms(0600));
    out.commit();
  }
  CHECK(may(r.path) == perms(0600));
  std::filesystem::remove(r.path);
  {
    output out(r.path, "test");  // as any program's
    out.start_over();
    out.sync("0");
    CHECK(may(r.journal) == perms(0644));
    out.commit();
  }
  CHECK(may(r.path) == perms(0644));
  ::umask(before);
}

TEST_CASE("a folder that cannot be synced is an error") {
  const rooms r;
  output out(r.path, "test");
  out.start_over();
  put(out, 0, "ab");
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const int next = ::dup(STDIN_FILENO);  // the least number that is free
  ::close(next);
  const rlimit low{static_cast<rlim_t>(next), old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &low);
  const std::string wrong = testing::refused([&] { out.commit(); }, error_code::io, {"Too many open files"});
  ::setrlimit(RLIMIT_NOFILE, &old);
  CHECK(wrong == "");
}

TEST_CASE("what was not synced goes, what was stays") {
  const rooms r;
  {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "abc");
  }
  CHECK(r.here.count() == 0);
  {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "abc");
    out.sync("3 bytes");
    put(out, 3, "lost");
  }
  CHECK(r.here.count() == 2);
  {
    const output looked_at(r.path, "test");  // refused for a changed input, say
    CHECK(looked_at.journal() == "3 bytes");
  }
  {
    output out(r.path, "test");
    CHECK(out.journal() == "3 bytes");
    out.go_on(3);
    put(out, 3, "def");
    out.commit();
  }
  CHECK(testing::read_file(r.path) == "abcdef");
  CHECK(r.here.count() == 1);
  {
    output out(r.path, "test");
    out.start_over();
    out.sync("0");
    out.discard();
  }
  CHECK(r.here.count() == 1);
}

TEST_CASE("a run that was killed") {
  const rooms r;
  killed([&] {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "abc");
    die();
  });
  CHECK(exists(r.partial));
  CHECK_FALSE(output(r.path, "test").journal());
  CHECK(r.here.count() == 0);
  const std::string long_text(100'000, 'j');
  killed([&] {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "abcdef");
    out.sync("first");
    out.sync("second\n" + long_text);
    put(out, 6, "ghi");
    die();
  });
  {
    output out(r.path, "test");
    CHECK(out.journal() == "second\n" + long_text);
    CHECK_REFUSED(out.go_on(10), io, r.partial.c_str(), "9 bytes", "the 10");
    out.go_on(6);
    CHECK(testing::read_file(r.partial) == "abcdef");
    out.start_over();
    CHECK(testing::read_file(r.partial).empty());
    CHECK_FALSE(exists(r.journal));
  }
  CHECK(r.here.count() == 0);
}

TEST_CASE("a journal of another partial file is none") {
  const rooms r;
  killed([&] {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "abc");
    out.sync("3");
    die();
  });
  SUBCASE("killed between the renaming and the journal's end") { std::filesystem::rename(r.partial, r.path); }
  SUBCASE("the partial file was replaced") {
    std::filesystem::copy_file(r.partial, r.here / "copy");
    std::filesystem::rename(r.here / "copy", r.partial);
  }
  {
    output out(r.path, "test");
    CHECK_FALSE(out.journal());
    out.start_over();
    CHECK_FALSE(exists(r.journal));
    put(out, 0, "new");
    out.commit();
  }
  CHECK(testing::read_file(r.path) == "new");
  CHECK(r.here.count() == 1);
}

TEST_CASE("a corrupt journal is an error, and stays until the run is started over") {
  const rooms r;
  const auto corrupt = [&](auto harm) {
    {
      output out(r.path, "test");
      out.start_over();
      put(out, 0, "abc");
      out.sync("rows 3");
    }
    std::string text = testing::read_file(r.journal);
    harm(text);
    testing::write_file(r.journal, text);
    CHECK_REFUSED(output(r.path, "test").journal(), io, r.journal.c_str(), "corrupt");
    CHECK(r.here.count() == 2);
    output out(r.path, "test");
    out.start_over();
    CHECK_FALSE(out.journal());
  };
  corrupt([](std::string& s) { s.back() = '4'; });
  corrupt([](std::string& s) { s.pop_back(); });
  corrupt([](std::string& s) { s += '3'; });
  corrupt([](std::string& s) { s.clear(); });
  corrupt([](std::string& s) { s[15] = '2'; });  // a version to come
  corrupt([](std::string& s) { s[s.find('\n') - 1] ^= 1; });
  CHECK(r.here.count() == 0);
}

TEST_CASE("nothing is written over that must not be") {
  const rooms r;
  testing::write_file(r.here / "in", "input");
  struct stat s {};
  ::stat((r.here / "in").c_str(), &s);
  const file_identity input{s.st_dev, s.st_ino};
  const auto refused = [&](const std::string& name, const char* word) {
    CHECK_REFUSED(output(r.path, "test", std::span(&input, 1)), invalid_argument, name.c_str(), word);
  };
  for (const std::string& name : {r.path, r.partial, r.journal, r.journal + ".tmp"}) {
    std::filesystem::create_hard_link(r.here / "in", name);
    refused(name, "input file");
    std::filesystem::remove(name);
    ::mkfifo(name.c_str(), 0600);
    refused(name, "a pipe");
    std::filesystem::remove(name);
  }
  std::filesystem::create_symlink("in", r.path);
  refused(r.path, "input file");
  std::filesystem::remove(r.path);
  std::filesystem::create_symlink("in", r.journal);
  refused(r.journal, "a symbolic link");
  std::filesystem::remove(r.journal);
  CHECK(testing::read_file(r.here / "in") == "input");
  CHECK_REFUSED(output("", "test"), invalid_argument, "0 bytes");
  CHECK_REFUSED(output(r.here / "no" + "/out", "test"), io, "No such file");
  const output first(r.path, "test");
  CHECK_REFUSED(output(r.path, "test"), io, r.partial.c_str(), "another process");
}

TEST_CASE("a file that may not grow") {
  const rooms r;
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto kept = std::signal(SIGXFSZ, SIG_IGN);
  {
    output out(r.path, "test");
    out.start_over();
    put(out, 0, "0123456789");
    out.sync("10");
    const rlimit low{4096, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &low);
    // The first 4,096 bytes fit, as a short write.
    CHECK_REFUSED(put(out, 10, std::string(5000, 'x')), io, r.partial.c_str(), "File too large", "byte 4096");
    CHECK_REFUSED(out.sync(std::string(5000, 'x')), io, r.journal.c_str(), "File too large");
    ::setrlimit(RLIMIT_FSIZE, &old);
  }
  std::signal(SIGXFSZ, kept);
  CHECK(r.here.count() == 2);
  output out(r.path, "test");
  CHECK(out.journal() == "10");
  out.go_on(10);
  put(out, 10, "x");
  out.commit();
  CHECK(testing::read_file(r.path) == "0123456789x");
}
