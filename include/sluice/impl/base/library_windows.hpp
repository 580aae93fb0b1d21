// Windows. Included by library.hpp.
#pragma once

#include "sluice/impl/base/windows.hpp"

#include <filesystem>
#include <system_error>

#include "sluice/impl/base/library.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline const char* module_suffix() noexcept { return ".dll"; }

inline std::string path_of(const void* symbol, const std::string& otherwise) {
  HMODULE module = nullptr;
  constexpr DWORD by_address = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
  if (!::GetModuleHandleExW(by_address, static_cast<LPCWSTR>(symbol), &module)) return otherwise;
  std::wstring path(32768, L'\0');
  path.resize(::GetModuleFileNameW(module, path.data(), static_cast<DWORD>(path.size())));
  return std::filesystem::path(path).string();
}

inline std::string own_folder() {
  return std::filesystem::path(path_of(reinterpret_cast<const void*>(&own_folder), "")).parent_path().string();
}

inline void* open_module(const std::string& path, std::string& reason) {
  // Searches the module's own folder, for which its path needs backslashes, and the system's; not the working directory.
  constexpr DWORD places = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
  const HMODULE module = ::LoadLibraryExW(std::filesystem::path(path).make_preferred().c_str(), nullptr, places);
  if (module == nullptr) reason = path + ": " + std::system_category().message(static_cast<int>(::GetLastError()));
  return module;
}

inline void* find_symbol(void* module, const char* name) noexcept {
  return reinterpret_cast<void*>(::GetProcAddress(static_cast<HMODULE>(module), name));
}

inline void* find_loaded(const char* library, const char* name) noexcept {
  const HMODULE module = ::GetModuleHandleA(library);
  return module != nullptr ? reinterpret_cast<void*>(::GetProcAddress(module, name)) : nullptr;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
