// An answer that is not what was asked for, on its way up to service::handle.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sluice/service/message.hpp"

namespace sluice::serving {

struct http_error {
  int status;
  std::string_view code;  // a literal
  std::string detail;
  std::vector<std::pair<std::string, std::string>> headers{};
};

}  // namespace sluice::serving
