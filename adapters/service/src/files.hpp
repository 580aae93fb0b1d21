// Files that clients name, under the directories given and nowhere else.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http {

// Closes what it holds.
class descriptor {
 public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  ~descriptor();
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class data_directories {
 public:
  // Throws error (io) for one that cannot be opened. They stay what they were when their names go elsewhere later.
  explicit data_directories(const std::vector<std::string>& paths);

  // Opens the regular file at `path`, relative to the first directory that has it, for reading. No component may be a
  // symbolic link, even one that stays within. Throws refused: 403 for a path that leads out or to what is no regular file,
  // 404 for one that leads nowhere.
  [[nodiscard]] descriptor open(std::string_view path) const;

  // Component by component, as on kernels without openat2.
  enum class means { best, walk };
  void use(means m) noexcept { means_ = m; }

 private:
  std::vector<descriptor> roots_;
  means means_ = means::best;
};

}  // namespace sluice::http
