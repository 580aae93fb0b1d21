// Counters, as Prometheus reads them.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "health.hpp"
#include "slots.hpp"

namespace sluice::http {

class metrics {
 public:
  // `route` is a name of the catalogue or of a fixed route: a client cannot make new ones.
  void record(std::string_view route, int status, double seconds, std::size_t answer_bytes);
  // Everything as text, with the state of the slots at this moment and of the devices.
  [[nodiscard]] std::string text(const slots& compute, int slot_count, const health& now) const;

 private:
  static constexpr std::array bounds{1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0};  // seconds

  struct series {
    std::map<int, std::uint64_t> by_status;
    std::array<std::uint64_t, bounds.size()> below{};
    std::uint64_t count = 0;
    std::uint64_t answer_bytes = 0;
    double seconds = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::string, series, std::less<>> routes_;
};

}  // namespace sluice::http
