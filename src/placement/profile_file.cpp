#include "profile_file.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "sluice/impl/base/file.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/core/registry.hpp"

namespace sluice::core {
namespace {

constexpr std::size_t largest_file = 4 << 20;

std::uint64_t hash_of(std::string_view text) {  // FNV-1a
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

std::string folder() {
  const std::string cache = base::cache_folder();
  return cache.empty() ? cache : cache + "/sluice";
}

std::string cpu_description() {
  sluice_device_info info{};
  sluice_message message{};
  return cpu_table().device_info(0, &info, &message) == SLUICE_OK ? info.description : message.text;
}

// Throws, with the reason, where the file is not of this machine and library.
kept_profiles load(const std::string& path) {
  std::string text;
  if (const auto reason = base::read_file(path, largest_file, text); !reason.empty()) throw error(error_code::io, reason);
  kept_profiles k = parse_profiles(text);
  const auto here = profile_origin::here();
  const auto same = [](const char* what, const std::string& theirs, const std::string& ours) {
    if (theirs == ours) return;
    throw error(error_code::unavailable, fmt::format("it is of {} {}, and this is {}", what, theirs, ours));
  };
  same("another machine,", k.origin.host, here.host);
  same("another version,", k.origin.version, here.version);
  return k;
}

}  // namespace

profile_origin profile_origin::here() {
  return {SLUICE_VERSION_STRING, fmt::format("{:016x}", hash_of(base::host_id())), {}};
}

std::pair<std::vector<profile>, std::vector<profile_info>> read_profile_file() {
  const std::string path = profile_path();
  if (path.empty()) return {{}, {{device::cpu, false, "not measured: there is no cache folder to look in"}}};
  try {
    kept_profiles k = load(path);
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
                             ? fmt::format("not used: {} has figures of it, and it is not there", path)
                             : fmt::format("not measured: {} is of {}, and this is {}", path, p.description, now)});
      if (fits) profiles.push_back(std::move(p));
    }
    return {std::move(profiles), std::move(sources)};
  } catch (const error& e) {
    return {{}, {{device::cpu, false, fmt::format("not measured: {}: {}", path, e.what())}}};
  }
}

std::string write_profile_file(const std::vector<profile>& profiles, const std::string& made) {
  const std::string path = profile_path();
  if (path.empty()) return "there is no cache folder to keep it in";
  auto origin = profile_origin::here();
  origin.made = made;
  return base::replace_file(path, text_of(kept_profiles{std::move(origin), profiles}));
}

}  // namespace sluice::core

namespace sluice {
inline namespace SLUICE_ABI {

std::string profile_path() {
  const std::string where = core::folder();
  if (where.empty()) return {};
  const auto here = core::profile_origin::here();
  return fmt::format("{}/profile-{:016x}.json", where,
                     core::hash_of(here.host + '\n' + here.version + '\n' + core::cpu_description()));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
