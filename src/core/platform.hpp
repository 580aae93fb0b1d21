// What core asks of the operating system. platform_posix.cpp and platform_windows.cpp answer, of which a
// build has one; platform.cpp is the same everywhere.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sluice::platform {

// Cores this process may use: its affinity, cut by the CPU quota of its cgroup and those around it (rounded up). At least 1.
int usable_cores();

std::size_t page_size();

// The folder of the shared library that holds this code, or of the executable when sluice is linked statically.
std::string own_folder();

// What the names of modules end with.
const char* module_suffix();

// The entries of a list of paths as environment variables hold it; the empty ones too.
std::vector<std::string> split_paths(const std::string& list);

// Where this user's programs keep what can be had again; nothing when that cannot be told.
std::string cache_folder();

// Files of `folder` whose names begin with `prefix` and end with `suffix`, with something between, sorted; none when the
// folder cannot be read.
std::vector<std::string> list_files(const std::string& folder, const std::string& prefix, const std::string& suffix);

// This machine's own id and name: no two machines have both, as far as can be told.
std::string host_id();

// The file's text, of at most `largest` bytes; returns why not, or nothing.
std::string read_file(const std::string& path, std::size_t largest, std::string& text);

// Writes a file beside `path`, in folders that are made, and puts it in its place, whole; returns why not, or nothing.
std::string replace_file(const std::string& path, const std::string& text);

// Opens a module so that its symbols stay its own; null, with the reason, when that fails. Never closed.
void* open_module(const std::string& path, std::string& reason);
void* find_symbol(void* module, const char* name);

// Starts a thread of its own that no signal is handled on but those of its own faults and a profiler's: the others are for
// the application's threads. Throws system_error when the system gives none.
void start_thread(void (*work)(void* context), void* context);

// Has the calling thread be nicer than the process by `nice`, where a thread has a niceness of its own.
void set_nice(int nice);

// Runs `f` in the child after each fork.
void after_fork_in_child(void (*f)());

}  // namespace sluice::platform
