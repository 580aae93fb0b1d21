// What the CUDA backend asks of the operating system: system_posix.cpp and system_windows.cpp answer, of which a build has
// one.
#pragma once

namespace sluice::cuda {

extern const char* const driver_library;

// A function of the driver's library, if the process has loaded it; null otherwise.
void* loaded_driver_function(const char* name);

// Puts in "580.159.04"; false where the system does not tell it.
bool system_driver_version(char (&text)[32]);

// Runs `f` in the child after each fork.
void after_fork_in_child(void (*f)());

}  // namespace sluice::cuda
