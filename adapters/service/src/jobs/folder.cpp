#include "jobs/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "sluice/error.hpp"

namespace sluice::http::jobs {
namespace {

constexpr std::size_t id_length = 32;

[[noreturn]] void fail(error_code code, const std::string& path, const std::string& why) {
  throw error(code, fmt::format("[jobs] {} {}", path, why));
}

}  // namespace

folder::folder(std::string path) : path_(std::move(path)) {
  std::error_code e;
  std::filesystem::create_directories(path_, e);
  if (e) fail(error_code::io, path_, "cannot be made a folder: " + e.message());
  // Absolute: the process may change its working directory, and a job begins later.
  path_ = std::filesystem::absolute(path_).lexically_normal().string();
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  const std::string name = path_ + "/lock";
  lock_ = descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock_.get() < 0) fail(error_code::io, name, "cannot be opened: " + std::generic_category().message(errno));
  // It goes with the process, however that ends.
  if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      fail(error_code::unavailable, path_, "is in use by another service: each needs a folder of its own");
    fail(error_code::io, name, "cannot be locked: " + std::generic_category().message(errno));
  }
}

descriptor folder::open(const std::string& path) {
  return descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

void folder::remove_files(const std::string& id) const noexcept try {
  for (const auto& path : {result(id), totals(id)})
    for (const char* const end : {"", ".partial", ".journal", ".journal.tmp"}) ::unlink((path + end).c_str());
} catch (...) {  // no memory: the next start sweeps
}

void folder::sweep(const std::function<bool(const std::string&)>& known) const {
  std::error_code e;
  for (auto it = std::filesystem::directory_iterator(path_, e); !e && it != std::filesystem::directory_iterator();
       it.increment(e)) {
    const std::string name = it->path().filename().string();
    const std::string id = name.substr(0, id_length);
    if (name.size() > id_length && name[id_length] == '.' && id.find_first_not_of("0123456789abcdef") == id.npos &&
        !known(id))
      remove_files(id);
  }
}

std::string folder::without_path(std::string sentence) const {
  for (auto at = sentence.find(path_ + '/'); at != sentence.npos; at = sentence.find(path_ + '/', at))
    sentence.erase(at, path_.size() + 1);
  return sentence;
}

}  // namespace sluice::http::jobs
