// One version of a model on every device where it is served, with the times that its batches were seen to take.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sluice/model.hpp"
#include "sluice/placement.hpp"

namespace sluice::serving::models {

// A model on a device, after warm().
struct session {
  sluice::model runs;
  std::vector<batch_time> times;  // ascending; not empty

  // Of a call of so many rows, by line between two batches that were timed; of more than the largest, as split.
  [[nodiscard]] double seconds(std::int64_t rows) const;
};

class sessions {
 public:
  struct options {
    std::vector<device> where;  // in the order of preference
    bool all_of_them = false;   // one that refuses is an error; else at least one must load
    sluice::precision precision = sluice::precision::strict;
    std::int64_t largest_batch = 0;
  };

  // Loads, warms and times. Throws what model::load() and warm() throw: of the first device, where several refuse.
  sessions(const std::filesystem::path& file, const options& o);

  [[nodiscard]] const sluice::model& first() const noexcept { return all_.front().runs; }
  [[nodiscard]] std::int64_t largest_batch() const;
  // Where it runs and how long, and which devices refused: "cpu: 1 row 23.1 ms, 32 rows 720 ms; cuda:0: ...".
  [[nodiscard]] std::string str() const;

  // Runs on the session of `where`; on the first one's where there is none.
  [[nodiscard]] std::vector<tensor> run(std::span<const tensor> inputs, const device& where) const;
  [[nodiscard]] double seconds(const device& where, std::int64_t rows) const { return on(where).seconds(rows); }
  // Of `inputs`, by the times above.
  [[nodiscard]] sluice::work work_of(std::string_view name, std::span<const tensor> inputs) const;
  // Rows of a call.
  [[nodiscard]] std::int64_t rows_of(std::span<const tensor> inputs) const;

 private:
  [[nodiscard]] const session& on(const device& where) const;

  std::vector<session> all_;
  std::string refused_;  // "cuda:0: why"
};

}  // namespace sluice::serving::models
