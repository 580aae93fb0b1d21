// Memory, the process and its libraries.
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "files.hpp"
#include "sluice/impl/base/library.hpp"
#include "sluice/impl/base/memory.hpp"
#include "sluice/impl/base/process.hpp"

using namespace sluice::base;

TEST_CASE("memory is aligned and writable") {
  for (const std::size_t alignment : {std::size_t{64}, std::size_t{4096}, huge_page})
    for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, huge_page - 4096, huge_page, 3 * huge_page + 4096}) {
      if (alignment == huge_page && size % 4096 != 0) continue;  // whole pages
      CAPTURE(alignment);
      CAPTURE(size);
      void* const data = allocate_aligned(size, alignment);
      REQUIRE(data != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(data) % alignment == 0);
      std::memset(data, 1, size);
      free_aligned(data, size, alignment);
    }
  const auto sizes = system_memory();
  CHECK(sizes.total > 0);
  CHECK(sizes.free <= sizes.total);
}

TEST_CASE("cores, names and folders of the machine") {
  CHECK(usable_cores() >= 1);
#if defined(__linux__)
  cpu_set_t before, one;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(usable_cores() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
#endif
  CHECK(process_id() == ::getpid());
  CHECK(host_id().find(' ') != std::string::npos);
  CHECK(host_id() == host_id());
  char name[80] = "as it was";
  processor_name(name);
  CHECK(std::strlen(name) > 0);
}

TEST_CASE("lists of paths keep their empty entries") {
  CHECK(split_paths("") == std::vector<std::string>{""});
  CHECK(split_paths("/a") == std::vector<std::string>{"/a"});
  CHECK(split_paths(":/a::b:") == std::vector<std::string>{"", "/a", "", "b", ""});
}

TEST_CASE("the cache folder is the user's, and absolute") {
  const char* const home = std::getenv("HOME");
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const std::string home_before = home != nullptr ? home : "", cache_before = cache != nullptr ? cache : "";
  ::setenv("XDG_CACHE_HOME", "/some/cache", 1);
  CHECK(cache_folder() == "/some/cache");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/some/home", 1);
  CHECK(cache_folder().starts_with("/some/home/"));
  ::setenv("HOME", "relative", 1);
  CHECK(cache_folder() == "");
  home != nullptr ? ::setenv("HOME", home_before.c_str(), 1) : ::unsetenv("HOME");
  cache != nullptr ? ::setenv("XDG_CACHE_HOME", cache_before.c_str(), 1) : ::unsetenv("XDG_CACHE_HOME");
}

TEST_CASE("modules: a reason when one does not open, and what the process has loaded") {
  const testing::folder dir;
  testing::write_file(dir / "text.so", "no module");
  std::string reason;
  CHECK(open_module(dir / "text.so", reason) == nullptr);
  CHECK(reason.find("text.so") != std::string::npos);
  reason.clear();
  CHECK(open_module(dir / "none.so", reason) == nullptr);
  CHECK_FALSE(reason.empty());
#if defined(__linux__)
  void* const c = open_module("libc.so.6", reason);
  REQUIRE(c != nullptr);
  CHECK(find_symbol(c, "malloc") != nullptr);
  CHECK(find_symbol(c, "sluice_has_no_such_symbol") == nullptr);
  CHECK(find_loaded("libc.so.6", "malloc") == find_symbol(c, "malloc"));
  CHECK(find_loaded("libsluice-none.so", "malloc") == nullptr);
  const auto program = std::filesystem::canonical("/proc/self/exe");
  CHECK(own_folder() == program.parent_path().string());  // this code is linked into the program
#endif
  CHECK(std::string(module_suffix()) == ".so");
}
