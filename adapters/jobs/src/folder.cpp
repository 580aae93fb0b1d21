#include "folder.hpp"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "sluice/error.hpp"

namespace sluice::serving::jobs {
namespace {

constexpr std::size_t id_length = 32;

[[noreturn]] void fail(error_code code, const std::string& path, const std::string& why) {
  throw error(code, fmt::format("[jobs] {} {}", path, why));
}

}  // namespace

folder::folder(std::string path) : path_(std::move(path)) {
  if (const auto e = base::make_folders(path_, 0700); e)
    fail(error_code::io, path_, "cannot be created as a folder: " + e.message());
  // Absolute: the process may change its working directory before a job begins.
  path_ = std::filesystem::absolute(path_).lexically_normal().string();
  while (path_.size() > 1 && path_.ends_with('/')) path_.pop_back();
  const std::string name = path_ + "/lock";
  auto why = base::open_to_write(name, 0600, lock_);
  if (!why) why = base::lock(lock_, true);
  if (why == std::errc::operation_would_block)
    fail(error_code::unavailable, path_, "is in use by another service: each needs a folder of its own");
  if (why) fail(error_code::io, name, "cannot be opened and locked: " + why.message());
}

base::file_descriptor folder::open(const std::string& path) {
  base::file_descriptor file;
  static_cast<void>(base::open_to_read(path, base::links::keep, file));
  return file;
}

void folder::make_private(const std::string& path) {
  const std::string partial = path + ".partial";
  base::file_descriptor file;
  auto why = base::open_to_write(partial, 0600, file);
  if (!why) why = base::set_permissions(file, 0600, false);
  if (why) fail(error_code::io, partial, "cannot be created: " + why.message());
}

void folder::remove_files(const std::string& id) const noexcept try {
  for (const auto& path : {result(id), totals(id)})
    for (const char* const end : {"", ".partial", ".journal", ".journal.tmp"})
      static_cast<void>(base::remove_file(path + end));
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

}  // namespace sluice::serving::jobs
