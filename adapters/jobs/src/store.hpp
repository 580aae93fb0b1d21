// Jobs that outlive the process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "job.hpp"

namespace sluice::serving::jobs {

// Used by one thread at a time. What returned is on the disk: neither a kill nor a power cut takes it back. Every call
// throws error (io) with the path and the reason.
class store {
 public:
  store() = default;
  virtual ~store() = default;
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  virtual std::vector<job> load() = 0;    // in the order of coming
  virtual void add(job& j) = 0;           // gives it its number
  virtual void update(const job& j) = 0;  // all but what was asked for
  virtual void remove(std::int64_t number) = 0;
};

// Throws unsupported in a build without SQLite.
std::unique_ptr<store> open_store(const std::string& path);

}  // namespace sluice::serving::jobs
