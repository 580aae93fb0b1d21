// The result of a run as an .npy: takes the pieces' results in order, keeps what is not finished, and writes down at
// intervals how far it came.
#pragma once

#include <future>
#include <optional>

#include "journal.hpp"
#include "operation.hpp"
#include "output.hpp"
#include "totals.hpp"
#include "watch.hpp"

namespace sluice::files {

// What a run is to do.
struct run_plan {
  const char* operation;  // "rowsum_file"
  const file_stream& in;
  const pipeline_options& options;
  std::string path;
  cutting cut;             // as a run from the beginning would have it
  dtype type;              // of the result
  shape extents;           // of the result; the first is -1 where the number of rows is not known
  std::int64_t row_bytes;  // of the result
  job_lines more = {};     // what must be the same, too, for a run to be gone on with
};

class result_file {
 public:
  // Opens it, and goes on from the run before where there is one. Throws as resume in pipeline.hpp says.
  result_file(const run_plan& plan, watch& w);
  result_file(const result_file&) = delete;
  result_file& operator=(const result_file&) = delete;
  ~result_file();

  // How rows are cut: the plan's way, or the way of the run before.
  [[nodiscard]] const cutting& cut() const noexcept { return cut_; }
  [[nodiscard]] rowsum_operation::totals totals() const noexcept;

  // Pieces and bytes of input that are done, and whole rows.
  [[nodiscard]] std::int64_t pieces() const noexcept { return pieces_; }
  [[nodiscard]] std::int64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::int64_t rows() const noexcept;

  // The result of piece pieces(). By one thread at a time.
  void take(piece_result&& result);

  // For the calling thread, while no piece is being taken: a sync behind its back, when it is time for one.
  void sync_when_due();
  // After a failure or a stop: what is good is kept, if there is more than a quarter of a second's work or a sync before.
  void save() noexcept;
  // All pieces are taken: the result gets its name.
  void commit();

 private:
  void go_on(const std::string& text);
  void check_journal(const journal& j) const;
  [[nodiscard]] journal snapshot() const;
  [[nodiscard]] std::int64_t result_bytes(std::int64_t pieces) const;
  [[nodiscard]] std::string header(std::int64_t rows) const;
  void join(const tensor& parts);
  void append(std::span<const std::byte> bytes);
  void flush();
  void wait_for_sync();

  const run_plan& plan_;
  watch& watch_;
  cutting cut_;
  job_lines job_;
  output out_;
  std::optional<output> totals_out_;
  std::optional<column_totals> totals_;
  joiner row_;  // of a row that is cut
  std::int64_t pieces_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t written_ = 0;
  std::vector<std::byte> waiting_;  // to be written, behind written_
  bool harmed_ = false;             // a piece was taken in half
  bool lasting_ = false;            // there is something to go on with
  std::future<void> sync_;
  clock::time_point sync_begin_;
  clock::time_point next_sync_;
};

}  // namespace sluice::files
