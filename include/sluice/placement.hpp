/// @file
/// Which device a piece of work goes to, and why. A decision takes 0.3 to 0.4 us (bench/results/h200_placement.md), never
/// waits, and wakes no device for work that the CPU would do in 100 us.
///
///     auto d = sluice::place(sluice::work_of(sluice::matmul_op(), {a, b}));
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

#include "sluice/ops/descriptor.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What one call needs, as far as placement cares.
struct work {
  /// One tensor that goes in.
  struct operand {
    device where;            ///< the device whose memory it is in
    std::int64_t bytes = 0;  ///< of its elements
    bool pinned = false;     ///< host memory that devices copy at full speed
  };

  /// What the whole call took on a device, from operands on the CPU to a result there, in one thread of the caller's.
  struct measured_time {
    device where;        ///< the device
    double seconds = 0;  ///< of the call, when nothing else ran
  };
  static constexpr int max_measured = 9;  ///< the CPU and eight GPUs

  std::string_view operation;                    ///< an op's name, or the name of an application's endpoint
  const op_descriptor* op = nullptr;             ///< the op; null: found by `operation`, or work of an application's own
  const op_precision* precision = nullptr;       ///< of `op`'s; null: its default
  sluice::dtype dtype = dtype::f32;              ///< of the operands
  double flops = 0;                              ///< arithmetic operations; 0: not known, and nothing is predicted
  double bytes = 0;                              ///< read and written, each once, by the operation itself
  std::int64_t result_bytes = 0;                 ///< of all results
  std::array<operand, max_operands> operands{};  ///< the first operand_count of them
  int operand_count = 0;                         ///< at most max_operands
  device result_to =
      device::automatic;  ///< the CPU when the caller wants the result there; automatic: it stays where it is computed
  double deadline = std::numeric_limits<double>::infinity();  ///< seconds from now
  /// The first measured_count of them. Where there are any, only these devices are chosen from, by these times: profiles say
  /// nothing of the work, and calls do not correct them.
  std::array<measured_time, max_measured> measured{};
  int measured_count = 0;  ///< at most max_measured

  /// Adds a measured time; beyond max_measured they are dropped.
  void add_measured(const device& where, double seconds) noexcept {
    if (measured_count < max_measured) measured[static_cast<std::size_t>(measured_count++)] = {where, seconds};
  }
  /// Of `where`; NaN: it was not measured there.
  [[nodiscard]] double measured_on(const device& where) const noexcept {
    for (int i = 0; i < measured_count; ++i)
      if (measured[static_cast<std::size_t>(i)].where == where) return measured[static_cast<std::size_t>(i)].seconds;
    return std::numeric_limits<double>::quiet_NaN();
  }
};

/// What applying `op` to these operands needs. The result of operands on the CPU is wanted there. Throws what result_of()
/// throws.
SLUICE_API work work_of(const op_descriptor& op, const operands& in, const op_options& options = {});
/// Likewise, of operands that do not exist yet. Throws invalid_argument also when their bytes do not fit in 63 bits.
SLUICE_API work work_of(const op_descriptor& op, std::span<const operand_spec> in, const op_options& options = {});
/// Likewise.
inline work work_of(const op_descriptor& op, std::initializer_list<operand_spec> in, const op_options& options = {}) {
  return work_of(op, std::span(in.begin(), in.size()), options);
}

/// What decided.
enum class why {
  requested,       ///< the caller named the device
  environment,     ///< SLUICE_DEVICE named it
  operands_there,  ///< an operand lives on it
  default_device,  ///< there is no reason for another one
  device_lost,     ///< a device that might have been chosen is lost
  soonest,         ///< the work is done soonest there, by prediction
  preferred,       ///< the caller prefers it
  deadline,        ///< the preferred device, or one that is not awake, would be too late
  too_small,       ///< the work is not worth waking another device for
};

/// "soonest", "operands_there", ...: for labels.
SLUICE_API std::string_view name_of(why because) noexcept;

/// What a device would take for the work.
struct estimate {
  device where;  ///< the device
  /// Until the result is there; NaN: not known, there is no profile.
  double seconds = std::numeric_limits<double>::quiet_NaN();
  double waiting = 0;  ///< of these seconds, for work enqueued on the device before
};

/// Where work goes, and why.
struct decision {
  device where;                          ///< the device chosen
  why because = why::default_device;     ///< what decided
  std::array<estimate, 16> estimates{};  ///< the first estimate_count of them, one a device considered
  int estimate_count = 0;                ///< at most 16
  device lost;                           ///< with why::device_lost: the first one passed over
  std::string_view precision{};          ///< asked for, where it is not the op's default
  bool measured = false;                 ///< the estimates are of work::measured

  /// Seconds until the result is there; NaN when they are not known.
  [[nodiscard]] SLUICE_API double predicted() const noexcept;
  /// One sentence: "cuda:0: SLUICE_DEVICE names it", with the precision where there is one: "...; precision fast".
  [[nodiscard]] SLUICE_API std::string reason() const;
};

/// Decides among `candidates`. A required device is taken even when it is lost, and using it throws; a preferred one while
/// it is present, not lost and in time. SLUICE_DEVICE takes the place of automatic. A device that placement chose is never
/// lost. Throws invalid_argument when there are no candidates and the choice is placement's, or none on which the work was
/// measured; device_lost when all of them are lost.
SLUICE_API decision place(const work& w, std::span<const device> candidates, const device_request& wanted = {});

/// The same among all devices that have profiles, those that the operands are on, and the CPU. Throws device_lost as that
/// does.
SLUICE_API decision place(const work& w, const device_request& wanted = {});

/// What one call takes on one device.
struct prediction {
  /// From the call until the result is where it is wanted; NaN: not known.
  double seconds = std::numeric_limits<double>::quiet_NaN();
  /// Of these, the seconds for which the device is not available to other callers: its reciprocal is the most calls a
  /// second.
  double busy = std::numeric_limits<double>::quiet_NaN();
};

/// What `where` would take for the work by its profile alone, or by work::measured: without other callers, and without what
/// calls have taught since. A CPU that is not measured has a default profile.
SLUICE_API prediction predict(const work& w, const device& where);

/// Whether device work is complete when a call returns, so that its duration can be sampled.
enum class completion {
  synchronous,  ///< it is: the duration corrects the profile
  asynchronous  ///< it may still run: it is assumed to take as long as predicted
};

/// An application's call on the device that place() chose, for as long as this lives: other decisions see the device busy,
/// and the time until succeeded() corrects the profile. Ops that the same thread calls meanwhile are part of it.
///
///     sluice::call_account call(work, decision);
///     ...;                 // the whole call, until the result is there
///     call.succeeded();
class call_account {
 public:
  /// Begins a call of `w` on `d.where`.
  SLUICE_API call_account(const work& w, const decision& d, completion c = completion::synchronous) noexcept;
  SLUICE_API ~call_account();                             ///< ends the call
  call_account(const call_account&) = delete;             ///< it is one call
  call_account& operator=(const call_account&) = delete;  ///< likewise
  SLUICE_API void succeeded() noexcept;                   ///< the call counts as a sample

 private:
  alignas(8) std::array<std::byte, 56> state_;  // placement's, in place: an account allocates nothing
};

}  // namespace SLUICE_ABI
}  // namespace sluice

// After the declarations: in the header-only form the definitions of ops come with it, and need them.
#include "sluice/ops/all.hpp"

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/placement/placement.hpp"
#endif
