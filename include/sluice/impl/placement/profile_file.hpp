// Profiles in a file: those of this machine and version of the library, or none.
#pragma once

#include <algorithm>

#include "sluice/calibration.hpp"
#include "sluice/impl/base/file.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/core/registry.hpp"
#include "sluice/impl/placement/profile_text.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace placement {

inline constexpr std::size_t largest_profile_file = 4 << 20;

inline std::uint64_t profile_hash(std::string_view text) {  // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

inline std::string profile_folder() {
  const std::string cache = base::cache_folder();
  return cache.empty() ? cache : cache + "/sluice";
}

inline std::string cpu_description() {
  sluice_device_info info{};
  sluice_message message{};
  return core::cpu_table().device_info(0, &info, &message) == SLUICE_OK ? info.description : message.text;
}

inline profile_origin this_origin() {
  return {SLUICE_VERSION_STRING, fmt::format("{:016x}", profile_hash(base::host_id())), {}};
}

// Throws, with the reason, where the file is not of this machine and library.
inline kept_profiles load_profiles(const std::string& path) {
  std::string text;
  if (const auto reason = base::read_file(path, largest_profile_file, text); !reason.empty())
    throw error(error_code::io, reason);
  kept_profiles k = parse_profiles(text);
  const auto here = this_origin();
  const auto same = [](const char* what, const std::string& theirs, const std::string& ours) {
    if (theirs == ours) return;
    throw error(error_code::unavailable, fmt::format("it is of {} {}, and this is {}", what, theirs, ours));
  };
  same("another machine,", k.origin.host, here.host);
  same("another version,", k.origin.version, here.version);
  return k;
}

// The profiles of this machine's file that fit its devices, and the source of each device's figures. Loads modules when the
// file has figures of a device other than the CPU.
inline std::pair<std::vector<profile>, std::vector<profile_info>> read_profile_file() {
  const std::string path = profile_path();
  if (path.empty()) return {{}, {{device::cpu, false, "not measured: there is no cache folder to look in"}}};
  try {
    kept_profiles k = load_profiles(path);
    const bool others = std::any_of(k.profiles.begin(), k.profiles.end(), [](const auto& p) { return !p.where.is_cpu(); });
    const auto there = others ? devices() : std::vector<device_info>{};
    std::vector<profile> profiles;
    std::vector<profile_info> sources;
    for (auto& p : k.profiles) {
      std::string now = p.where.is_cpu() ? cpu_description() : "";
      for (const auto& d : there)
        if (d.where == p.where) now = d.description;
      const bool fits = now == p.description;
      sources.push_back({p.where, fits,
                         fits ? fmt::format("measured {}, kept in {}", k.origin.made, path)
                         : now.empty()
                             ? fmt::format("not used: {} has figures of it, and there is no such device", path)
                             : fmt::format("not measured: {} is of {}, and this is {}", path, p.description, now)});
      if (fits) profiles.push_back(std::move(p));
    }
    return {std::move(profiles), std::move(sources)};
  } catch (const error& e) {
    return {{}, {{device::cpu, false, fmt::format("not measured: {}: {}", path, e.what())}}};
  }
}

// Replaces the file in one step. Returns why not, or nothing.
inline std::string write_profile_file(const std::vector<profile>& profiles, const std::string& made) {
  const std::string path = profile_path();
  if (path.empty()) return "there is no cache folder to keep it in";
  auto origin = this_origin();
  origin.made = made;
  return base::replace_file(path, profiles_text(kept_profiles{std::move(origin), profiles}));
}

}  // namespace placement
}  // namespace SLUICE_ABI
}  // namespace sluice
