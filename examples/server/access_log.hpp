// One JSON line a request, to a file or the standard output.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "sluice/service/access.hpp"

class access_log {
 public:
  // "-" is the standard output, "" nowhere. Throws std::system_error for a file that cannot be appended to.
  explicit access_log(const std::string& path);
  // From any thread.
  void write(const sluice::access_record& r) const;

 private:
  struct close {
    void operator()(std::FILE* f) const noexcept;
  };
  std::unique_ptr<std::FILE, close> file_;
};
