// Takes backend modules: open, find the entry, compare version and size, count devices; no more. Nothing is ever unloaded.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "platform.hpp"
#include "registry.hpp"

namespace sluice::core {
namespace {

constexpr std::size_t smallest_table = offsetof(sluice_backend, device_count);

bool valid_name(const char* name) {
  if (name == nullptr || *name == '\0' || std::strlen(name) > 15) return false;
  return std::all_of(name, name + std::strlen(name),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

const char* missing_slot(const sluice_backend& t) {
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

}  // namespace

bool load_module(const std::string& path, backend& out, std::string& reason) {
  void* module = platform::open_module(path, reason);
  if (module == nullptr) return false;
  auto* entry = reinterpret_cast<sluice_backend_entry_function>(platform::find_symbol(module, "sluice_backend_entry"));
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
  if (given->struct_size < smallest_table + sizeof(void*)) {
    reason = fmt::format("its table has {} bytes, fewer than the {} that hold one slot", given->struct_size,
                         smallest_table + sizeof(void*));
    return false;
  }
  // Whole slots only: all are pointers.
  const std::size_t size = std::min<std::size_t>(given->struct_size, sizeof out.table);
  std::memcpy(&out.table, given, size - (size - smallest_table) % sizeof(void*));
  if (!valid_name(out.table.name)) {
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

std::vector<std::string> module_folders() {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& folder) {
    // An empty or relative entry would mean the working directory, where anybody may have put a file.
    if (std::filesystem::path(folder).is_absolute() && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  };
  if (const char* list = std::getenv("SLUICE_BACKEND_PATH"); list != nullptr)
    for (const auto& folder : platform::split_paths(list)) add(folder);
  add(platform::own_folder());
  return folders;
}

}  // namespace sluice::core
