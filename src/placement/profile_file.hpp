// Profiles in a file: this machine's, written and read back in one form, or not used at all.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "profile.hpp"
#include "sluice/calibration.hpp"

namespace sluice::core {

// What a file of profiles says beside them.
struct profile_origin {
  std::string version;  // of the library
  std::string host;     // of this machine alone
  std::string made;     // "2026-11-21T16:05:00Z"

  static profile_origin here();
};

struct kept_profiles {
  profile_origin origin;
  std::vector<profile> profiles;
};

std::string text_of(const kept_profiles& k);
// Takes what text_of() writes, spaces aside, and throws malformed with the place for anything else.
kept_profiles parse_profiles(std::string_view text);

// This machine's file as far as it fits the devices that are there, and where each device's figures are from. Loads modules
// when the file has figures of a device that is no CPU.
std::pair<std::vector<profile>, std::vector<profile_info>> read_profile_file();

// Beside the old file, then in its place. Returns why not, or nothing.
std::string write_profile_file(const std::vector<profile>& profiles, const std::string& made);

}  // namespace sluice::core
