// Which device a piece of work goes to, and why. A decision never waits and never wakes a device.
//
//     auto d = sluice::place(sluice::matmul_work(a, b));
//     d.where;       // "cpu"
//     d.reason();    // "cpu: the operands are there"
#pragma once

#include <limits>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace v0 {

// What one call will need, as far as placement cares.
struct work {
  struct operand {
    device where;
    std::int64_t bytes = 0;
    bool pinned = false;
  };

  std::string_view operation;  // "matmul", "rowsum", or the name of an application's endpoint
  sluice::dtype dtype = dtype::f32;
  double flops = 0;                   // arithmetic operations
  double bytes = 0;                   // read and written, each once, by the operation itself
  std::int64_t result_bytes = 0;      // what comes back to the host if the caller is there
  std::array<operand, 4> operands{};  // the first operand_count of them
  int operand_count = 0;
  double deadline = std::numeric_limits<double>::infinity();  // seconds from now
};

SLUICE_API work matmul_work(const tensor& a, const tensor& b);
SLUICE_API work rowsum_work(const tensor& a);

enum class why {
  requested,       // the caller named the device
  environment,     // SLUICE_DEVICE named it
  operands_there,  // an operand lives on it
  default_device,  // nothing speaks for another one
  device_lost,     // a device that might have been chosen is lost
};

struct estimate {
  device where;
  double seconds = std::numeric_limits<double>::quiet_NaN();  // NaN: not known, the device has no profile
};

struct decision {
  device where;
  why because = why::default_device;
  std::array<estimate, 16> estimates{};  // the first estimate_count of them, one a device considered
  int estimate_count = 0;
  device lost;  // with why::device_lost: the first one passed over

  // One sentence: "cuda:0: SLUICE_DEVICE says so".
  [[nodiscard]] SLUICE_API std::string reason() const;
};

// Decides among `candidates`. `wanted` names a device outright, or is automatic. SLUICE_DEVICE takes the place of automatic.
// A device named outright is taken even if it is lost, and its use is the error; one that is chosen is never lost. Throws
// invalid_argument when there are no candidates and the device is left to choose, device_lost when all of them are lost.
SLUICE_API decision place(const work& w, std::span<const device> candidates, const device& wanted = device::automatic);

// The same among all devices that the operands are on, and the CPU; loads no module.
SLUICE_API decision place(const work& w, const device& wanted = device::automatic);

}  // namespace v0
}  // namespace sluice
