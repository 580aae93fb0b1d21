// The backends of this process: the CPU's, linked in, and the modules that the loader took.
#pragma once

#include <string>
#include <vector>

#include "sluice/backend_api.h"
#include "sluice/device.hpp"

namespace sluice::core {

// A backend's table, copied so that slots beyond its struct_size are null.
struct backend {
  sluice_backend table{};
  std::string path;  // empty for the CPU's
  int devices = 0;
};

// A device's table and number there.
struct place_of_work {
  const sluice_backend* table = nullptr;
  std::int32_t index = 0;
};

const sluice_host& host();
const sluice_backend& cpu_table();

// Loads modules when `where` is not the CPU. Throws unavailable, with the reasons known, when there is no such device.
place_of_work find(const device& where);

// find(), and the device woken and proven; what it failed with is kept and thrown each time, and so is its loss.
place_of_work find_awake(const device& where);

// Throws the status as an error: "[operation] message".
void check(sluice_status status, const sluice_message& message, std::string_view operation);
// The same, and a device whose status says that it is lost is lost from now on.
void check(const place_of_work& at, sluice_status status, const sluice_message& message, std::string_view operation);
// Only that: for whoever cannot throw.
void keep_loss(const place_of_work& at, sluice_status status, const sluice_message& message) noexcept;

// What the device was lost by; null while it is not known to be lost. Loads no module and waits for nothing.
const char* loss_of(const device& where) noexcept;

// Whether it was woken, and not in vain. Loads no module and waits for nothing.
bool is_awake(const device& where) noexcept;

// Whether there is such a device. Loads modules when it is not the CPU.
bool is_there(const device& where) noexcept;

// Loader: takes a module, or returns why not.
bool load_module(const std::string& path, backend& out, std::string& reason);

// Folders to look for modules in.
std::vector<std::string> module_folders();

}  // namespace sluice::core
