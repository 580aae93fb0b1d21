/// @file
/// How fast each device of this machine is, as placement assumes: measured once, kept in a file, corrected by the durations
/// of calls.
///
///     sluice::calibrate();                 // measures all devices, a second each at most, and keeps the figures
///     sluice::calibrate_in_background();   // for servers at their start: what no file has, on a thread of low priority
///     for (const auto& p : sluice::profiles()) std::cout << p.where.str() << ": " << p.source << '\n';
///
/// The file is readable text, one record a line, in $XDG_CACHE_HOME/sluice, else ~/.cache/sluice; there is one for each
/// machine and version of the library. Figures of another machine, of other devices or of another version are not used, and
/// profiles() says so.
#pragma once

#include "sluice/device.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

/// What to measure.
struct calibration_options {
  std::vector<device> devices{};  ///< none: all devices
  double seconds = 0.9;           ///< for each device, at most, without waking it
  bool save = true;               ///< to profile_path(), for later processes
};

/// What placement assumes of one device.
struct profile_info {
  device where;           ///< the device
  bool measured = false;  ///< false: defaults that keep work where it is
  std::string source{};   ///< "measured 2026-11-21T16:05:00Z, kept in PATH", "not measured: PATH is of another machine: ..."
};

/// Measures, and uses the result from then on. A device that fails is left out, and its source says why. Throws unavailable
/// for a device that is missing, and invalid_argument for seconds that are not above 0. Other work during the measurement
/// makes the figures worse.
SLUICE_API std::vector<profile_info> calibrate(const calibration_options& options = {});

/// The same on a thread of its own, of niceness 10, unless a file has the figures. Returns at once: false when one is
/// running already, or no thread can be started. The end of the process waits for the measurement in progress, some 50 ms.
SLUICE_API bool calibrate_in_background(const calibration_options& options = {});

/// What placement assumes of each device, and the source of it. Loads modules as devices() does.
SLUICE_API std::vector<profile_info> profiles();

/// The file of this machine's figures; empty when the user has no cache folder.
SLUICE_API std::string profile_path();

}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/placement/placement.hpp"
#endif
