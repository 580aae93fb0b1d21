// An answer that refuses a request: thrown anywhere below service::handle, which words it as the path's protocol does.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sluice/service/message.hpp"

namespace sluice::serving {

struct SLUICE_API http_error {
  int status;
  std::string_view code;  // a literal
  std::string detail;
  std::vector<std::pair<std::string, std::string>> headers{};
};

inline http_error shutting_down() {
  return {503, "unavailable", "[http] the server is shutting down; retry", {{"Retry-After", "1"}}};
}

}  // namespace sluice::serving
