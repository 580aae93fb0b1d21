// Loads backend modules: opens one, finds its entry, compares version and size, counts devices. Never unloads one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/base/file.hpp"
#include "sluice/impl/base/library.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/core/backend.hpp"

// Where an installation has its programs, and its libraries as seen from there: the build of the compiled form defines both.
#if !defined(SLUICE_PROGRAMS)
#define SLUICE_PROGRAMS "bin"
#define SLUICE_LIBRARIES_FROM_PROGRAMS "../lib"
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// The part of a table before its first slot.
inline constexpr std::size_t table_header_size = offsetof(sluice_backend, device_count);

inline bool valid_backend_name(const char* name) {
  if (name == nullptr || *name == '\0' || std::strlen(name) > 15) return false;
  return std::all_of(name, name + std::strlen(name),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// The first required slot that is null; null when there is none.
inline const char* missing_slot(const sluice_backend& t) {
  if (t.device_count == nullptr) return "device_count";
  if (t.device_info == nullptr) return "device_info";
  if (t.allocate == nullptr) return "allocate";
  if (t.deallocate == nullptr) return "deallocate";
  if (t.copy == nullptr) return "copy";
  if (t.queue_acquire == nullptr) return nullptr;
  // Work on queues is ordered by events.
  if (t.queue_release == nullptr) return "queue_release";
  if (t.event_create == nullptr) return "event_create";
  if (t.event_destroy == nullptr) return "event_destroy";
  if (t.event_record == nullptr) return "event_record";
  if (t.queue_wait_event == nullptr) return "queue_wait_event";
  if (t.event_wait == nullptr) return "event_wait";
  return nullptr;
}

// Fills `out` from the module at `path`; false with the reason when it is refused.
inline bool load_module(const std::string& path, backend& out, std::string& reason) {
  void* module = base::open_module(path, reason);
  if (module == nullptr) return false;
  auto* entry = reinterpret_cast<sluice_backend_entry_function>(base::find_symbol(module, "sluice_backend_entry"));
  if (entry == nullptr) {
    reason = "it has no symbol sluice_backend_entry";
    return false;
  }
  const sluice_backend* given = entry(&host());
  if (given == nullptr) {
    reason = "its entry gave no table";
    return false;
  }
  if (given->api_version != SLUICE_BACKEND_API_VERSION) {
    reason = fmt::format("its table is of version {}, this library's of version {}", given->api_version,
                         SLUICE_BACKEND_API_VERSION);
    return false;
  }
  if (given->struct_size < table_header_size + sizeof(void*)) {
    reason = fmt::format("its table has {} bytes, fewer than the {} that hold one slot", given->struct_size,
                         table_header_size + sizeof(void*));
    return false;
  }
  // Whole slots only: all are pointers.
  const std::size_t size = std::min<std::size_t>(given->struct_size, sizeof out.table);
  std::memcpy(&out.table, given, size - (size - table_header_size) % sizeof(void*));
  if (!valid_backend_name(out.table.name)) {
    reason = "its name is not 1 to 15 lower-case letters and digits";
    return false;
  }
  if (const char* slot = missing_slot(out.table)) {
    reason = fmt::format("its table has no {}", slot);
    return false;
  }
  sluice_message message{};
  std::int32_t count = 0;
  const sluice_status status = out.table.device_count(&count, &message);
  if (status != SLUICE_OK || count <= 0) {
    reason = message.text[0] != '\0' ? message.text : fmt::format("it counts {} devices", count);
    return false;
  }
  out.path = path;
  out.devices = count;
  return true;
}

// Folders that a package of sluice names for the program that is built with it (detail::add_backend_folder).
inline std::vector<std::string>& package_folders() {
  static auto* folders = new std::vector<std::string>;  // filled by static initialisers, in any order
  return *folders;
}

// PREFIX/lib of code that is installed in PREFIX/bin; empty for code in any other folder, whose parent anyone may write to.
inline std::string installed_libraries(const std::string& own) {
  const std::filesystem::path folder(own);
  if (folder.filename() != SLUICE_PROGRAMS) return {};
  return (folder / SLUICE_LIBRARIES_FROM_PROGRAMS).lexically_normal().string();
}

// Folders to look for modules in, each once.
inline std::vector<std::string> module_folders() {
  std::vector<std::string> folders;
  std::vector<std::filesystem::path> seen;
  const auto add = [&](const std::string& folder) {
    if (!std::filesystem::path(folder).is_absolute()) return;
    const auto place = base::canonical(folder);
    if (std::find(seen.begin(), seen.end(), place) != seen.end()) return;
    seen.push_back(place);
    folders.push_back(folder);
  };
  const std::string list(base::environment("SLUICE_BACKEND_PATH"));
  bool relative = false;
  for (const auto& folder : base::split_paths(list)) {
    add(folder);
    // It would mean the working directory, where anyone may have put a file.
    relative = relative || (!folder.empty() && std::filesystem::path(folder).is_relative());
  }
  if (relative)
    base::warn_of_environment("SLUICE_BACKEND_PATH", list, "absolute folders, and a relative one in it is not looked in");
  const std::string own = base::own_folder();
  add(own);
  add(installed_libraries(own));
  for (const auto& folder : package_folders()) add(folder);
  return folders;
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
