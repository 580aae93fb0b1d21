// One JSON line a request, to a file or the standard output.
#pragma once

#include <httplib.h>

#include <cstdio>
#include <memory>
#include <string>

#include "sluice/service/access.hpp"

class access_log {
 public:
  // "-" is the standard output, "" nowhere. Throws std::system_error for a file that cannot be appended to.
  explicit access_log(const std::string& path);
  // Has a server's own answers logged, too, in the form that sluice's have, under the request's path and with an
  // X-Request-Id. It outlives the server's work.
  void watch(httplib::Server& server) const;
  // From any thread.
  void write(const sluice::access_record& r) const;

 private:
  struct close {
    void operator()(std::FILE* f) const noexcept;
  };
  std::unique_ptr<std::FILE, close> file_;
};
