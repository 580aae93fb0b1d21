#include "data_directories.hpp"

#include <fmt/format.h>

#include "http/http_error.hpp"
#include "http/text.hpp"
#include "sluice/error.hpp"

namespace sluice::serving {
namespace {

[[noreturn]] void fail(std::error_code why, std::string_view path) {
  if (why == std::errc::no_such_file_or_directory || why == std::errc::not_a_directory ||
      why == std::errc::filename_too_long)
    throw http_error{404, "not_found", fmt::format("[files] there is no file at {}", shown(path, 80))};
  for (const auto one :
       {std::errc::cross_device_link, std::errc::too_many_symbolic_link_levels, std::errc::permission_denied,
        std::errc::operation_not_permitted, std::errc::no_such_device_or_address})
    if (why == one) throw http_error{403, "forbidden", fmt::format("[files] {} is not for reading here", shown(path, 80))};
  throw error(error_code::io, fmt::format("[files] {} cannot be opened: {}", shown(path, 80), why.message()));
}

[[noreturn]] void fail(std::errc why, std::string_view path) { fail(std::make_error_code(why), path); }

}  // namespace

data_directories::data_directories(const std::vector<std::string>& paths) {
  for (const auto& path : paths)
    if (const auto why = base::open_folder(path, roots_.emplace_back()); why)
      throw error(error_code::io, fmt::format("[files] {} cannot be opened as a directory: {}", path, why.message()));
}

base::file_descriptor data_directories::open(std::string_view path) const {
  if (path.starts_with('/') || path.find('\0') != path.npos) fail(std::errc::cross_device_link, path);
  if (path.empty()) fail(std::errc::no_such_file_or_directory, path);
  for (const auto& root : roots_) {
    base::file_descriptor file;
    if (const auto why = base::open_beneath(root, path, means_ == means::walk, file); why) {
      if (why == std::errc::no_such_file_or_directory || why == std::errc::not_a_directory) continue;
      fail(why, path);
    }
    base::file_status found;
    if (const auto why = base::status_of(file, found); why) fail(why, path);
    if (found.other != nullptr) fail(std::errc::permission_denied, path);
    return file;
  }
  fail(std::errc::no_such_file_or_directory, path);
}

}  // namespace sluice::serving
