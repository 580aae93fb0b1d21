// Which devices a stream is worked on, and why.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sluice/pipeline.hpp"
#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace files {

struct device_choice {
  std::vector<device> devices;
  std::string reason;
};

// options.devices, else options.where, else SLUICE_DEVICE, else where `resident` is, else the CPU. Throws unavailable for a
// device that is not there, before anything is written.
device_choice choose_devices(const char* operation, const file_stream& in, const pipeline_options& options,
                             const tensor* resident);

inline std::string one_pass(const file_stream& in) {
  if (in.bytes() < 0) return "cpu: bytes that come once are read here, and one pass over them costs less than a copy";
  const auto gigabytes = static_cast<double>(in.bytes()) / 1e9;
  return fmt::format("cpu: one pass over {:.3g} GB; a copy to a device first would add {:.2g} s at 55 GB/s", gigabytes,
                     gigabytes / 55);
}

inline device_choice choose_devices(const char* operation, const file_stream& in, const pipeline_options& options,
                                    const tensor* resident) {
  device_choice c;
  if (!options.devices.empty()) {
    c.devices = options.devices;
    std::string names;
    for (const auto& d : c.devices) {
      if (d.is_automatic())
        throw error(error_code::invalid_argument,
                    fmt::format("[{}] devices are named one by one, and one is automatic", operation));
      names += (names.empty() ? "" : ", ") + d.str();
    }
    c.reason = names + ": the caller named " + (c.devices.size() == 1 ? "it" : "them");
  } else {
    work w;
    w.operation = operation;
    w.dtype = in.dtype();
    w.bytes = static_cast<double>(in.bytes());
    if (resident != nullptr) {
      w.operands[0] = {resident->device(), static_cast<std::int64_t>(resident->bytes()), false};
      w.operand_count = 1;
    }
    const decision d = place(w, options.where);
    c.devices = {d.where};
    const bool chosen_here = d.because == why::default_device || (d.because == why::operands_there && d.where.is_cpu());
    c.reason = chosen_here && resident == nullptr ? one_pass(in) : d.reason();
  }
  for (const auto& d : c.devices)
    if (!d.is_cpu()) static_cast<void>(tensor(shape{0}, dtype::f32, d));  // wakes it
  return c;
}

}  // namespace files
}  // namespace SLUICE_ABI
}  // namespace sluice
