// What the files with POSIX calls share.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "file.hpp"

namespace sluice::stream {

inline std::string reason_of(int number) { return std::generic_category().message(number); }

inline identity identity_of(const struct stat& s) {
  return {static_cast<std::uint64_t>(s.st_dev), static_cast<std::uint64_t>(s.st_ino)};
}

inline const char* kind_of(const struct stat& s) {
  if (S_ISDIR(s.st_mode)) return "a directory";
  if (S_ISFIFO(s.st_mode)) return "a pipe";
  if (S_ISCHR(s.st_mode)) return "a character device";
  if (S_ISBLK(s.st_mode)) return "a block device";
  if (S_ISSOCK(s.st_mode)) return "a socket";
  if (S_ISLNK(s.st_mode)) return "a symbolic link";
  return "of an unknown kind";
}

// Until no signal interrupts it.
template <class Call>
auto retried(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace sluice::stream
