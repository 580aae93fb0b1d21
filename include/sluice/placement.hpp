/// @file
/// Which device a piece of work goes to, and why. A decision takes 0.3 to 0.4 us (bench/results/h200_placement.md), never
/// waits, and wakes no device for work that the CPU would do in 100 us.
///
///     auto d = sluice::place(sluice::matmul_work(a, b));
///     d.where;       // "cuda:0"
///     d.reason();    // "cuda:0: 0.31 ms there, 21 ms on cpu"
///
/// Times come from a profile of each device (calibration.hpp). While there is none, work stays on the CPU, or goes to where
/// most bytes of its operands are. Automatic placement looks for profiles once, at the first work that would take the CPU
/// 100 us: the caller that brings it reads them, and loads the backends' modules if there are any. SLUICE_DEVICE names a
/// device for all automatic work.
#pragma once

#include <cmath>
#include <limits>

#include "sluice/ops/matmul.hpp"
#include "sluice/ops/rowsum.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What one call will need, as far as placement cares.
struct work {
  /// One tensor that goes in.
  struct operand {
    device where;            ///< whose memory it is in
    std::int64_t bytes = 0;  ///< of its elements
    bool pinned = false;     ///< host memory that devices copy at full speed
  };

  std::string_view operation;            ///< "matmul", "rowsum", or the name of an application's endpoint
  sluice::dtype dtype = dtype::f32;      ///< of the operands
  double flops = 0;                      ///< arithmetic operations; 0: not known, and nothing is predicted
  double bytes = 0;                      ///< read and written, each once, by the operation itself
  std::int64_t result_bytes = 0;         ///< of all results
  std::array<operand, 4> operands{};     ///< the first operand_count of them
  int operand_count = 0;                 ///< at most 4
  device result_to = device::automatic;  ///< the CPU: that is where the caller wants it; else it stays where it is computed
  double deadline = std::numeric_limits<double>::infinity();  ///< seconds from now
};

/// A product of the operands as they are. The result of operands on the CPU is wanted there. Throws
/// invalid_argument as matmul() does.
SLUICE_API work matmul_work(const tensor& a, const tensor& b);
/// Likewise, row sums. Throws invalid_argument as rowsum() does.
SLUICE_API work rowsum_work(const tensor& a);
/// A product of operands that are not there yet, which will be `at` a device. Throws invalid_argument as matmul() does.
SLUICE_API work matmul_work(const shape& a, const shape& b, dtype type, const device& at = device::cpu, bool pinned = false);
/// Likewise, row sums. Throws invalid_argument as rowsum() does.
SLUICE_API work rowsum_work(const shape& a, dtype type, const device& at = device::cpu, bool pinned = false);

/// What decided.
enum class why {
  requested,       ///< the caller named the device
  environment,     ///< SLUICE_DEVICE named it
  operands_there,  ///< an operand lives on it
  default_device,  ///< nothing speaks for another one
  device_lost,     ///< a device that might have been chosen is lost
  soonest,         ///< the work is done soonest there, by prediction
  preferred,       ///< the caller would rather have it
  deadline,        ///< another device was preferred or sleeps, and would be too late
  too_small,       ///< the work is not worth waking another device for
};

/// "soonest", "operands_there", ...: for labels.
SLUICE_API std::string_view name_of(why because) noexcept;

/// What a device would take for the work.
struct estimate {
  device where;  ///< the device
  /// Until the result is there; NaN: not known, there is no profile.
  double seconds = std::numeric_limits<double>::quiet_NaN();
  double waiting = 0;  ///< of these seconds, for work that the device has been given before
};

/// Where work goes, and why.
struct decision {
  device where;                          ///< the device chosen
  why because = why::default_device;     ///< what decided
  std::array<estimate, 16> estimates{};  ///< the first estimate_count of them, one a device considered
  int estimate_count = 0;                ///< at most 16
  device lost;                           ///< with why::device_lost: the first one passed over

  /// Seconds until the result is there; NaN when they are not known.
  [[nodiscard]] SLUICE_API double predicted() const noexcept;
  /// One sentence: "cuda:0: SLUICE_DEVICE names it".
  [[nodiscard]] SLUICE_API std::string reason() const;
};

/// Decides among `candidates`. `wanted` is automatic, or names a device: as the only one that will do, which is taken even
/// if it is lost, and its use is the error; or, by prefer(), as the one to take while it is there, is not lost, and is in
/// time. SLUICE_DEVICE takes the place of automatic. A device that was chosen is never lost. Throws invalid_argument when
/// there are no candidates and the device is left to choose, device_lost when all of them are lost.
SLUICE_API decision place(const work& w, std::span<const device> candidates, const device_request& wanted = {});

/// The same among all devices that have profiles, those that the operands are on, and the CPU. Throws device_lost as that
/// does.
SLUICE_API decision place(const work& w, const device_request& wanted = {});

}  // namespace SLUICE_ABI
}  // namespace sluice
