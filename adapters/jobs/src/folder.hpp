// The folder of jobs and their results, locked: one process at a time uses it.
#pragma once

#include <functional>
#include <string>

#include "sluice/impl/base/file.hpp"

namespace sluice::serving::jobs {

class folder {
 public:
  // Makes it when it is missing, for the owner alone. Throws error: io when it cannot be used, unavailable while another
  // process has it.
  explicit folder(std::string path);

  [[nodiscard]] std::string database() const { return path_ + "/jobs.db"; }
  [[nodiscard]] std::string result(const std::string& id) const { return path_ + '/' + id + ".npy"; }
  [[nodiscard]] std::string totals(const std::string& id) const { return path_ + '/' + id + ".totals.npy"; }

  // Before a run writes a result to `path`: nobody but the owner may read it, or what a run keeps to resume from.
  static void make_private(const std::string& path);
  // A result, open for reading; false where there is none.
  [[nodiscard]] static base::file_descriptor open(const std::string& path);
  // The files of a job: its results, and what an interrupted run would resume from.
  void remove_files(const std::string& id) const noexcept;
  // Removes the files of unknown jobs: the process may have been killed between removing a job and its files.
  void sweep(const std::function<bool(const std::string& id)>& known) const;
  // A message without the folder's path, which clients need not know.
  [[nodiscard]] std::string without_path(std::string sentence) const;

 private:
  std::string path_;
  base::file_descriptor lock_;
};

}  // namespace sluice::serving::jobs
