// Windows. Included by process.hpp.
#pragma once

#include "sluice/impl/base/windows.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>

#include "sluice/impl/base/process.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Cores that a job object, as containers have one, leaves of `cores`.
inline int job_object_quota(int cores) {
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate{};
  if (!::QueryInformationJobObject(nullptr, JobObjectCpuRateControlInformation, &rate, sizeof rate, nullptr)) return cores;
  constexpr DWORD capped = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
  if ((rate.ControlFlags & capped) != capped) return cores;
  return std::max(1, static_cast<int>((static_cast<std::uint64_t>(cores) * rate.CpuRate + 9999) / 10000));  // of 10,000
}

inline int usable_cores() {
  DWORD_PTR own = 0, all = 0;
  // A process that spans groups of 64 processors has no single mask.
  const int allowed = ::GetProcessAffinityMask(::GetCurrentProcess(), &own, &all) ? std::popcount(own) : 0;
  const int cores = allowed > 0 ? allowed : static_cast<int>(::GetActiveProcessorCount(ALL_PROCESSOR_GROUPS));
  return job_object_quota(std::max(1, cores));
}

inline std::vector<std::string> split_paths(const std::string& list) {
  std::vector<std::string> paths;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(';', begin), list.size());
    paths.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

inline std::string cache_folder() {
  for (const char* name : {"XDG_CACHE_HOME", "LOCALAPPDATA"})
    if (const char* folder = std::getenv(name); folder != nullptr && std::filesystem::path(folder).is_absolute())
      return folder;
  return {};
}

inline std::string host_id() {
  char id[64] = "";
  DWORD size = sizeof id;
  if (::RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Cryptography", "MachineGuid", RRF_RT_REG_SZ, nullptr, id,
                     &size) != ERROR_SUCCESS)
    id[0] = '\0';
  char name[256] = "";
  size = sizeof name;
  if (!::GetComputerNameExA(ComputerNameDnsHostname, name, &size)) name[0] = '\0';
  return std::string(id) + ' ' + name;
}

inline bool may_use_amx() noexcept { return false; }

inline std::int64_t process_id() noexcept { return ::GetCurrentProcessId(); }

inline void processor_name(char (&name)[80]) noexcept {
  char text[80] = "";
  DWORD size = sizeof text;
  if (::RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                     RRF_RT_REG_SZ, nullptr, text, &size) != ERROR_SUCCESS)
    return;
  for (std::size_t i = 0; i < sizeof name; ++i) name[i] = text[i];
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
