// Chunks through the pipeline: read | copy | compute | write, all at once. One loop for all ops; where a chunk is computed
// decides which of two executors runs.
//
//   CPU      a thread reads a chunk and computes it while it is in its cache
//   devices  threads fill a ring of pinned chunks; the one that brings the last bytes of a chunk sends it and enqueues its
//   work
//
// A source that can be read once only is read by the calling thread, which owns the caller's function.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "sluice/impl/files/chunk_op.hpp"
#include "sluice/impl/files/reorder_buffer.hpp"
#include "sluice/impl/files/result_file.hpp"
#include "sluice/impl/files/run_monitor.hpp"
#include "sluice/impl/files/source.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Runs the chunks that `out` lacks on `devices`: the CPU alone, or devices in turn. Throws the first failure.
void run_chunks(const run_plan& plan, const chunk_op& what, const std::vector<device>& devices, result_file& out,
                run_monitor& w);

// Runs an executor over its source, in the way that the source can be read.
template <class Executor>
void run_over(const file_stream& in, Executor&& executor) {
  if (in.seekable())
    executor.run_at_any_offset();
  else
    executor.run_in_order();
}

// Threads that may read at once, for the CPU (no devices) or for so many devices: then 8 each, where there are as many. On
// 16 cores that fed a bus of 55 GB/s with 46; 4 with 30, 12 with 45, and 16, which leave no core to those that copy, with 31
// to 43.
int readers_of(const file_stream& in, std::int64_t devices);

// Calls step() on the pool's threads again and again, for about `seconds` or until it says false. Other callers of the pool
// get their turn after each step. Throws what a step threw first.
void for_a_while(double seconds, int threads, const std::function<bool()>& step);

// How far a run is.
struct run_progress {
  std::int64_t bytes = 0;
  std::int64_t rows = 0;
};

// What comes next, as much of `out` as there is before the end; a stop is noticed, and progress told, between two calls of
// the source.
std::size_t read_next(const file_stream& in, std::span<std::byte> out, run_monitor& w, const run_progress& done);
// Throws malformed where the source has more bytes.
void expect_end(const file_stream& in, run_monitor& w, const run_progress& done);

// Between two intervals of work, on the calling thread.
inline void housekeeping(result_file& out, run_monitor& w) {
  out.sync_when_due();
  w.check_cancel(out.bytes());
  w.report(out.bytes(), out.rows());
}

inline std::span<std::byte> memory_of(tensor& t) { return {static_cast<std::byte*>(t.data()), t.bytes()}; }

// The first elements of a chunk that the end of the source cut short.
tensor first_bytes(const tensor& chunk, const chunk_plan& chunks, std::size_t bytes);

inline int readers_of(const file_stream& in, std::int64_t devices) {
  const std::int64_t usual = devices == 0 ? parallel_size() : 8 * devices;
  return static_cast<int>(std::min<std::int64_t>(in.readers() > 0 ? in.readers() : usual, parallel_size()));
}

inline void for_a_while(double seconds, int threads, const std::function<bool()>& step) {
  struct state {
    const std::function<bool()>& step;
    bool stays;
    clock::time_point end;
    std::atomic<bool> stop{false};
    std::atomic<bool> failed{false};
    std::exception_ptr error{};
  };
  // With fewer threads than there are, each keeps its place to the end: another would be one too many.
  const bool stay = threads < parallel_size();
  state s{step, stay, clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds))};
  detail::parallel_run(
      stay ? threads : std::int64_t{1} << 40,
      [](void* context, std::int64_t) {
        auto& t = *static_cast<state*>(context);
        try {
          do {
            if (!t.step() || clock::now() >= t.end) t.stop.store(true, std::memory_order_relaxed);
          } while (t.stays && !t.stop.load(std::memory_order_relaxed));
        } catch (...) {
          if (!t.failed.exchange(true)) t.error = std::current_exception();
          t.stop.store(true, std::memory_order_relaxed);
        }
      },
      &s, &s.stop);
  if (s.error) std::rethrow_exception(s.error);
}

inline std::size_t read_next(const file_stream& in, std::span<std::byte> out, run_monitor& w, const run_progress& so_far) {
  std::size_t done = 0;
  while (done < out.size()) {
    w.check_cancel(so_far.bytes);
    w.report(so_far.bytes, so_far.rows);
    const stage_timer timer(w.stages.read);
    const std::size_t n = source_of(in).next_some(out.subspan(done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

inline void expect_end(const file_stream& in, run_monitor& w, const run_progress& done) {
  std::byte behind[1];
  if (read_next(in, behind, w, done) != 0)
    throw error(error_code::malformed, "[pipeline] " + in.path() + " has bytes after its last row");
}

inline tensor first_bytes(const tensor& chunk, const chunk_plan& chunks, std::size_t bytes) {
  const std::int64_t elements = static_cast<std::int64_t>(bytes) / chunks.element_bytes;
  if (chunks.splits_rows()) return chunk.slice(1, 0, elements);
  return chunk.slice(0, 0, chunks.columns > 0 ? elements / chunks.columns : 0);
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
