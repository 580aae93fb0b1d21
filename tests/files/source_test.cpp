#include "sluice/sluice.hpp"  // first: header-only, it brings the rooms in their order

#include "sluice/impl/files/source.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>

#include "files.hpp"
#include "testing.hpp"

using namespace sluice;
using files::callback_source;
using files::file;
using files::file_part;
using files::file_source;
using files::mapped_region;

namespace {

std::string text_of(std::size_t bytes, int seed = 0) {
  std::string s(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i)
    s[i] = static_cast<char>((i * 131 + i / 4096 + static_cast<std::size_t>(seed)) % 251);
  return s;
}

file_part part(const std::string& path, std::int64_t begin, std::int64_t bytes) {
  return {std::make_shared<const file>(path, "test"), begin, bytes};
}

std::string read(const files::source& in, std::int64_t at, std::size_t bytes) {
  std::string out(bytes, '?');
  in.read(at, std::as_writable_bytes(std::span(out)));
  return out;
}

std::string text(const mapped_region& w) { return {reinterpret_cast<const char*>(w.bytes().data()), w.bytes().size()}; }

std::string next(files::source& in, std::size_t bytes) {
  std::string out(bytes, '?');
  out.resize(in.next(std::as_writable_bytes(std::span(out))));
  return out;
}

// What becomes of a process of its own, in which no handler is installed yet: its exit code, or minus the signal that ended
// it.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

bool says(const std::function<void()>& body, error_code code, std::initializer_list<const char*> words) {
  try {
    body();
  } catch (const error& e) {
    return e.code() == code &&
           std::all_of(words.begin(), words.end(), [&](auto w) { return std::strstr(e.what(), w) != nullptr; });
  }
  return false;
}

void touch(const mapped_region& w) {
  for (const std::byte& b : w.bytes()) static_cast<void>(*static_cast<const volatile std::byte*>(&b));
}

// A fault in memory that is none of the library's: a mapped file of the test's own, cut to nothing.
void fault_elsewhere(const std::string& path) {
  testing::write_file(path, text_of(4096));
  const int fd = ::open(path.c_str(), O_RDWR);
  auto* const at = static_cast<volatile char*>(::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0));
  if (::ftruncate(fd, 0) == 0) static_cast<void>(at[0]);
}

}  // namespace

TEST_CASE("several files are read as one") {
  const testing::folder here;
  const std::string a = text_of(5000);
  const std::string b = text_of(3000, 7);
  testing::write_file(here / "a", "head" + a);
  testing::write_file(here / "b", b);
  testing::write_file(here / "none", "");
  file_source in({part(here / "a", 4, 5000), part(here / "none", 0, 0), part(here / "b", 0, 3000)}, true);
  CHECK(in.bytes() == 8000);
  CHECK(in.files().size() == 3);
  CHECK(read(in, 0, 8000) == a + b);
  CHECK(read(in, 4999, 2) == a.substr(4999) + b[0]);
  CHECK(read(in, 5000, 3000) == b);
  CHECK(read(in, 8000, 0).empty());
  CHECK_REFUSED(read(in, 7999, 2), internal, "8000");
  CHECK(next(in, 7000) == (a + b).substr(0, 7000));
  CHECK(next(in, 7000) == b.substr(2000));
  CHECK(next(in, 7000).empty());
  const std::int64_t half = INT64_MAX / 2 + 1;
  CHECK_REFUSED(file_source({part(here / "a", 0, half), part(here / "b", 0, half)}, false), malformed, "/b", "63 bits");
}

TEST_CASE("an identity is that of the bytes") {
  const testing::folder here;
  testing::write_file(here / "a", text_of(100));
  testing::write_file(here / "b", text_of(100));
  const auto print = [&](const char* first, const char* second, std::int64_t begin) {
    std::string all;
    for (const auto& [name, value] :
         file_source({part(here / first, begin, 100 - begin), part(here / second, 0, 100)}, false).identity())
      all += name + ' ' + value;
    return all;
  };
  const std::string once = print("a", "b", 0);
  CHECK(print("a", "b", 0) == once);
  CHECK(print("b", "a", 0) != once);
  CHECK(print("a", "b", 10) != once);
  const file_source in({part(here / "a", 0, 100)}, false);
  in.check_unchanged();
  std::filesystem::last_write_time(here / "a", std::filesystem::last_write_time(here / "a") + std::chrono::seconds(1));
  CHECK(print("a", "b", 0) != once);
  CHECK_REFUSED(in.check_unchanged(), io, "100 bytes", "changed while", "last written at");
}

