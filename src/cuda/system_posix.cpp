// Linux: there is no CUDA on macOS.
#include "system.hpp"

#include <dlfcn.h>
#include <pthread.h>

#include <cstdio>
#include <cstring>

namespace sluice::cuda {

const char* const driver_library = "libcuda.so.1";

void* loaded_driver_function(const char* name) {
  void* driver = ::dlopen(driver_library, RTLD_LAZY | RTLD_NOLOAD);
  return driver != nullptr ? ::dlsym(driver, name) : nullptr;
}

bool system_driver_version(char (&text)[32]) {
  text[0] = '\0';
  std::FILE* const file = std::fopen("/sys/module/nvidia/version", "re");
  if (file == nullptr) return false;
  if (std::fgets(text, sizeof text, file) == nullptr) text[0] = '\0';
  std::fclose(file);
  text[std::strcspn(text, "\n")] = '\0';
  return text[0] != '\0';
}

void after_fork_in_child(void (*f)()) { ::pthread_atfork(nullptr, nullptr, f); }

}  // namespace sluice::cuda
