// What core asks of the operating system. The only file of core's that differs from one system to the next is platform.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace sluice::platform {

// Cores this process may use: its affinity, cut by its cgroup's CPU quota (rounded up). At least 1.
int usable_cores();

std::size_t page_size();

// The folder of the shared library that holds this code, or of the executable when sluice is linked statically.
std::string own_folder();

// Files of `folder` whose names begin with `prefix` and end with `suffix`, sorted; empty when the folder cannot be read.
std::vector<std::string> list_files(const std::string& folder, const std::string& prefix, const std::string& suffix);

// Opens a module so that its symbols stay its own; null, with the reason, when that fails. Never closed.
void* open_module(const std::string& path, std::string& reason);
void* find_symbol(void* module, const char* name);

// Keeps every signal away from the calling thread.
void block_signals();

// Runs `f` in the child after each fork.
void after_fork_in_child(void (*f)());

}  // namespace sluice::platform
