// Work on files larger than memory: read | compute | write, slice after slice, in bounded memory.
//
//     sluice::file_stream in("data.npy");
//     auto done = sluice::rowsum_file(in, "sums.npy", {.progress = [](const sluice::pipeline_progress& p) {
//       std::cerr << p.bytes_done << " of " << p.bytes_total << '\n';
//     }});
//     std::cout << done.rows << " rows in " << done.seconds << " s on " << done.where.str() << '\n';
#pragma once

#include <functional>
#include <stop_token>

#include "sluice/file_stream.hpp"

namespace sluice {
inline namespace v0 {

struct pipeline_progress {
  std::int64_t bytes_done = 0;
  std::int64_t bytes_total = 0;
  std::int64_t rows_done = 0;
  double seconds = 0;  // since the start
};

struct pipeline_options {
  // On the CPU, or on a device that chunks are copied to. Automatic: SLUICE_DEVICE, else the CPU, where the file's bytes
  // are.
  device where = device::automatic;
  // Called by the thread that called the pipeline, at most once in progress_interval seconds, and once at the end. What it
  // throws ends the run as a failure does.
  std::function<void(const pipeline_progress&)> progress{};
  double progress_interval = 0.1;
  // Asked between pieces of work: a stop ends the run with error_code::cancelled.
  std::stop_token cancel{};
};

struct pipeline_summary {
  std::int64_t rows = 0;
  std::int64_t bytes = 0;  // read
  double seconds = 0;
  device where;
};

// The sum of every row of `in`, as an .npy at `out_path` with the shape of `in` without its last dimension and the dtype
// rowsum_dtype(in.dtype()). The same bits as rowsum() of the whole gives; a row may be larger than memory.
//
// Whole or not at all: sums are written to OUT_PATH.partial, which is synced and renamed at the end, and removed on failure
// and on cancellation. Throws what file_stream throws while reading; io when writing fails or when the file changes its size
// meanwhile; invalid_argument when `out_path` is the input or no regular file; unavailable when there is no device `where`;
// cancelled.
SLUICE_API pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path,
                                        const pipeline_options& options = {});

}  // namespace v0
}  // namespace sluice
