/// @file
/// How fast each device of this machine is, as placement believes it: measured once, kept in a file, corrected by what calls
/// take.
///
///     sluice::calibrate();                 // measures all devices, a second each at most, and keeps the figures
///     sluice::calibrate_in_background();   // for servers at their start: what no file tells, on a thread that gives way
///     for (const auto& p : sluice::profiles()) std::cout << p.where.str() << ": " << p.source << '\n';
///
/// The file is readable JSON in $XDG_CACHE_HOME/sluice, else ~/.cache/sluice, one for each machine and version of the
/// library. Figures of another machine, of other devices or of another version are not used, and profiles() says so.
#pragma once

#include "sluice/placement.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What is to be measured.
struct calibration_options {
  std::vector<device> devices{};  ///< none: all that are there
  double seconds = 0.9;           ///< for each, at most; waking it is not counted
  bool save = true;               ///< to profile_path(), for later processes
};

/// What placement goes by on one device.
struct profile_info {
  device where;           ///< the device
  bool measured = false;  ///< false: defaults that keep work where it is
  std::string source{};   ///< "measured 2026-11-21T16:05:00Z, kept in PATH", "not measured: PATH is of another machine: ..."
};

/// Measures, and uses the result from then on. A device that fails is left out, and its source says why. Throws unavailable
/// for a device that is not there, and invalid_argument for seconds that are not above 0. Other work meanwhile makes the
/// figures worse.
SLUICE_API std::vector<profile_info> calibrate(const calibration_options& options = {});

/// The same on a thread of its own, of niceness 10, unless a file has the figures. Returns at once: false when it is under
/// way already, or there is no thread to be had. The end of the process waits for the measurement under way, some 50 ms.
SLUICE_API bool calibrate_in_background(const calibration_options& options = {});

/// What placement goes by, for each device that is there, and where from. Loads modules as devices() does.
SLUICE_API std::vector<profile_info> profiles();

/// Where the figures of this machine are kept; empty when the user has no such folder.
SLUICE_API std::string profile_path();

}  // namespace SLUICE_ABI
}  // namespace sluice
