// A server that limits bodies by itself, and takes the limit off for some paths.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace detail {

class long_bodies {
 public:
  // From now on `path` takes bodies of any length. Before the server listens.
  void take_long_bodies(std::string path) { paths_.push_back(std::move(path)); }

 protected:
  long_bodies() = default;
  virtual ~long_bodies() = default;  // mount() asks a server whether it is one
  long_bodies(const long_bodies&) = delete;
  long_bodies& operator=(const long_bodies&) = delete;

  // By the target as it came, before '?': one that is encoded otherwise gets the usual limit.
  [[nodiscard]] bool takes_long_body(std::string_view target) const noexcept {
    return std::find(paths_.begin(), paths_.end(), target.substr(0, target.find('?'))) != paths_.end();
  }

 private:
  std::vector<std::string> paths_;
};

}  // namespace detail
}  // namespace SLUICE_ABI
}  // namespace sluice
