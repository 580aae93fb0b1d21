// Files that clients name, confined to the given directories.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/impl/base/file.hpp"

namespace sluice::serving {

class data_directories {
 public:
  // Throws error (io) for one that cannot be opened. They are held open, so later renames do not matter.
  explicit data_directories(const std::vector<std::string>& paths);

  // Opens the regular file at `path`, relative to the first directory that has it, for reading. No component may be a
  // symbolic link, even one that stays within. Throws http_error: 403 for a path that leads out or to what is no regular
  // file, 404 for one that leads nowhere.
  [[nodiscard]] base::file_descriptor open(std::string_view path) const;

  // Component by component, as on kernels without openat2.
  enum class means { best, walk };
  void use(means m) noexcept { means_ = m; }

 private:
  std::vector<base::file_descriptor> roots_;
  means means_ = means::best;
};

}  // namespace sluice::serving
