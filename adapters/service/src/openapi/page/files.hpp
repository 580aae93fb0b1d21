// The files of the page, as they lie in this folder; embed.cmake writes what defines them.
#pragma once

#include <string_view>
#include <vector>

namespace sluice::serving {

struct docs_file {
  std::string_view name, bytes;
};

const std::vector<docs_file>& docs_files();

}  // namespace sluice::serving
