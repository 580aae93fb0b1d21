// Progress at a bounded rate, cancellation, and the time that each stage was at work.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include <fmt/format.h>

#include "sluice/pipeline.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

using clock = std::chrono::steady_clock;

inline double seconds_between(clock::time_point begin, clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Nanoseconds of all threads together.
struct stage_times {
  std::atomic<std::int64_t> read{0}, copy{0}, compute{0}, write{0};
  [[nodiscard]] pipeline_stages seconds(int readers, int computers) const;
};

// Adds the time that it lived to a stage.
class stage_timer {
 public:
  explicit stage_timer(std::atomic<std::int64_t>& stage) : stage_(stage) {}
  stage_timer(const stage_timer&) = delete;
  stage_timer& operator=(const stage_timer&) = delete;
  ~stage_timer() { stage_.fetch_add((clock::now() - begin_).count(), std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t>& stage_;
  clock::time_point begin_ = clock::now();
};

// Everything but stop_requested() is for the calling thread.
class run_monitor {
 public:
  // `bytes`: of the whole, -1 when not known.
  run_monitor(const pipeline_options& options, const char* operation, std::int64_t bytes);

  // What a run before did.
  void resumed_from(std::int64_t bytes) { resumed_ = from_.bytes = to_.bytes = bytes; }
  [[nodiscard]] bool stop_requested() const noexcept { return options_.cancel.stop_requested(); }
  // Throws cancelled when the token asks for it.
  void check_cancel(std::int64_t bytes_done) const;
  void report(std::int64_t bytes_done, std::int64_t rows_done, bool last = false);
  // How long a interval of work may last before report() is called again.
  [[nodiscard]] double interval() const;

  [[nodiscard]] double seconds() const { return seconds_between(start_, clock::now()); }
  [[nodiscard]] std::int64_t resumed() const noexcept { return resumed_; }

  stage_times stages;

 private:
  struct mark {
    double seconds = 0;
    std::int64_t bytes = 0;
  };
  double rate(const mark& now);

  const pipeline_options& options_;
  const char* operation_;
  std::int64_t bytes_;
  std::int64_t resumed_ = 0;
  clock::time_point start_ = clock::now();
  double next_;
  mark from_, to_;  // the rate is since `from_`, one to two seconds ago
};

inline pipeline_stages stage_times::seconds(int readers, int computers) const {
  const auto shared = [](const std::atomic<std::int64_t>& stage, int threads) {
    return static_cast<double>(stage.load()) * 1e-9 / std::max(1, threads);
  };
  return {shared(read, readers), shared(copy, 1), shared(compute, computers), shared(write, 1)};
}

inline run_monitor::run_monitor(const pipeline_options& options, const char* operation, std::int64_t bytes)
    : options_(options), operation_(operation), bytes_(bytes), next_(options.progress_interval) {}

inline void run_monitor::check_cancel(std::int64_t bytes_done) const {
  if (!stop_requested()) return;
  const std::string of = bytes_ < 0 ? "" : fmt::format(" of {}", bytes_);
  throw error(error_code::cancelled, fmt::format("[{}] cancelled after {}{} bytes", operation_, bytes_done, of));
}

inline double run_monitor::rate(const mark& now) {
  if (now.seconds - to_.seconds >= 1) {
    from_ = to_;
    to_ = now;
  }
  const double passed = now.seconds - from_.seconds;
  return passed > 0 ? static_cast<double>(now.bytes - from_.bytes) / passed : 0;
}

inline void run_monitor::report(std::int64_t bytes_done, std::int64_t rows_done, bool last) {
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
inline double run_monitor::interval() const {
  return options_.progress ? std::clamp(options_.progress_interval, 0.0, 0.05) : 0.05;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
