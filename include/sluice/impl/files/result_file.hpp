// The result of a run as an .npy: takes the results of chunks in order, keeps sums that are not finished, and
// records its progress in a journal at intervals.
#pragma once

#include <memory>
#include <optional>

#include <fmt/format.h>

#include "sluice/impl/base/background_task.hpp"
#include "sluice/impl/files/chunk_op.hpp"
#include "sluice/impl/files/column_totals.hpp"
#include "sluice/impl/files/journal.hpp"
#include "sluice/impl/files/output.hpp"
#include "sluice/impl/files/run_monitor.hpp"
#include "sluice/impl/files/source.hpp"
#include "sluice/npy.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

// Where the result goes: to a file, or, when there is a function, to that.
struct destination {
  std::string path;  // empty for a function
  const write_callback* write = nullptr;
};

// What a run is to do.
struct run_plan {
  const char* operation;  // "rowsum_file"
  const file_stream& in;
  const pipeline_options& options;
  destination to;
  chunk_plan chunks;            // of a run from the beginning
  dtype type;                   // of the result
  shape extents;                // of the result; the first is -1 where the number of rows is not known
  std::int64_t row_bytes;       // of the result
  run_key more = {};            // what else must be equal for a run to be resumed
  std::int64_t readers_budget;  // bytes of chunks that limit the threads that read, on the CPU
};

class result_file {
 public:
  // Opens it, and resumes an earlier run where there is one. Throws as resume in pipeline.hpp says.
  result_file(const run_plan& plan, run_monitor& w);
  result_file(const result_file&) = delete;
  result_file& operator=(const result_file&) = delete;
  ~result_file();

  // The plan's chunks, or those of the run that is resumed.
  [[nodiscard]] const chunk_plan& chunks() const noexcept { return chunks_; }
  [[nodiscard]] totals_mode totals() const noexcept;

  // Chunks, bytes and whole rows of input that are done.
  [[nodiscard]] std::int64_t chunks_done() const noexcept { return chunks_done_; }
  [[nodiscard]] std::int64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::int64_t rows() const noexcept;

  // The result of chunk chunks_done(). By one thread at a time.
  void take(chunk_result&& result);

  // For the calling thread, while no chunk is being taken: starts an asynchronous sync when one is due.
  void sync_when_due();
  // After a failure or a stop: syncs what is complete, if that is more than 0.25 s of work or an earlier sync exists.
  void save() noexcept;
  // After the last chunk: renames the result to its final path.
  void commit();

 private:
  void restore(const std::string& text);
  void check_journal(const journal& j) const;
  [[nodiscard]] journal snapshot() const;
  [[nodiscard]] std::int64_t result_bytes(std::int64_t chunks) const;
  [[nodiscard]] std::string header(std::int64_t rows) const;
  void join(const tensor& parts);
  void append(std::span<const std::byte> bytes);
  void flush();
  void wait_for_sync();

  const run_plan& plan_;
  run_monitor& monitor_;
  chunk_plan chunks_;
  run_key key_;
  const bool lasts_;  // an interrupted run can be resumed
  const std::unique_ptr<result_target> out_;
  std::optional<output> totals_out_;
  std::optional<column_totals> totals_;
  base::pairwise_accumulator row_;  // of a row that is split
  std::int64_t chunks_done_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t written_ = 0;
  std::vector<std::byte> waiting_;  // to be written, behind written_
  bool inconsistent_ = false;       // a chunk was taken in part
  bool lasting_ = false;            // there is a sync to resume from
  base::background_task<void> sync_;
  clock::time_point sync_begin_;
  clock::time_point next_sync_;
};

inline constexpr std::size_t write_bytes = 256 << 10;                    // in one system call
inline constexpr double worth_keeping = 0.25;                            // seconds of work that was not synced yet
inline constexpr std::int64_t most_chunk_bytes = std::int64_t{1} << 31;  // larger ones in a journal are refused

inline run_key key_of(const run_plan& plan) {
  const auto& in = plan.in;
  run_key job = source_of(in).identity();
  job.insert(job.begin(), {"operation", plan.operation});
  job.insert(job.end(), {{"dtype", std::string(name_of(in.dtype()))},
                         {"rows", std::to_string(in.rows())},
                         {"columns", std::to_string(in.columns())},
                         {"column_totals", plan.options.column_totals.empty() ? "no" : "yes"}});
  job.insert(job.end(), plan.more.begin(), plan.more.end());
  return job;
}

// Infinity means never; the clock counts nanoseconds in 63 bits.
inline clock::duration sync_pause(double seconds) {
  constexpr double ages = 1e9;
  return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(std::min(ages, std::max(0.0, seconds))));
}

// Passes bytes on as they come.
class stream_output final : public result_target {
 public:
  explicit stream_output(const write_callback& write) : write_(write) {}

  [[nodiscard]] const std::optional<std::string>& journal() const override { return none_; }
  void start_over() override {}
  void go_on(std::int64_t) override {}
  void write(std::int64_t, std::span<const std::byte> data) override { write_(data); }
  void sync(std::string_view) override {}
  void commit() override {}

