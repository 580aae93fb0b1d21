#include "watch.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::files {

pipeline_stages stage_times::seconds(int readers, int computers) const {
  const auto shared = [](const std::atomic<std::int64_t>& stage, int threads) {
    return static_cast<double>(stage.load()) * 1e-9 / std::max(1, threads);
  };
  return {shared(read, readers), shared(copy, 1), shared(compute, computers), shared(write, 1)};
}

watch::watch(const pipeline_options& options, const char* operation, std::int64_t bytes)
    : options_(options), operation_(operation), bytes_(bytes), next_(options.progress_interval) {}

void watch::check_cancel(std::int64_t bytes_done) const {
  if (!stop_requested()) return;
  const std::string of = bytes_ < 0 ? "" : fmt::format(" of {}", bytes_);
  throw error(error_code::cancelled, fmt::format("[{}] cancelled after {}{} bytes", operation_, bytes_done, of));
}

double watch::rate(const mark& now) {
  if (now.seconds - to_.seconds >= 1) {
    from_ = to_;
    to_ = now;
  }
  const double passed = now.seconds - from_.seconds;
  return passed > 0 ? static_cast<double>(now.bytes - from_.bytes) / passed : 0;
}

void watch::report(std::int64_t bytes_done, std::int64_t rows_done, bool last) {
  const double now = seconds();
  if (!options_.progress || (!last && now < next_)) return;
  next_ = now + options_.progress_interval;
  pipeline_progress p{bytes_done, bytes_, rows_done, now, rate({now, bytes_done}), -1};
  if (last)
    p.seconds_left = 0;
  else if (bytes_ >= 0 && p.bytes_per_second > 0)
    p.seconds_left = static_cast<double>(bytes_ - bytes_done) / p.bytes_per_second;
  options_.progress(p);
}

// Long enough that starting threads costs nothing, short enough that other callers of the pool get their turn.
double watch::stretch() const { return options_.progress ? std::clamp(options_.progress_interval, 0.0, 0.05) : 0.05; }

}  // namespace sluice::files
namespace sluice {
inline namespace SLUICE_ABI {

std::string_view pipeline_summary::slowest_stage() const {
  const std::pair<double, std::string_view> all[] = {
      {stages.read, "read"}, {stages.copy, "copy"}, {stages.compute, "compute"}, {stages.write, "write"}};
  return std::max_element(std::begin(all), std::end(all), [](const auto& a, const auto& b) { return a.first < b.first; })
      ->second;
}

}  // namespace SLUICE_ABI
}  // namespace sluice
