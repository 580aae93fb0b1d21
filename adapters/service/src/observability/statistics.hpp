// Calls of each model since the start: how many succeeded and failed, and the time of each stage.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

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
  [[nodiscard]] model of(std::string_view name) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, model, std::less<>> models_;
};

}  // namespace sluice::serving
