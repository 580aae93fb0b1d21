// Progress at a bounded rate, cancellation, and the time that each stage was at work.
#pragma once

#include <atomic>
#include <chrono>

#include "sluice/pipeline.hpp"

namespace sluice::files {

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
class watch {
 public:
  // `bytes`: of the whole, -1 when not known.
  watch(const pipeline_options& options, const char* operation, std::int64_t bytes);

  // What a run before did.
  void go_on_from(std::int64_t bytes) { resumed_ = from_.bytes = to_.bytes = bytes; }
  [[nodiscard]] bool stop_requested() const noexcept { return options_.cancel.stop_requested(); }
  // Throws cancelled when the token asks for it.
  void check_cancel(std::int64_t bytes_done) const;
  void report(std::int64_t bytes_done, std::int64_t rows_done, bool last = false);
  // How long a stretch of work may last before report() is called again.
  [[nodiscard]] double stretch() const;

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

}  // namespace sluice::files
