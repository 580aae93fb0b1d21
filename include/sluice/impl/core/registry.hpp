// The backends of this process (the CPU's and the modules that the loader accepted) and the state of their devices.
#include "sluice/device.hpp"  // before the guard: header-only, it includes definitions that include this file

#ifndef SLUICE_IMPL_CORE_REGISTRY_HPP
#define SLUICE_IMPL_CORE_REGISTRY_HPP

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "sluice/impl/base/file.hpp"
#include "sluice/impl/base/library.hpp"
#include "sluice/impl/core/backend.hpp"
#include "sluice/impl/core/loader.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// The outcome of initialising a device, and the reason of its loss.
struct device_state {
  std::mutex mutex;
  bool tried = false;
  bool waking = false;  // by the thread that has the mutex
  sluice_status status = SLUICE_OK;
  sluice_message message{};
  std::atomic<bool> awake{false};
  std::atomic<bool> lost{false};
  sluice_message loss{};  // written once, before `lost`
};

class registry {
 public:
  // Loads the modules on first use.
  static registry& instance() {
    return first_use([] { return new registry; });  // never destroyed: tensors may outlive static destructors
  }

  std::deque<backend> backends;  // the CPU's first
  std::deque<std::deque<device_state>> states;
  std::mutex mutex;  // of refusals, which grow when a device fails to initialise, and of losses
  std::vector<refusal> refusals;

  // Both count up only; while one is 0, no device has to be looked up.
  static inline std::atomic<int> devices_awake{0};
  static inline std::atomic<int> devices_lost{0};

 private:
  registry() {
    base::after_fork_in_child([] { instance().forget_threads(); });
    add(backend{cpu_table(), "", 1});
    const auto folders = module_folders();
    std::vector<std::filesystem::path> seen;
    for (const auto& folder : folders)
      for (const auto& path : base::list_files(folder, "libsluice-", base::module_suffix()))
        if (const auto file = base::canonical(path); std::find(seen.begin(), seen.end(), file) == seen.end()) {
          seen.push_back(file);
          load(path);
        }
    if (!seen.empty()) return;
    for (const auto& folder : folders)
      refusals.push_back({"", folder, fmt::format("no module libsluice-*{} is in {}", base::module_suffix(), folder)});
  }

  // In a child: what the parent's threads were waking stays asleep, and their locks are open.
  void forget_threads() noexcept {
    for (auto& of_backend : states)
      for (auto& s : of_backend) {
        base::renew(s.mutex);
        if (!s.waking) continue;
        s.waking = false;
        s.status = SLUICE_UNAVAILABLE;
        std::snprintf(s.message.text, sizeof s.message.text, "the process was forked while the device was initialised");
      }
  }

  void add(backend b) {
    states.emplace_back(static_cast<std::size_t>(b.devices));
    backends.push_back(std::move(b));
  }

  void load(const std::string& path) {
    const auto begin = path.rfind('/') + 1 + std::string_view("libsluice-").size();
    const std::string name = path.substr(begin, path.size() - begin - std::string_view(base::module_suffix()).size());
    for (const auto& other : backends)
      if (other.table.name == name && !other.path.empty()) {
        log_line(0, fmt::format("{}: {} is not opened: {} came first", name, path, other.path).c_str());
        return;
      }
    backend b;
    std::string reason;
    if (load_module(path, b, reason)) {
      for (const auto& other : backends)
        if (std::string_view(other.table.name) == b.table.name)
          reason = fmt::format("a backend named {} is there already", other.table.name);
      if (reason.empty()) {
        log_line(1, fmt::format("{}: {} device(s), from {}", b.table.name, b.devices, path).c_str());
        add(std::move(b));
        return;
      }
    }
    log_line(1, fmt::format("{}: refused: {}", name, reason).c_str());
    refusals.push_back({name, path, reason});
  }
};

[[noreturn]] inline void throw_no_such_device(const device& where) {
  auto& r = registry::instance();
  std::string known;
  for (const auto& b : r.backends)
    known +=
        fmt::format("{}{} ({} device{})", known.empty() ? "" : ", ", b.table.name, b.devices, b.devices == 1 ? "" : "s");
  std::string text = fmt::format("[device] there is no {}: this machine has {}", where.str(), known);
  const uninterrupted_lock lock(r.mutex);
  for (const auto& refused : r.refusals) text += "; " + refused.str();
  throw error(error_code::unavailable, text);
}

