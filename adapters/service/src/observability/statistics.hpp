// Calls of each version of each model since it was added: how many succeeded and failed, and the time of each stage.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "execution/endpoint_registry.hpp"
#include "execution/request_context.hpp"

namespace sluice::serving {

class statistics {
 public:
  struct duration {
    std::uint64_t count = 0, ns = 0;
  };
  struct model {
    duration success, fail;
    std::array<duration, stage_count> stages;  // of calls that succeeded
    std::int64_t last_ms = 0;                  // the end of the last of them, since 1970
  };

  void record(const request_context& call, bool succeeded, std::chrono::nanoseconds taken);
  [[nodiscard]] model of(const std::string& name, const std::string& version) const;
  void keep(const endpoint_registry& served);  // see metrics::keep

 private:
  mutable std::mutex mutex_;
  struct entry {
    std::string endpoint{};  // whose model it is
    model figures{};
  };
  std::map<std::pair<std::string, std::string>, entry> models_;  // by name and version
};

}  // namespace sluice::serving