 private:
  const write_callback& write_;
  const std::optional<std::string> none_;
};

// Throws invalid_argument for what cannot be written in order, or cannot be resumed.
inline std::unique_ptr<result_target> open_target(const run_plan& plan) {
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::invalid_argument, fmt::format("[{}] {}", plan.operation, why));
  };
  const auto& wanted = plan.options.resume;
  if (plan.to.write == nullptr) {
    if (wanted == resume::required && !plan.in.seekable())
      refuse(fmt::format("{} can be read once only: a run over it cannot be resumed", plan.in.path()));
    return std::make_unique<output>(plan.to.path, plan.operation, source_of(plan.in).files());
  }
  if (!*plan.to.write) refuse("there is no function to write to");
  if (wanted != resume::automatic) refuse("a result that goes to a function is not kept: there is nothing to resume");
  if (plan.in.rows() < 0)
    refuse(
        fmt::format("{} is raw, so the number of its rows is not known before its end, and an .npy begins with it: write to "
                    "a path, or read an .npy or a regular file",
                    plan.in.path()));
  return std::make_unique<stream_output>(*plan.to.write);
}

inline std::span<const std::byte> bytes_of_tensor(const tensor& t) {
  return {static_cast<const std::byte*>(t.data()), t.bytes()};
}

inline result_file::result_file(const run_plan& plan, run_monitor& w)
    : plan_(plan),
      monitor_(w),
      chunks_(plan.chunks),
      key_(key_of(plan)),
      lasts_(plan.in.seekable() && plan.to.write == nullptr),
      out_(open_target(plan)),
      row_(is_floating(plan.in.dtype())) {
  const auto& totals_path = plan.options.column_totals;
  if (!totals_path.empty()) totals_out_.emplace(totals_path, plan.operation, source_of(plan.in).files());
  const bool fresh = plan.options.resume == resume::never || !out_->journal();
  if (fresh && plan.options.resume == resume::required)
    throw error(error_code::invalid_argument,
                fmt::format("[{}] {}.journal does not exist: there is no run to resume", plan.operation, plan.to.path));
  if (totals_out_) totals_out_->start_over();
  if (fresh) {
    if (totals_out_) totals_.emplace(chunks_, plan.in.dtype(), plan.operation);
    const std::string text = header(std::max<std::int64_t>(0, plan.in.rows()));
    out_->start_over();
    out_->write(0, std::as_bytes(std::span(text)));
    written_ = static_cast<std::int64_t>(text.size());
  } else {
    restore(*out_->journal());
  }
  next_sync_ = clock::now() + sync_pause(plan.options.sync_interval);
  if (!lasts_) next_sync_ = clock::time_point::max();
}

// A sync must not write the partial file after out_ is destroyed.
inline result_file::~result_file() {
  if (sync_.valid()) sync_.wait();
}

inline totals_mode result_file::totals() const noexcept {
  using enum totals_mode;
  return !totals_ ? none : column_totals::summed_by_chunk(chunks_) ? by_chunk : from_rows;
}

inline std::int64_t result_file::rows() const noexcept {
  return plan_.in.rows() >= 0 ? chunks_.row(chunks_done_) : bytes_ / std::max<std::int64_t>(1, chunks_.row_bytes());
}

inline std::string result_file::header(std::int64_t rows) const {
  shape extents = plan_.extents;
  if (extents.rank() > 0 && extents[0] < 0) extents[0] = rows;
  return npy_header_bytes(plan_.type, extents);
}

inline std::int64_t result_file::result_bytes(std::int64_t chunks) const {
  return static_cast<std::int64_t>(header(plan_.in.rows()).size()) + chunks_.row(chunks) * plan_.row_bytes;
}

inline void result_file::restore(const std::string& text) {
  const std::string path = plan_.to.path + ".journal";
  const journal j = journal::parse(text, path, plan_.operation);
  j.check_same_run(key_, path, plan_.operation);
  chunks_.rows_per_chunk = j.rows_per_chunk;
  chunks_.chunk_columns = j.chunk_columns;
  check_journal(j);
  if (totals_out_) totals_.emplace(chunks_, plan_.in.dtype(), plan_.operation);
  const auto parts = static_cast<std::uint64_t>(j.chunks % chunks_.chunks_per_row());
  const std::size_t in_row = row_.state_words(parts);
  const std::size_t in_totals = totals_ ? totals_->state_words(j.chunks) : 0;
  if (j.sums.size() != in_row + in_totals)
    throw error(error_code::malformed, fmt::format("[{}] {} is corrupt: it has {} sums instead of {}; {}", plan_.operation,
                                                   path, j.sums.size(), in_row + in_totals, start_again));
  row_.restore(parts, std::span(j.sums).first(in_row));
  if (totals_) totals_->restore(j.chunks, std::span(j.sums).subspan(in_row));
  chunks_done_ = j.chunks;
  bytes_ = chunks_.byte(j.chunks);
  written_ = j.bytes;
  lasting_ = true;
  monitor_.resumed_from(bytes_);
  out_->go_on(j.bytes);
}