TEST_CASE("a sample is of the first, the last and blocks between, and bounded") {
  const testing::folder here;
  const auto sample = [&](int blocks) { return file(here / "in", "test").sample(blocks); };
  for (const std::int64_t size : {0, 1, 4096, 4097, 10'000, 16 * 4096, 10 << 20}) {
    CAPTURE(size);
    const std::string text = text_of(static_cast<std::size_t>(size));
    testing::write_file(here / "in", text);
    const auto once = sample(16);
    CHECK(sample(16) == once);
    for (const std::int64_t at : {std::int64_t{0}, size / 3, size / 3 + 8192, size - 1}) {
      if (at < 0 || at >= size) continue;
      std::string other = text;
      other[static_cast<std::size_t>(at)] ^= 1;
      testing::write_file(here / "in", other);
      CHECK((sample(16) != once) ==
            (size <= 16 * 4096 || at != size / 3 + 8192));  // all of a small file, and places of a large one
      CHECK((sample(1) != sample(2)) == (size > 4096));
    }
  }
  std::filesystem::resize_file(here / "in", std::uintmax_t{1} << 42);  // as fast as any
  CHECK(sample(16) != 0);
}

TEST_CASE("bytes that come once") {
  std::string all = text_of(1000);
  std::size_t at = 0;
  std::size_t most = 7;
  const auto bring = [&](std::span<std::byte> out) {
    const std::size_t n = std::min({most, out.size(), all.size() - at});
    std::memcpy(out.data(), all.data() + at, n);
    at += n;
    return n;
  };
  callback_source in(bring, "the body");
  CHECK(in.peek(10).size() == 10);
  CHECK_REFUSED(read(in, 0, 1), invalid_argument, "the body", "once");
  SUBCASE("whole rows") {
    in.rows_begin(200, 100, -1);
    in.begin();
    CHECK(next(in, 150) == all.substr(200, 150));
    CHECK(next(in, 1000) == all.substr(350));
    CHECK(next(in, 1000).empty());
    CHECK_REFUSED(in.begin(), invalid_argument, "the body", "has been read");
  }
  SUBCASE("one call at a time") {
    in.rows_begin(0, 100, -1);
    std::byte out[100];
    CHECK(in.next_some(out) == 10);  // peeked at
    CHECK(in.next_some(out) == 7);
  }
  SUBCASE("a part of a row at the end") {
    in.rows_begin(10, 100, -1);
    CHECK_REFUSED(next(in, 1000), malformed, "the body", "990 bytes after byte 10", "90 are left over");
  }
  SUBCASE("fewer bytes than rows are known to have") {
    in.rows_begin(0, 100, 1100);
    CHECK_REFUSED(next(in, 1100), malformed, "1000 bytes", "100 fewer than the 1100");
  }
  SUBCASE("more bytes than that") {
    in.rows_begin(100, 100, 800);
    CHECK(next(in, 700) == all.substr(100, 700));
    CHECK_REFUSED(next(in, 100), malformed, "the body", "900");
  }
  SUBCASE("none at the offset") { CHECK_REFUSED(in.rows_begin(1001, 1, -1), malformed, "1000 bytes", "byte_offset 1001"); }
  SUBCASE("no rows") {
    in.rows_begin(1000, 1, -1);
    CHECK_REFUSED(next(in, 1), malformed, "1000 bytes", "no row");
  }
  SUBCASE("a function that throws, or cannot count") {
    callback_source failing([](std::span<std::byte>) -> std::size_t { throw std::runtime_error("torn"); }, "x");
    CHECK_THROWS_WITH(next(failing, 1), "torn");
    callback_source counting([](std::span<std::byte> out) { return out.size() + 1; }, "x");
    CHECK_REFUSED(next(counting, 5), invalid_argument, "returned 6 for a buffer of 5");
  }
}

TEST_CASE("a mapped region shows the file's bytes") {
  const testing::folder here;
  const std::string a = text_of(100'000);
  testing::write_file(here / "a", "head" + a);
  testing::write_file(here / "b", a);
  CHECK(in_child([&] {
          const file_source in({part(here / "a", 4, 100'000), part(here / "b", 0, 100'000)}, true);
          bool good = text(in.map(0, 100'000)) == a && text(in.map(5000, 9000)) == a.substr(5000, 9000);
          good = good && text(in.map(100'000, 100'000)) == a;
          good = good && in.map(99'999, 2).bytes().empty() && in.map(200'000, 1).bytes().empty() &&
                 in.map(5, 0).bytes().empty();
          mapped_region w = in.map(0, 10);
          w = in.map(20, 10);
          w.check();
          good = good && text(w) == a.substr(20, 10);
          // More than the handler's table holds at once, and more again after they are gone.
          for (int round = 0; round < 3; ++round) {
            std::vector<mapped_region> many;
            for (int i = 0; i < 300; ++i) many.push_back(in.map(i, 1));
            const auto live =
                std::count_if(many.begin(), many.end(), [](const mapped_region& x) { return !x.bytes().empty(); });
            good = good && live == 255;
          }
          return good && file_source({part(here / "a", 4, 100'000)}, false).map(0, 1).bytes().empty() ? 0 : 1;
        }) == 0);
}

TEST_CASE("a file that is cut short beneath a mapped region is an error") {
  const testing::folder here;
  const std::string path = here / "a";
  for (const std::uintmax_t left : {0u, 4096u, 5000u, 65'535u}) {
    testing::write_file(path, text_of(65'536));
    CHECK(in_child([&] {
            const file_source in({part(path, 0, 65'536)}, true);
            const mapped_region w = in.map(0, 65'536);
            const mapped_region other = in.map(0, 4096);
            if (w.bytes().empty()) return 1;
            w.check();
            std::filesystem::resize_file(path, left);
            touch(w);
            if (!says([&] { w.check(); }, error_code::io, {path.c_str(), "65536", std::to_string(left).c_str()})) return 2;
            if (left < 4096 && !says([&] { other.check(); }, error_code::io, {path.c_str()})) return 3;
            if (left >= 4096) other.check();
            // A new one is refused, and reading gives the reason.
            if (!says([&] { static_cast<void>(read(in, 0, 65'536)); }, error_code::io, {path.c_str(), "65536"})) return 4;
            if (!says(
                    [&] {
                      in.map(0, 65'536).check();
                      static_cast<void>(read(in, 0, 65'536));
                    },
                    error_code::io, {"65536"}))
              return 5;
            return 0;
          }) == 0);
  }
  // Grown again before anyone looks: what was read as zeros is still known.
  testing::write_file(path, text_of(65'536));
  CHECK(in_child([&] {
          const file_source in({part(path, 0, 65'536)}, true);
          const mapped_region w = in.map(4096, 20'000);
          std::filesystem::resize_file(path, 0);
          touch(w);
          std::filesystem::resize_file(path, 65'536);
          return says([&] { w.check(); }, error_code::io, {path.c_str(), "bytes 4096 to 24096"}) ? 0 : 1;
        }) == 0);
}

TEST_CASE("a SIGBUS that is not the library's goes where it went before") {
  const testing::folder here;
  testing::write_file(here / "a", text_of(4096));
  const auto map_one = [&] { return !file_source({part(here / "a", 0, 4096)}, true).map(0, 4096).bytes().empty(); };
  const auto installed = [](auto fill) {
    struct sigaction s {};
    fill(s);
    ::sigaction(SIGBUS, &s, nullptr);
  };
  const auto with_information = [](struct sigaction& s) {
    s.sa_flags = SA_SIGINFO;
    s.sa_sigaction = [](int number, siginfo_t* info, void* context) {
      ::_exit(number == SIGBUS && info->si_addr != nullptr && context != nullptr ? 7 : 8);
    };
  };
  const auto plain = [](struct sigaction& s) { s.sa_handler = [](int number) { ::_exit(number == SIGBUS ? 9 : 8); }; };
  const auto ended_by = [&](auto fill, auto cause) {
    return in_child([&] {
      installed(fill);
      if (!map_one()) return 1;
      cause();
      return 0;
    });
  };
  const auto fault = [&] { fault_elsewhere(here / "b"); };
  const auto sent = [] { ::raise(SIGBUS); };
  const auto usual = [](struct sigaction& s) { s.sa_handler = SIG_DFL; };
  const auto ignored = [](struct sigaction& s) { s.sa_handler = SIG_IGN; };
  CHECK(ended_by(with_information, fault) == 7);
  CHECK(ended_by(plain, fault) == 9);
  CHECK(ended_by(plain, sent) == 9);
  CHECK(ended_by(usual, fault) == -SIGBUS);
  CHECK(ended_by(usual, sent) == -SIGBUS);
  CHECK(ended_by(ignored, fault) == -SIGBUS);  // the kernel's rule
  CHECK(ended_by(ignored, sent) == 0);
  // Whoever takes our place is left there, and nothing is mapped.
  CHECK(in_child([&] {
          if (!map_one()) return 1;
          installed(plain);
          return map_one() ? 2 : 0;
        }) == 0);
}
