/// @file
/// Work on files larger than memory: read | copy | compute | write, chunk by chunk, in bounded memory.
///
///     sluice::file_stream in("data.npy");
///     auto done = sluice::rowsum_file(in, "sums.npy", {.progress = [](const sluice::pipeline_progress& p) {
///       std::cerr << p.bytes_done << " of " << p.bytes_total << '\n';
///     }});
///     std::cout << done.rows << " rows in " << done.seconds << " s on " << done.devices.front().str() << '\n';
///
/// A run that is killed leaves OUT.partial and OUT.journal, and the same call resumes from them, as long as the input is the
/// same by its size, its times of writing and of status (ctime), and a sample of its bytes. Sources that can be read
/// once only (standard input, a function) are read by the calling thread, and a run over them cannot be resumed.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "sluice/file_stream.hpp"
#include "sluice/ops/matmul.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// How far a run is.
struct pipeline_progress {
  std::int64_t bytes_done = 0;    ///< read and computed, including those of a run that is resumed
  std::int64_t bytes_total = -1;  ///< -1: not known
  std::int64_t rows_done = 0;     ///< whole rows, likewise
  double seconds = 0;             ///< since the start
  double bytes_per_second = 0;    ///< of the last one to two seconds
  double seconds_left = -1;       ///< at that rate; -1: not known
};

/// What to do about PATH.partial and PATH.journal of a run that did not end.
enum class resume {
  /// Resume where it is the same run, start from the beginning where there is nothing to resume; invalid_argument where
  /// there
  /// is another run, or the input is another one by now.
  automatic,
  required,  ///< resume, or throw invalid_argument
  never,     ///< start from the beginning
};

/// Options of a run.
struct pipeline_options {
  /// On the CPU, or on a device that chunks are copied to. Automatic: SLUICE_DEVICE, else the CPU, where the file's bytes
  /// are: one pass over a file never pays for the copies to a device and back (pipeline_summary::reason says so with the
  /// figures).
  device where = device::automatic;
  /// Several devices take chunks in turn; in place of `where` when not empty.
  std::vector<device> devices{};
  /// Called by the thread that called the pipeline, at most once in progress_interval seconds, and once at the end. What it
  /// throws ends the run as a failure does.
  std::function<void(const pipeline_progress&)> progress{};
  double progress_interval = 0.1;  ///< seconds
  /// Checked between chunks: a stop ends the run with error_code::cancelled.
  std::stop_token cancel{};
  /// What to do about an earlier run that did not end.
  sluice::resume resume = sluice::resume::automatic;
  /// Seconds between syncs: what a kill at the worst moment loses. (Where a sync takes long, four times as long passes
  /// before the next.) A run that fails or is stopped syncs once more, if it had synced before or worked for 0.25 s; else
  /// nothing of it stays.
  double sync_interval = 1.0;
  /// rowsum_file only: totals of every column, in the same pass, as an .npy of shape (columns), as rowsum of the transpose
  /// gives bit for bit. Where 1,024 rows are more than 16 MiB (128 on a device) they cost 256 bytes of memory a column and
  /// most of the speed; more than 1,048,576 such columns are limit_exceeded.
  std::string column_totals{};
  /// rowsum_file only: the dtype of the sums, and of the totals, as rowsum_options::dtype; not bf16, which no .npy has.
  std::optional<dtype> result_dtype{};
};

/// Seconds that each stage was at work, summed over its threads and divided by them; together they are more than `seconds`,
/// because the stages overlap.
struct pipeline_stages {
  double read = 0;     ///< from the file
  double copy = 0;     ///< to devices and back
  double compute = 0;  ///< on devices, or the CPU
  double write = 0;    ///< the result
};

/// What a run did.
struct pipeline_summary {
  std::int64_t rows = 0;           ///< of the input, in all
  std::int64_t bytes = 0;          ///< read, by this run
  std::int64_t resumed_bytes = 0;  ///< of the run before
  double seconds = 0;              ///< of this run
  std::vector<device> devices;     ///< that took chunks
  std::string reason;              ///< why there
  pipeline_stages stages;          ///< where the time went
  /// "read", "copy", "compute" or "write": what set the speed.
  [[nodiscard]] SLUICE_API std::string_view slowest_stage() const;
};

/// The sum of every row of `in`, as an .npy at `out_path` with the shape of `in` without its last dimension and the dtype
/// rowsum_dtype(in.dtype()), or options.result_dtype. The same bits as rowsum() of the whole gives; a row may be larger than
/// memory.
/// Throws
/// - io when reading or writing fails, with the file and the offset; a file that changed meanwhile, too;
/// - invalid_argument for an output that is no regular file or is the input, options that do not fit the run, and
///   resume::required where there is nothing to resume;
/// - malformed for a source that can be read once only and does not hold whole rows, and for a corrupt journal;
/// - unsupported for a journal of another release, and sums in bf16;
/// - cancelled when the token requests it; limit_exceeded by column_totals;
/// - unavailable, out_of_memory and device_lost by the device.
SLUICE_API pipeline_summary rowsum_file(const file_stream& in, const std::string& out_path,
                                        const pipeline_options& options = {});

/// Takes the next bytes of a result, in order, from any thread and one call at a time. What it throws ends the run.
using write_callback = std::function<void(std::span<const std::byte> bytes)>;

/// The same .npy to a function, such as one that writes to a pipe: its header comes first, so rows() must be known. Nothing
/// is kept of a run that ends early, and no output is marked as whole: the call's return says so. options.resume must be
/// automatic; sync_interval means nothing. Throws as the other does, and invalid_argument where the number of rows is not
/// known.
SLUICE_API pipeline_summary rowsum_file(const file_stream& in, const write_callback& write,
                                        const pipeline_options& options = {});

/// in @ b for a `b` of (in.columns(), n) and of the file's dtype, as an .npy of (rows, n): rows of the file stream past b,
/// which is copied to every device once. A run that is resumed uses the same chunks, so its bits are those of an
/// uninterrupted run. Throws as rowsum_file does, and invalid_argument for a `b` of another dtype or number of rows.
SLUICE_API pipeline_summary matmul_file(const file_stream& in, const tensor& b, const std::string& out_path,
                                        const pipeline_options& options = {}, precision p = precision::strict);

/// The same .npy to a function, as with rowsum_file.
SLUICE_API pipeline_summary matmul_file(const file_stream& in, const tensor& b, const write_callback& write,
                                        const pipeline_options& options = {}, precision p = precision::strict);

/// Calls `use` with chunk after chunk, of 16 MiB unless the stream says otherwise, in the file's order, on the calling
/// thread; chunk.rows is on the device. Later chunks are read and copied meanwhile; the tensor may be kept, which keeps its
/// memory. Nothing is written: resume, sync_interval, column_totals and result_dtype must keep their defaults; first_row
/// says where to begin. Throws as rowsum_file does, and what `use` throws.
SLUICE_API pipeline_summary for_each_chunk(const file_stream& in, const std::function<void(const row_chunk&)>& use,
                                           const pipeline_options& options = {}, std::int64_t first_row = 0);

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/files/for_each_chunk.hpp"
#include "sluice/impl/files/matmul_file.hpp"
#include "sluice/impl/files/rowsum_file.hpp"
#endif
