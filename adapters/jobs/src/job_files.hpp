// The files that jobs read, below the data directories.
#pragma once

#include <map>
#include <string>

#include "data_directories.hpp"
#include "job.hpp"
#include "sluice/file_stream.hpp"

namespace sluice::serving::jobs {

class job_files {
 public:
  // Throws error: invalid_argument for a name, io for a directory that cannot be opened.
  explicit job_files(const std::map<std::string, std::string>& directories);

  [[nodiscard]] file_stream open_input(const order& o) const;
  [[nodiscard]] file_stream open_operand(const order& o) const;  // matmul's
  // Refuses what would fail later, and fills in the input's form and size. Throws http_error: 403, 404; error.
  void inspect(job& j, std::int64_t most_elements) const;

 private:
  [[nodiscard]] file_stream open(const std::string& name, const file_stream_options& options) const;

  const std::map<std::string, data_directories> named_;
};

}  // namespace sluice::serving::jobs