inline const backend* find_backend(std::string_view name) {
  for (const auto& b : registry::instance().backends)
    if (b.table.name == name) return &b;
  return nullptr;
}

inline std::size_t number_of(const sluice_backend* table) {
  std::size_t at = 0;
  while (&registry::instance().backends[at].table != table) ++at;
  return at;
}

inline device_state& state_of(const backend_device& d) {
  return registry::instance().states[number_of(d.table)][static_cast<std::size_t>(d.index)];
}

// Null when there is no such device.
inline const device_state* state_of(const device& where) {
  const backend* b = find_backend(where.backend());
  if (b == nullptr || where.index() < 0 || where.index() >= b->devices) return nullptr;
  return &state_of(backend_device{&b->table, where.index()});
}

// Loads modules when `where` is not the CPU. Throws unavailable, with the known reasons, when there is no such device.
inline backend_device find(const device& where) {
  if (where.is_cpu() && where.index() == 0) return {&cpu_table(), 0};
  const backend* b = find_backend(where.backend());
  if (b == nullptr || where.index() < 0 || where.index() >= b->devices) throw_no_such_device(where);
  return {&b->table, where.index()};
}

// Notes the loss of a device whose status says so; does nothing for any other status. For callers that cannot throw.
inline void record_loss(const backend_device& d, sluice_status status, const sluice_message& message) noexcept {
  if (status != SLUICE_DEVICE_LOST || d.table == &cpu_table()) return;
  device_state& s = state_of(d);
  const uninterrupted_lock lock(registry::instance().mutex);
  if (s.lost.load(std::memory_order_relaxed)) return;
  // The prefix "cuda:0 is lost: " is added where the reason is reported.
  const char* reason = message.text[0] != '\0' ? message.text : "it gave no reason";
  if (const char* end = std::strstr(reason, " is lost: ")) reason = end + std::strlen(" is lost: ");
  std::snprintf(s.loss.text, sizeof s.loss.text, "%s", reason);
  s.lost.store(true, std::memory_order_release);
  ++registry::devices_lost;
}

// As check() of the status alone; a device that reports its loss counts as lost from now on.
inline void check(const backend_device& d, sluice_status status, const sluice_message& message, std::string_view operation) {
  record_loss(d, status, message);
  check(status, message, operation);
}

// The reason of a device's loss; null while it is not known to be lost. Loads no module and does not block.
inline const char* loss_of(const device& where) noexcept {
  if (registry::devices_lost.load(std::memory_order_acquire) == 0 || where.is_cpu()) return nullptr;
  const device_state* s = state_of(where);
  return s != nullptr && s->lost.load(std::memory_order_acquire) ? s->loss.text : nullptr;
}

// find(), with the device initialised and tested. A failure to initialise and a loss are remembered and thrown each time.
inline backend_device find_awake(const device& where) {
  const backend_device d = find(where);
  if (const char* loss = loss_of(where))
    throw error(error_code::device_lost, fmt::format("[{0}] {0} is lost: {1}", where.str(), loss));
  if (d.table->device_wake == nullptr) return d;
  auto& r = registry::instance();
  device_state& s = state_of(d);
  const std::lock_guard lock(s.mutex);
  if (!s.tried) {
    s.tried = s.waking = true;
    s.status = d.table->device_wake(d.index, &s.message);
    s.waking = false;
    if (s.status != SLUICE_OK) {
      log_line(2, fmt::format("{}: refused to wake: {}", where.str(), s.message.text).c_str());
      const uninterrupted_lock refusals_lock(r.mutex);
      r.refusals.push_back({where.str(), r.backends[number_of(d.table)].path, s.message.text});
    } else {
      s.awake.store(true, std::memory_order_release);
      ++registry::devices_awake;
    }
  }
  check(d, s.status, s.message, where.str());
  return d;
}

// True if the device initialised successfully. Loads no module and does not block.
inline bool is_awake(const device& where) noexcept {
  if (where.is_cpu()) return true;
  if (registry::devices_awake.load(std::memory_order_acquire) == 0) return false;
  const device_state* s = state_of(where);
  return s != nullptr && s->awake.load(std::memory_order_acquire);
}

// Whether there is such a device. Loads modules when it is not the CPU.
inline bool is_there(const device& where) noexcept try {
  return where == device::cpu || state_of(where) != nullptr;
} catch (...) {  // out of memory while the modules load
  return false;
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice

#endif  // SLUICE_IMPL_CORE_REGISTRY_HPP
