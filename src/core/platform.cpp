// What every system does alike, by the standard library.
#include "platform.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace sluice::platform {

std::vector<std::string> list_files(const std::string& folder, const std::string& prefix, const std::string& suffix) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix))
      found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string read_file(const std::string& path, std::size_t largest, std::string& text) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return "it cannot be read: " + std::generic_category().message(errno);
  text.resize(largest + 1);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (in.bad()) return "it cannot be read";
  return text.size() > largest ? "it has more than " + std::to_string(largest) + " bytes" : "";
}

}  // namespace sluice::platform
