// Where a stream is worked on, and why.
#pragma once

#include <string>
#include <vector>

#include "sluice/pipeline.hpp"

namespace sluice::files {

struct chosen {
  std::vector<device> devices;
  std::string reason;
};

// options.devices, else options.where, else SLUICE_DEVICE, else where `resident` is, else the CPU. Throws unavailable for a
// device that is not there, before anything is written.
chosen choose(const char* operation, const file_stream& in, const pipeline_options& options, const tensor* resident);

}  // namespace sluice::files
