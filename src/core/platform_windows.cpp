// Windows. Paths are narrow strings as std::filesystem::path reads and writes them.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>

#include "platform.hpp"

namespace sluice::platform {
namespace {

std::string last_reason() { return std::system_category().message(static_cast<int>(::GetLastError())); }

// Cores that a job object, as containers have one, leaves of `cores`.
int quota_of(int cores) {
  JOBOBJECT_CPU_RATE_CONTROL_INFORMATION rate{};
  if (!::QueryInformationJobObject(nullptr, JobObjectCpuRateControlInformation, &rate, sizeof rate, nullptr)) return cores;
  constexpr DWORD capped = JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP;
  if ((rate.ControlFlags & capped) != capped) return cores;
  return std::max(1, static_cast<int>((static_cast<std::uint64_t>(cores) * rate.CpuRate + 9999) / 10000));  // of 10,000
}

// Writes all of it, and has it on the disk; false: GetLastError() says why.
bool write_all(HANDLE file, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto wanted = static_cast<DWORD>(std::min<std::size_t>(text.size() - at, 1 << 30));
    DWORD n = 0;
    if (!::WriteFile(file, text.data() + at, wanted, &n, nullptr)) return false;
    at += n;
  }
  return ::FlushFileBuffers(file) != 0;
}

}  // namespace

int usable_cores() {
  DWORD_PTR own = 0, all = 0;
  // A process that spans groups of 64 processors has no one mask.
  const int allowed = ::GetProcessAffinityMask(::GetCurrentProcess(), &own, &all) ? std::popcount(own) : 0;
  const int cores = allowed > 0 ? allowed : static_cast<int>(::GetActiveProcessorCount(ALL_PROCESSOR_GROUPS));
  return quota_of(std::max(1, cores));
}

std::size_t page_size() {
  static const std::size_t size = [] {
    SYSTEM_INFO info{};
    ::GetSystemInfo(&info);
    return info.dwPageSize;
  }();
  return size;
}

std::string own_folder() {
  HMODULE own = nullptr;
  constexpr DWORD by_address = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!::GetModuleHandleExW(by_address, reinterpret_cast<LPCWSTR>(&own_folder), &own)) return {};
  std::wstring path(32768, L'\0');
  path.resize(::GetModuleFileNameW(own, path.data(), static_cast<DWORD>(path.size())));
  return std::filesystem::path(path).parent_path().string();
}

const char* module_suffix() { return ".dll"; }

std::vector<std::string> split_paths(const std::string& list) {
  std::vector<std::string> paths;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(';', begin), list.size());
    paths.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

std::string cache_folder() {
  for (const char* name : {"XDG_CACHE_HOME", "LOCALAPPDATA"})
    if (const char* folder = std::getenv(name); folder != nullptr && std::filesystem::path(folder).is_absolute())
      return folder;
  return {};
}

std::string host_id() {
  char id[64] = "";
  DWORD room = sizeof id;
  if (::RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Cryptography", "MachineGuid", RRF_RT_REG_SZ, nullptr, id,
                     &room) != ERROR_SUCCESS)
    id[0] = '\0';
  char name[256] = "";
  room = sizeof name;
  if (!::GetComputerNameExA(ComputerNameDnsHostname, name, &room)) name[0] = '\0';
  return std::string(id) + ' ' + name;
}

std::string replace_file(const std::string& path, const std::string& text) {
  const auto failed = [&](const char* doing) { return path + " cannot be " + doing + ": " + last_reason(); };
  const std::filesystem::path target(path);
  std::error_code made;
  std::filesystem::create_directories(target.parent_path(), made);
  const std::wstring beside = target.wstring() + L'.' + std::to_wstring(::GetCurrentThreadId());
  const HANDLE file =
      ::CreateFileW(beside.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) return failed("written");
  std::string reason = write_all(file, text) ? "" : failed("written");
  ::CloseHandle(file);
  if (reason.empty() && !::MoveFileExW(beside.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
    reason = failed("put in place");
  if (!reason.empty()) ::DeleteFileW(beside.c_str());
  return reason;
}

void* open_module(const std::string& path, std::string& reason) {
  // Its own folder, for which its path needs backslashes, and the system's; not the working directory.
  constexpr DWORD places = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
  const HMODULE module = ::LoadLibraryExW(std::filesystem::path(path).make_preferred().c_str(), nullptr, places);
  if (module == nullptr) reason = path + ": " + last_reason();
  return module;
}

void* find_symbol(void* module, const char* name) {
  return reinterpret_cast<void*>(::GetProcAddress(static_cast<HMODULE>(module), name));
}

void start_thread(void (*work)(void* context), void* context) { std::thread(work, context).detach(); }

void set_nice(int nice) {
  ::SetThreadPriority(::GetCurrentThread(), nice >= 15  ? THREAD_PRIORITY_LOWEST
                                            : nice > 0  ? THREAD_PRIORITY_BELOW_NORMAL
                                            : nice == 0 ? THREAD_PRIORITY_NORMAL
                                                        : THREAD_PRIORITY_ABOVE_NORMAL);
}

void after_fork_in_child(void (*)()) {}  // there is no fork

}  // namespace sluice::platform