inline void result_file::check_journal(const journal& j) const {
  const auto refuse = [&](const std::string& why) {
    throw error(error_code::malformed,
                fmt::format("[{}] {}.journal is corrupt: {}; {}", plan_.operation, plan_.to.path, why, start_again));
  };
  const std::int64_t row = std::max<std::int64_t>(1, chunks_.row_bytes());
  const std::int64_t parts = j.chunk_columns / 1024;
  if (j.chunk_columns != chunks_.columns && (j.chunk_columns > chunks_.columns || j.chunk_columns % 1024 != 0 ||
                                             parts == 0 || (parts & (parts - 1)) != 0 || j.rows_per_chunk != 1))
    refuse(fmt::format("rows of {} columns are split into chunks of {}", chunks_.columns, j.chunk_columns));
  if (j.rows_per_chunk > 1 && j.rows_per_chunk > most_chunk_bytes / row)
    refuse(fmt::format("chunks have {} rows of {} bytes", j.rows_per_chunk, row));
  if (j.chunks > chunks_.count()) refuse(fmt::format("{} of {} chunks are done", j.chunks, chunks_.count()));
  if (j.bytes != result_bytes(j.chunks))
    refuse(fmt::format("the result of {} chunks has {} bytes instead of {}", j.chunks, j.bytes, result_bytes(j.chunks)));
}

inline journal result_file::snapshot() const {
  journal j{key_, chunks_.rows_per_chunk, chunks_.chunk_columns, chunks_done_, written_, {}};
  row_.append_state(j.sums);
  if (totals_) totals_->append_state(j.sums);
  return j;
}

inline void result_file::take(chunk_result&& result) {
  static_cast<void>(std::as_const(result.rows).data());  // waits for the device's work, which is not counted as writing
  const stage_timer timer(monitor_.stages.write);
  inconsistent_ = true;
  if (result.totals.count() > 0) totals_->take(result.totals);
  if (result.kept.count() > 0) totals_->take(chunks_done_, result.kept);
  if (chunks_.splits_rows())
    join(result.rows);
  else
    append(bytes_of_tensor(result.rows));
  bytes_ += result.input_bytes;
  ++chunks_done_;
  inconsistent_ = false;
}

inline void result_file::join(const tensor& parts) {
  row_.add(words_at(parts.data(), 1));
  if ((chunks_done_ + 1) % chunks_.chunks_per_row() != 0) return;
  append(bytes_of_tensor(rounded(row_.take(), is_floating(plan_.in.dtype()), plan_.type)));
}

inline void result_file::append(std::span<const std::byte> bytes) {
  if (waiting_.empty() && bytes.size() >= write_bytes) {
    out_->write(written_, bytes);
    written_ += static_cast<std::int64_t>(bytes.size());
    return;
  }
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  if (waiting_.size() >= write_bytes) flush();
}

inline void result_file::flush() {
  if (waiting_.empty()) return;
  out_->write(written_, waiting_);
  written_ += static_cast<std::int64_t>(waiting_.size());
  waiting_.clear();
}

inline void result_file::sync_when_due() {
  if (sync_.valid() && sync_.ready()) wait_for_sync();
  if (sync_.valid() || clock::now() < next_sync_) return;
  flush();
  sync_begin_ = clock::now();
  // On a thread of its own: a disk may take seconds, while the pool's threads read.
  sync_ = base::background_task<void>("sluice-sync", [this, text = snapshot().text()] {
    plan_.in.check_unchanged();
    out_->sync(text);
  });
}

// Slow syncs are rarer: they take a fifth of the time at most.
inline void result_file::wait_for_sync() {
  if (!sync_.valid()) return;
  sync_.get();
  lasting_ = true;
  const auto now = clock::now();
  next_sync_ = now + sync_pause(std::max(4 * seconds_between(sync_begin_, now), plan_.options.sync_interval));
}

inline void result_file::save() noexcept {
  try {
    wait_for_sync();
    if (inconsistent_ || !lasts_ || (!lasting_ && monitor_.seconds() < worth_keeping)) return;
    flush();
    plan_.in.check_unchanged();
    out_->sync(snapshot().text());
  } catch (...) {  // the first failure is reported instead; the last sync stays
  }
}

inline void result_file::commit() {
  wait_for_sync();
  flush();
  plan_.in.check_unchanged();
  if (plan_.in.rows() < 0) {
    const std::string text = header(rows());
    if (text.size() != header(0).size())
      throw error(error_code::internal, fmt::format("[{}] a header for {} rows does not fit", plan_.operation, rows()));
    out_->write(0, std::as_bytes(std::span(text)));
  }
  if (totals_out_) {
    inconsistent_ = true;  // finish() consumes the sums
    const tensor totals = totals_->finish(plan_.type);
    const std::string text = npy_header_bytes(totals.dtype(), totals.shape());
    totals_out_->write(0, std::as_bytes(std::span(text)));
    totals_out_->write(static_cast<std::int64_t>(text.size()), bytes_of_tensor(totals));
    totals_out_->commit();
  }
  out_->commit();
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
