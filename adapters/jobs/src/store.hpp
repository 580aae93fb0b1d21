// Jobs that outlive the process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "job.hpp"

namespace sluice::serving::jobs {

// Used by one thread at a time. A change is on the disk when the call returns: it survives a kill and a power cut. Every
// call throws error (io) with the path and the reason.
class store {
 public:
  store() = default;
  virtual ~store() = default;
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  virtual std::vector<job> load() = 0;    // in the order of submission
  virtual void add(job& j) = 0;           // sets its number
  virtual void update(const job& j) = 0;  // all but what was asked for
  virtual void remove(std::int64_t number) = 0;
};

std::unique_ptr<store> open_store(const std::string& path);

}  // namespace sluice::serving::jobs
