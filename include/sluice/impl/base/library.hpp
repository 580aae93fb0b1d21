// Modules that are loaded at run time, and where this code lies.
#pragma once

#include <string>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// The end of a module's file name: ".so" on macOS too, ".dll" on Windows.
const char* module_suffix() noexcept;

// The folder of the shared library that holds this code, or of the executable when sluice is linked statically or
// header-only.
std::string own_folder();

// Opens a module whose symbols stay its own; null, with the reason, on failure. It is never closed.
void* open_module(const std::string& path, std::string& reason);
void* find_symbol(void* module, const char* name) noexcept;

// The file of the library that holds `symbol`; `otherwise` where the system does not tell.
std::string path_of(const void* symbol, const std::string& otherwise);

// A function of a library that the process has loaded; null otherwise. `library`: its file name.
void* find_loaded(const char* library, const char* name) noexcept;

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/base/library_windows.hpp"
#else
#include "sluice/impl/base/library_posix.hpp"
#endif
