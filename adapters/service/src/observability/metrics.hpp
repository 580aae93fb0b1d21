// Counters and histograms in Prometheus' text format.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

#include "execution/compute_queue.hpp"
#include "execution/endpoint_registry.hpp"
#include "execution/placed_call.hpp"
#include "execution/request_context.hpp"
#include "observability/health.hpp"

namespace sluice::serving {

// Whose figures a series has: a fixed route, or a version of an endpoint.
struct series_of {
  explicit series_of(const request_context& call)
      : route(call.route), endpoint(call.row ? call.row->name : ""), version(call.row ? call.row->version : "") {}
  bool operator<(const series_of& o) const {
    return std::tie(route, endpoint, version) < std::tie(o.route, o.endpoint, o.version);
  }
  [[nodiscard]] std::string labels() const;  // route="matmul",version="1"

  std::string route, endpoint, version;  // the latter two are empty for a fixed route
};

inline constexpr std::array second_bounds{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0};
inline constexpr std::array row_bounds{1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0};

template <const auto& bounds>
class histogram {
 public:
  void add(double value);
  // The lines of one series; `labels` as in `route="matmul"`.
  void print(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  std::array<std::uint64_t, bounds.size() + 1> counts_{};  // between each bound and the one before; beyond the last
  double sum_ = 0;
};
using duration_histogram = histogram<second_bounds>;

class metrics {
 public:
  void record(const request_context& call, int status, std::size_t answer_bytes);
  void sent(const series_of& call, double seconds);  // the time that the transport took to send an answer
  void placed(const endpoint& row, const placed_call& where, double seconds);  // the time that a call took there
  void batch(const endpoint& row, const device& where, std::int64_t rows);     // of calls, or rows, that ran as one
  // Ends the series of endpoints that are no longer served: a name that is loaded and unloaded for ever takes no more
  // memory.
  void keep(const endpoint_registry& served);
  // Everything as text, with the present state of the compute queue and of the devices.
  [[nodiscard]] std::string text(const compute_queue& compute, int worker_count, const health& now) const;

 private:
  struct series {
    std::map<int, std::uint64_t> by_status;
    duration_histogram whole;
    std::array<duration_histogram, stage_count> stages;
    std::uint64_t request_bytes = 0;
    std::uint64_t answer_bytes = 0;
    bool computes = false;  // it has stages
  };
  void request_text(std::string& out) const;

  struct predicted_and_observed {
    std::uint64_t count = 0;
    double predicted = 0, observed = 0;  // seconds
  };
  using by_label = std::map<std::string, std::uint64_t, std::less<>>;

  struct placements {
    by_label decisions, gathered;
    std::map<std::string, histogram<row_bounds>, std::less<>> batches;
    std::map<std::string, predicted_and_observed, std::less<>> predictions;  // of calls whose time was predicted
  };

  mutable std::mutex mutex_;
  std::map<series_of, series> routes_;                                    // bounded: endpoints and fixed routes
  std::map<std::pair<std::string, std::string>, placements> placements_;  // by an endpoint's name and version
  by_label rejections_;
};

}  // namespace sluice::serving
