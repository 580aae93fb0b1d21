// Reads and writes that fault.cpp harms as long as this is.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace testing {

struct fault {
  fault(const std::string& file, const std::string& rules) {
    ::setenv("SLUICE_FAULT_FILE", file.c_str(), 1);
    ::setenv("SLUICE_FAULT", rules.c_str(), 1);
  }
  fault(const fault&) = delete;
  fault& operator=(const fault&) = delete;
  ~fault() {
    ::unsetenv("SLUICE_FAULT");
    static_cast<void>(::fsync(-1));  // counts begin again
  }
};

}  // namespace testing
