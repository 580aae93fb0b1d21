// The folder that jobs and their results live in: this process's alone.
#pragma once

#include <functional>
#include <string>

#include "http/system.hpp"

namespace sluice::serving::jobs {

class folder {
 public:
  // Makes it when it is missing. Throws error: io when it cannot be used, unavailable while another process has it.
  explicit folder(std::string path);

  [[nodiscard]] std::string database() const { return path_ + "/jobs.db"; }
  [[nodiscard]] std::string result(const std::string& id) const { return path_ + '/' + id + ".npy"; }
  [[nodiscard]] std::string totals(const std::string& id) const { return path_ + '/' + id + ".totals.npy"; }

  // A result, open for reading: below 0 where there is none.
  [[nodiscard]] static descriptor open(const std::string& path);
  // What a job left: its results, and what a run that did not end would go on from.
  void remove_files(const std::string& id) const noexcept;
  // Removes the files of jobs that are not known any more: a kill may come between a job's end and theirs.
  void sweep(const std::function<bool(const std::string& id)>& known) const;
  // A sentence without the folder's path, which is no client's business.
  [[nodiscard]] std::string without_path(std::string sentence) const;

 private:
  std::string path_;
  descriptor lock_;
};

}  // namespace sluice::serving::jobs
