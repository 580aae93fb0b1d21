// Windows.
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include "system.hpp"

namespace sluice::cuda {

const char* const driver_library = "nvcuda.dll";

void* loaded_driver_function(const char* name) {
  const HMODULE driver = ::GetModuleHandleA(driver_library);
  return driver != nullptr ? reinterpret_cast<void*>(::GetProcAddress(driver, name)) : nullptr;
}

bool system_driver_version(char (&)[32]) { return false; }

void after_fork_in_child(void (*)()) {}  // there is no fork

}  // namespace sluice::cuda
