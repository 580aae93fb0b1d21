// Pieces through the pipeline: read | copy | compute | write, at once. One loop for all operations; where a piece is
// computed decides which of two stages runs.
//
//   CPU      a thread reads a piece and computes it while it is in its cache
//   devices  threads fill a ring of pinned chunks; whoever brings the last bytes of one sends it and what is to be done
//   there
//
// Bytes that come once are read by the calling thread, which owns the caller's function.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "in_order.hpp"
#include "operation.hpp"
#include "result_file.hpp"
#include "source.hpp"
#include "watch.hpp"

namespace sluice::files {

// Runs what is left of `out`'s pieces on `devices`, the CPU alone or some devices in turn. Throws what went wrong.
void run_pieces(const run_plan& plan, const operation& what, const std::vector<device>& devices, result_file& out, watch& w);

// What run_pieces is made of: the two stages, and what they share.
void run_on_cpu(const run_plan& plan, const operation& what, result_file& out, watch& w);
void run_on_devices(const run_plan& plan, const operation& what, const std::vector<device>& devices, result_file& out,
                    watch& w);

// Threads that may read at once, for the CPU (no devices) or for so many devices: then 8 each, where there are as many. On
// 16 cores that fed a bus of 55 GB/s with 46; 4 with 30, 12 with 45, and 16, which leave no core to those that copy, with 31
// to 43.
int readers_of(const file_stream& in, std::int64_t devices);

// Calls step() on the pool's threads again and again, for about `seconds` or until it says false. Other callers of the pool
// get their turn after each step. Throws what a step threw first.
void for_a_while(double seconds, int threads, const std::function<bool()>& step);

// How far a run is.
struct progress_mark {
  std::int64_t bytes = 0;
  std::int64_t rows = 0;
};

// What comes next, as much of `out` as there is before the end; a stop is noticed, and progress told, between two calls of
// the source.
std::size_t read_next(const file_stream& in, std::span<std::byte> out, watch& w, const progress_mark& done);
// The end must be here.
void expect_end(const file_stream& in, watch& w, const progress_mark& done);

// Between two stretches of work, on the calling thread.
inline void look_up(result_file& out, watch& w) {
  out.sync_when_due();
  w.check_cancel(out.bytes());
  w.report(out.bytes(), out.rows());
}

inline std::span<std::byte> memory_of(tensor& t) { return {static_cast<std::byte*>(t.data()), t.bytes()}; }

// The first elements of a piece that was cut short by the end.
tensor first_bytes(const tensor& piece, const cutting& cut, std::size_t bytes);

}  // namespace sluice::files
