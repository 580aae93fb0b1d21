// Linux and macOS. Included by library.hpp.
#pragma once

#include <dlfcn.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>

#include <cstdint>
#endif

#include <filesystem>
#include <system_error>

#include "sluice/impl/base/library.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

inline const char* module_suffix() noexcept { return ".so"; }

inline std::string executable_path() {
#if defined(__APPLE__)
  std::string path(4096, '\0');
  auto size = static_cast<std::uint32_t>(path.size());
  return ::_NSGetExecutablePath(path.data(), &size) == 0 ? path.c_str() : "";
#else
  return "/proc/self/exe";
#endif
}

inline std::string own_folder() {
#if defined(__APPLE__)
  constexpr const char* library_suffix = ".dylib";
#else
  constexpr const char* library_suffix = ".so";
#endif
  Dl_info info{};
  std::error_code error;
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) != 0 && info.dli_fname != nullptr) {
    const auto path = std::filesystem::canonical(info.dli_fname, error);
    if (!error && path.filename().string().find(library_suffix) != std::string::npos) return path.parent_path().string();
  }
  const auto program = std::filesystem::canonical(executable_path(), error);
  return error ? std::string() : program.parent_path().string();
}

inline void* open_module(const std::string& path, std::string& reason) {
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : "dlopen failed and gave no reason";
  }
  return module;
}

inline void* find_symbol(void* module, const char* name) noexcept { return ::dlsym(module, name); }

inline std::string path_of(const void* symbol, const std::string& otherwise) {
  Dl_info info{};
  return ::dladdr(symbol, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : otherwise;
}

inline void* find_loaded(const char* library, const char* name) noexcept {
  void* const module = ::dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  return module != nullptr ? ::dlsym(module, name) : nullptr;
}

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice
