#include "platform.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

namespace sluice::platform {
namespace {

// cgroup v2 writes "max 100000" or "QUOTA PERIOD", in microseconds.
int cgroup_cores() {
  std::ifstream in("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::ceil(quota / period));
}

}  // namespace

int usable_cores() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int quota = cgroup_cores();
  return quota > 0 ? std::min(cores, quota) : cores;
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

std::string own_folder() {
  Dl_info info{};
  std::error_code ignored;
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) != 0 && info.dli_fname != nullptr) {
    const auto path = std::filesystem::canonical(info.dli_fname, ignored);
    if (!ignored && path.filename().string().find(".so") != std::string::npos) return path.parent_path().string();
  }
  const auto executable = std::filesystem::canonical("/proc/self/exe", ignored);
  return ignored ? std::string() : executable.parent_path().string();
}

std::vector<std::string> list_files(const std::string& folder, const std::string& prefix, const std::string& suffix) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.size() >= prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix))
      found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

void* open_module(const std::string& path, std::string& reason) {
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    const char* text = ::dlerror();
    reason = text != nullptr ? text : "dlopen failed and gave no reason";
  }
  return module;
}

void* find_symbol(void* module, const char* name) { return ::dlsym(module, name); }

void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

void after_fork_in_child(void (*f)()) { ::pthread_atfork(nullptr, nullptr, f); }

}  // namespace sluice::platform
