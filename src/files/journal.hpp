// What a run writes down at a sync, so that the next one can go on: text that a person can read, then the sums that were not
// finished, as words of 8 bytes.
//
//     sluice journal 1
//     operation rowsum_file
//     input data.bin: 4294967296 bytes, ...
//     columns 1024
//     cut 256 rows 1024 columns
//     done 4096 pieces 4194432 bytes
//     sums 0
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "cutting.hpp"
#include "joiner.hpp"

namespace sluice::files {

// What makes two runs the same job: names and values, one line each.
using job_lines = std::vector<std::pair<std::string, std::string>>;

struct journal {
  job_lines job;
  std::int64_t rows_per_piece = 1;
  std::int64_t part_columns = 0;
  std::int64_t pieces = 0;  // done
  std::int64_t bytes = 0;   // of the result
  words sums;

  [[nodiscard]] std::string text() const;
  // Throws malformed, with `path`, for what text() did not write.
  static journal parse(std::string_view text, const std::string& path, const char* operation);

  // Throws invalid_argument, with what differs and what to do, when it is of another job.
  void check_job(const job_lines& wanted, const std::string& path, const char* operation) const;
};

}  // namespace sluice::files
