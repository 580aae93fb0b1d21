#include "execution/model_states.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "http/http_error.hpp"

namespace sluice::serving {

std::vector<model_repository::state> missing_models(const model_repository& repository) {
  auto all = repository.index();
  std::erase_if(all, [](const auto& m) { return !m.wanted || m.state == "READY"; });
  return all;
}

void check_missing(const model_repository* repository, std::string_view name, std::string_view version) {
  if (repository == nullptr) return;
  auto all = repository->index();
  std::erase_if(all, [&](const auto& m) {
    return m.name != name || (!version.empty() && !m.version.empty() && m.version != version);
  });
  if (all.empty()) return;
  const auto wanted = std::find_if(all.begin(), all.end(), [](const auto& m) { return m.wanted; });
  const auto& m = wanted != all.end() ? *wanted : all.front();
  const auto why = fmt::format("[{}] the model is {}{}{}", m.name, m.state == "LOADING" ? "being loaded" : "not loaded",
                               m.reason.empty() ? "" : ": ", m.reason);
  if (!m.wanted) throw http_error{404, "not_found", why};
  throw http_error{503, "unavailable", why, {{"Retry-After", "1"}}};
}

}  // namespace sluice::serving
