// The profiles in force: an immutable set, put in place of the one before by a pointer, so that a decision takes no lock.
#pragma once

#include "observe.hpp"
#include "profile.hpp"
#include "sluice/calibration.hpp"

namespace sluice::core {

struct profile_set {
  std::vector<profile> profiles;      // the CPU's first
  std::vector<live_state*> live;      // one a profile
  std::vector<profile_info> sources;  // of these devices, and of those without a profile
  bool measured = false;              // a device that is no CPU was

  [[nodiscard]] int index_of(const device& d) const noexcept;  // -1: it has no profile
};

// Work that takes the CPU less wakes no device, and has no profile read.
constexpr double worth_waking = 100e-6;

// The set in force; null while nobody has looked for one.
const profile_set* published() noexcept;
// The same, or the defaults; the first work that is worth it has this machine's file read.
const profile_set& in_force(const work& w) noexcept;

// Puts measured profiles in force, over those of the same devices, and the sources of others. Sets before it stay, for
// decisions that still read them: some 20 KiB a calibration.
void publish(std::vector<profile> measured, std::vector<profile_info> sources);

// Reads this machine's file, if that was not done. Whoever comes meanwhile waits for it, or goes on without.
void read_profiles(bool wait) noexcept;

live_state& live_of(const device& d);

// SLUICE_DEVICE, read once; automatic when it is not set. Throws invalid_argument when it is no device's name.
const device& environment_device();

// While it lives this thread's operations are not accounted: they are part of another call, or a measurement.
class unaccounted {
 public:
  unaccounted() noexcept { ++depth; }
  ~unaccounted() { --depth; }
  unaccounted(const unaccounted&) = delete;
  unaccounted& operator=(const unaccounted&) = delete;
  static bool here() noexcept { return depth > 0; }
  static void enter() noexcept { ++depth; }
  static void leave() noexcept { --depth; }

 private:
  static thread_local int depth;
};

}  // namespace sluice::core
