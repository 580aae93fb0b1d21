// Files: descriptors, status, reading and writing at offsets, locks, and replacing a file.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "files.hpp"
#include "sluice/impl/base/file.hpp"

using namespace sluice::base;
using testing::as_bytes;
using testing::folder;
using testing::write_file;

namespace {

bool is_open(int number) { return ::fcntl(number, F_GETFD) >= 0; }

file_descriptor opened(const std::string& path) {
  file_descriptor file;
  CHECK_FALSE(open_to_write(path, 0666, file));
  return file;
}

std::string contents(const file_descriptor& file, std::int64_t offset, std::size_t most) {
  std::string text(most, '\0');
  std::size_t done = 0;
  CHECK_FALSE(read_at(file, offset, std::as_writable_bytes(std::span(text)), done));
  text.resize(done);
  return text;
}

void write(const file_descriptor& file, std::int64_t offset, std::string_view text) {
  std::size_t done = 0;
  CHECK_FALSE(write_at(file, offset, as_bytes(text), done));
  CHECK(done == text.size());
}

std::string replaced(const std::string& path, const std::string& text) { return sluice::base::replace_file(path, text); }

}  // namespace

TEST_CASE("a descriptor owns its number") {
  const folder dir;
  int number = -1;
  {
    file_descriptor first = opened(dir / "a");
    number = first.get();
    CHECK(is_open(number));
    CHECK((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
    file_descriptor second(std::move(first));
    CHECK_FALSE(static_cast<bool>(first));  // NOLINT: what is left of it is defined
    CHECK(second.get() == number);
    first = std::move(second);
    CHECK(is_open(number));
  }
  CHECK_FALSE(is_open(number));
  CHECK_FALSE(static_cast<bool>(file_descriptor()));

  // A failed open closes what was held, and gives its own reason.
  file_descriptor file = opened(dir / "a");
  number = file.get();
  CHECK(open_to_read(dir / "none", links::follow, file) == std::errc::no_such_file_or_directory);
  CHECK_FALSE(static_cast<bool>(file));
  CHECK_FALSE(is_open(number));
}

TEST_CASE("status: identity, size, permissions and kind") {
  const folder dir;
  const file_descriptor file = opened(dir / "a");
  write(file, 0, "12345");
  file_status by_file, by_path, by_link, of_link, of_folder;
  std::filesystem::create_symlink(dir / "a", dir / "link");
  CHECK_FALSE(status_of(file, by_file));
  CHECK_FALSE(status_of(dir / "a", links::follow, by_path));
  CHECK_FALSE(status_of(dir / "link", links::follow, by_link));
  CHECK_FALSE(status_of(dir / "link", links::keep, of_link));
  CHECK_FALSE(status_of(dir / "", links::keep, of_folder));
  CHECK(by_file.size == 5);
  CHECK(by_file.other == nullptr);
  CHECK(by_file.changed > 1'600'000'000LL * 1'000'000'000);
  CHECK(by_path.id == by_file.id);
  CHECK(by_link.id == by_file.id);
  CHECK_FALSE(of_link.id == by_file.id);
  CHECK(std::string(of_link.other) == "a symbolic link");
  CHECK(std::string(of_folder.other) == "a directory");
  CHECK(status_of(dir / "none", links::follow, by_file) == std::errc::no_such_file_or_directory);
  CHECK(status_of(file_descriptor(), by_file) == std::errc::bad_file_descriptor);

  CHECK_FALSE(set_permissions(file, 0440, false));
  CHECK_FALSE(status_of(file, by_file));
  CHECK(by_file.permissions == 0440);
  CHECK_FALSE(set_permissions(file, 0040, true));
  CHECK_FALSE(status_of(file, by_file));
  CHECK(by_file.permissions == 0640);
}

TEST_CASE("opening: links, pipes and missing files") {
  const folder dir;
  write_file(dir / "a", "text");
  std::filesystem::create_symlink("a", dir / "link");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  file_descriptor file;
  CHECK_FALSE(open_to_read(dir / "link", links::follow, file));
  CHECK(contents(file, 0, 10) == "text");
  CHECK(open_to_read(dir / "link", links::keep, file) == std::errc::too_many_symbolic_link_levels);
  CHECK(open_to_write(dir / "link", 0666, file) == std::errc::too_many_symbolic_link_levels);
  CHECK_FALSE(open_to_read(dir / "pipe", links::keep, file));  // without waiting for a writer
  file_status found;
  CHECK_FALSE(status_of(file, found));
  CHECK(std::string(found.other) == "a pipe");

  const mode_t mask = ::umask(0);
  CHECK_FALSE(open_to_write(dir / "own", 0600, file));
  ::umask(mask);
  CHECK_FALSE(status_of(file, found));
  CHECK(found.permissions == 0600);
}

TEST_CASE("reads and writes at offsets, resize and sync") {
  const folder dir;
  const file_descriptor file = opened(dir / "a");
  expect_sequential(file);
  write(file, 3, "def");
  write(file, 0, "abc");
  CHECK(contents(file, 0, 100) == "abcdef");
  CHECK(contents(file, 4, 1) == "e");
  CHECK(contents(file, 6, 10).empty());  // the end
  CHECK_FALSE(resize(file, 2));
  CHECK(contents(file, 0, 10) == "ab");
  CHECK_FALSE(resize(file, 4));
  CHECK(contents(file, 0, 10) == std::string("ab\0\0", 4));
  CHECK_FALSE(sync(file));
  CHECK_FALSE(sync_folder(dir / ""));
  CHECK(sync_folder(dir / "none") == std::errc::no_such_file_or_directory);

  file_descriptor copy, reader;
  CHECK_FALSE(duplicate(file.get(), copy));
  CHECK(copy.get() != file.get());
  CHECK(contents(copy, 0, 2) == "ab");
  CHECK(duplicate(-1, copy) == std::errc::bad_file_descriptor);
  CHECK_FALSE(open_to_read(dir / "a", links::follow, reader));
  std::size_t done = 7;
  CHECK(write_at(reader, 0, as_bytes("x"), done) == std::errc::bad_file_descriptor);
  CHECK(done == 0);
}

TEST_CASE("an open file is known by its links and its place") {
  const folder here;
  const auto file = opened(here / "a");
  file_status before, after;
  CHECK_FALSE(status_of(file, before));
  CHECK(before.links == 1);
  CHECK(before.owner == (std::uint64_t{::geteuid()} << 32 | ::getegid()));
  std::filesystem::create_hard_link(here / "a", here / "b");
  CHECK_FALSE(status_of(file, after));
  CHECK(after.links == 2);
  CHECK(after.status_changed >= before.status_changed);
  const auto place = current_path(file);
  std::filesystem::rename(here / "a", here / "c");
  if (!place.empty()) {  // where the system tells
    CHECK(place.ends_with("/a"));
    CHECK(current_path(file).ends_with("/c"));
  }
}

TEST_CASE("folders are made with their permissions, and those that are there keep theirs") {
  const folder here;
  using std::filesystem::perms;
  const auto may = [&](std::string_view name) { return std::filesystem::status(here / name).permissions(); };
  const auto before = ::umask(022);
  CHECK_FALSE(make_folders(here / "a", 0755));
  CHECK_FALSE(make_folders(here / "a/b/c/", 0700));
  CHECK_FALSE(make_folders(here / "a/b/c", 0755));
  ::umask(before);
  CHECK(may("a") == perms(0755));
  CHECK(may("a/b") == perms(0700));
  CHECK(may("a/b/c") == perms(0700));
  write_file(here / "file", "");
  CHECK(make_folders(here / "file", 0700) == std::errc::not_a_directory);
  CHECK(make_folders(here / "file/in", 0700) == std::errc::not_a_directory);
  CHECK(make_folders("", 0700) == std::errc::no_such_file_or_directory);
}

TEST_CASE("a full disk is told from other failures") {
  CHECK(is_full({ENOSPC, std::generic_category()}));
  CHECK(is_full({EDQUOT, std::generic_category()}));
  CHECK(is_full({EFBIG, std::generic_category()}));
  CHECK_FALSE(is_full({EIO, std::generic_category()}));
  CHECK_FALSE(is_full({}));
  file_descriptor full;
  if (open_to_write("/dev/full", 0666, full)) return;
  std::size_t done = 0;
  CHECK(is_full(write_at(full, 0, as_bytes("x"), done)));
}

TEST_CASE("a lock excludes others until its file is closed") {
  const folder dir;
  const file_descriptor second = opened(dir / "lock");
  {
    const file_descriptor first = opened(dir / "lock");
    CHECK_FALSE(lock(first, true));
    CHECK(lock(second, true) == std::errc::operation_would_block);
    CHECK(lock(second, false) == std::errc::operation_would_block);
  }
  CHECK_FALSE(lock(second, true));
  CHECK(lock(file_descriptor(), true) == std::errc::bad_file_descriptor);
  CHECK_FALSE(lock(file_descriptor(), false));  // as a file system without locks
}

TEST_CASE("renaming and removing") {
  const folder dir;
  write_file(dir / "a", "new");
  write_file(dir / "b", "old");
  CHECK_FALSE(rename_file(dir / "a", dir / "b"));
  CHECK(testing::read_file(dir / "b") == "new");
  CHECK(rename_file(dir / "a", dir / "b") == std::errc::no_such_file_or_directory);
  CHECK_FALSE(remove_file(dir / "b"));
  CHECK(remove_file(dir / "b") == std::errc::no_such_file_or_directory);
}

TEST_CASE("a file without a name leaves nothing") {
  const folder dir;
  file_descriptor file;
  CHECK_FALSE(make_unnamed(dir / "", file));
  write(file, 0, "hidden");
  CHECK(contents(file, 0, 10) == "hidden");
  CHECK(dir.count() == 0);
  CHECK(make_unnamed(dir / "none", file) == std::errc::no_such_file_or_directory);
}

TEST_CASE("beneath a folder: no links and no way out, in one call and by steps") {
  const folder dir;
  std::filesystem::create_directories(dir / "root/in/deep");
  write_file(dir / "root/in/deep/file", "here");
  write_file(dir / "secret", "no");
  std::filesystem::create_symlink("in", dir / "root/link");
  std::filesystem::create_symlink("file", dir / "root/in/deep/last");
  file_descriptor root;
  CHECK_FALSE(open_folder(dir / "root", root));
  CHECK(open_folder(dir / "secret", root) == std::errc::not_a_directory);
  CHECK_FALSE(open_folder(dir / "root", root));
  std::filesystem::rename(dir / "root", dir / "moved");  // the descriptor follows
  for (const bool by_steps : {false, true}) {
    CAPTURE(by_steps);
    file_descriptor file;
    const auto open = [&](std::string_view path) { return open_beneath(root, path, by_steps, file); };
    CHECK_FALSE(open("in/deep/file"));
    CHECK(contents(file, 0, 10) == "here");
    CHECK_FALSE(open("./in//deep/file"));
    CHECK(open("link/deep/file") == std::errc::too_many_symbolic_link_levels);
    CHECK(open("in/deep/last") == std::errc::too_many_symbolic_link_levels);
    CHECK(open("../secret") == std::errc::cross_device_link);
    CHECK(open("in/none") == std::errc::no_such_file_or_directory);
    CHECK(open("in/deep/file/more") == std::errc::not_a_directory);
  }
}

TEST_CASE("replacing a file is whole or not at all") {
  const folder dir;
  const std::string path = dir / "made/here/file";
  CHECK(replaced(path, "first") == "");
  CHECK(testing::read_file(path) == "first");
  const std::string large(3 << 20, 'x');
  CHECK(replaced(path, large) == "");
  CHECK(testing::read_file(path) == large);
  CHECK(replaced(path, "") == "");
  CHECK(testing::read_file(path).empty());
  CHECK(std::distance(std::filesystem::directory_iterator(dir / "made/here"), {}) == 1);  // nothing temporary is left

  // A folder stands in its place.
  std::filesystem::create_directories(dir / "taken/by");
  const std::string why = replaced(dir / "taken", "text");
  CHECK(why.starts_with(dir / "taken"));
  CHECK(why.find(" cannot be put in place: ") != std::string::npos);
  CHECK(dir.count() == 2);
  write_file(dir / "plain", "");
  CHECK(replaced(dir / "plain/file", "text").find(" cannot be written: ") != std::string::npos);
}

TEST_CASE("reading a file whole has a limit") {
  const folder dir;
  write_file(dir / "a", "12345");
  std::string text;
  CHECK(read_file(dir / "a", 5, text) == "");
  CHECK(text == "12345");
  CHECK(read_file(dir / "a", 4, text) == "it has more than 4 bytes");
  CHECK(read_file(dir / "none", 4, text) == "it cannot be read: No such file or directory");
}

TEST_CASE("files are listed by prefix and suffix, in order") {
  const folder dir;
  for (const char* name : {"libsluice-b.so", "libsluice-a.so", "libsluice-.so", "libsluice-a.so.1", "other.so"})
    write_file(dir / name, "");
  const auto found = list_files(dir / "", "libsluice-", ".so");
  REQUIRE(found.size() == 2);
  CHECK(found[0].ends_with("/libsluice-a.so"));
  CHECK(found[1].ends_with("/libsluice-b.so"));
  CHECK(list_files(dir / "none", "", "").empty());
}

TEST_CASE("standard input: a pipe, its end, and a file with a position") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int before = ::dup(standard_input);
  REQUIRE(::dup2(ends[0], standard_input) == standard_input);
  ::fcntl(standard_input, F_SETFL, O_NONBLOCK);
  file_status found;
  std::int64_t position = 0;
  CHECK_FALSE(status_of_standard_input(found));
  CHECK(std::string(found.other) == "a pipe");
  CHECK(position_of_standard_input(position));
  const pid_t child = ::fork();
  if (child == 0) {
    ::usleep(50'000);
    ::_exit(::write(ends[1], "late", 4) == 4 ? 0 : 1);
  }
  ::close(ends[1]);
  std::byte out[16];
  std::size_t done = 0;
  CHECK_FALSE(read_standard_input(out, done));  // waits, though it was opened non-blocking
  CHECK(done == 4);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(read_standard_input(out, done));
  CHECK(done == 0);

  const folder dir;
  write_file(dir / "a", "12345");
  const int file = ::open((dir / "a").c_str(), O_RDONLY);
  REQUIRE(::dup2(file, standard_input) == standard_input);
  CHECK_FALSE(read_standard_input(std::span(out).first(2), done));
  CHECK_FALSE(position_of_standard_input(position));
  CHECK(position == 2);
  if (before >= 0) ::dup2(before, standard_input);
  for (const int number : {file, ends[0], before}) ::close(number);
}
