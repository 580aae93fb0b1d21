#include "registry.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include <fmt/format.h>

#include "platform.hpp"
#include "sluice/impl/cpu/table.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
namespace core {
namespace {

// Written to standard error where SLUICE_LOG asks for it: 0 debug ... 3 error. Silent by default.
void log_line(std::int32_t level, const char* text) {
  static const long least = [] {
    const char* wanted = std::getenv("SLUICE_LOG");
    return wanted != nullptr ? std::strtol(wanted, nullptr, 10) : 4L;
  }();
  if (level >= least) std::fprintf(stderr, "sluice: %s\n", text);
}

// How waking a device ended, and what it was lost by.
struct device_state {
  std::mutex mutex;
  bool tried = false;
  sluice_status status = SLUICE_OK;
  sluice_message message{};
  std::atomic<bool> awake{false};
  std::atomic<bool> lost{false};
  sluice_message loss{};  // written once, before `lost`
};

struct registry {
  std::deque<backend> backends;  // the CPU's first
  std::deque<std::deque<device_state>> states;
  std::mutex mutex;  // of refusals, which grow when a device refuses to wake, and of losses
  std::vector<refusal> refusals;

  registry() {
    add(backend{cpu_table(), "", 1});
    for (const auto& folder : module_folders())
      for (const auto& path : platform::list_files(folder, "libsluice-", platform::module_suffix())) take(path);
  }

  void add(backend b) {
    states.emplace_back(static_cast<std::size_t>(b.devices));
    backends.push_back(std::move(b));
  }

  void take(const std::string& path) {
    const auto begin = path.rfind('/') + 1 + std::string_view("libsluice-").size();
    const std::string name = path.substr(begin, path.size() - begin - 3);
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

registry& all() {
  static auto* r = new registry;  // never destroyed: tensors may outlive static destructors
  return *r;
}

[[noreturn]] void no_such_device(const device& where) {
  auto& r = all();
  std::string known;
  for (const auto& b : r.backends)
    known +=
        fmt::format("{}{} ({} device{})", known.empty() ? "" : ", ", b.table.name, b.devices, b.devices == 1 ? "" : "s");
  std::string text = fmt::format("[device] there is no {}: this machine has {}", where.str(), known);
  const std::lock_guard lock(r.mutex);
  for (const auto& refused : r.refusals) text += fmt::format("; {} was refused: {}", refused.backend, refused.reason);
  throw error(error_code::unavailable, text);
}

const backend* find_backend(std::string_view name) {
  for (const auto& b : all().backends)
    if (b.table.name == name) return &b;
  return nullptr;
}

std::size_t number_of(const sluice_backend* table) {
  std::size_t at = 0;
  while (&all().backends[at].table != table) ++at;
  return at;
}

device_state& state_of(const place_of_work& p) {
  return all().states[number_of(p.table)][static_cast<std::size_t>(p.index)];
}

// Null where there is no such device.
const device_state* state_of(const device& where) {
  const backend* b = find_backend(where.backend());
  if (b == nullptr || where.index() < 0 || where.index() >= b->devices) return nullptr;
  return &state_of({&b->table, where.index()});
}

// Devices woken and devices lost: while there are none, nobody has to ask which.
std::atomic<int> woken{0};
std::atomic<int> losses{0};

}  // namespace

const sluice_host& host() {
  static const sluice_host h{SLUICE_BACKEND_API_VERSION,
                             sizeof(sluice_host),
                             [] { return parallel_size(); },
                             [](std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
                               sluice::detail::parallel_run(count, body, context);
                             },
                             log_line,
                             std::uint64_t{1} << 30,
                             std::uint64_t{1} << 30,
                             0,
                             8};
  return h;
}

const sluice_backend& cpu_table() {
  static const sluice_backend* table = cpu::backend_table(&host());
  return *table;
}

place_of_work find(const device& where) {
  if (where.is_cpu() && where.index() == 0) return {&cpu_table(), 0};
  const backend* b = find_backend(where.backend());
  if (b == nullptr || where.index() < 0 || where.index() >= b->devices) no_such_device(where);
  return {&b->table, where.index()};
}

place_of_work find_awake(const device& where) {
  const place_of_work p = find(where);
  if (const char* loss = loss_of(where))
    throw error(error_code::device_lost, fmt::format("[{0}] {0} is lost: {1}", where.str(), loss));
  if (p.table->device_wake == nullptr) return p;
  auto& r = all();
  device_state& w = state_of(p);
  const std::lock_guard lock(w.mutex);
  if (!w.tried) {
    w.tried = true;
    w.status = p.table->device_wake(p.index, &w.message);
    if (w.status != SLUICE_OK) {
      log_line(2, fmt::format("{}: refused to wake: {}", where.str(), w.message.text).c_str());
      const std::lock_guard refusals_lock(r.mutex);
      r.refusals.push_back({where.str(), r.backends[number_of(p.table)].path, w.message.text});
    } else {
      w.awake.store(true, std::memory_order_release);
      ++woken;
    }
  }
  check(p, w.status, w.message, where.str());
  return p;
}

void keep_loss(const place_of_work& at, sluice_status status, const sluice_message& message) noexcept {
  if (status != SLUICE_DEVICE_LOST || at.table == &cpu_table()) return;
  device_state& s = state_of(at);
  const std::lock_guard lock(all().mutex);
  if (s.lost.load(std::memory_order_relaxed)) return;
  // "cuda:0 is lost: the reason" is said once.
  const char* reason = message.text[0] != '\0' ? message.text : "it gave no reason";
  if (const char* end = std::strstr(reason, " is lost: ")) reason = end + std::strlen(" is lost: ");
  std::snprintf(s.loss.text, sizeof s.loss.text, "%s", reason);
  s.lost.store(true, std::memory_order_release);
  ++losses;
}

const char* loss_of(const device& where) noexcept {
  if (losses.load(std::memory_order_acquire) == 0 || where.is_cpu()) return nullptr;
  const device_state* s = state_of(where);
  return s != nullptr && s->lost.load(std::memory_order_acquire) ? s->loss.text : nullptr;
}

bool is_awake(const device& where) noexcept {
  if (where.is_cpu()) return true;
  if (woken.load(std::memory_order_acquire) == 0) return false;
  const device_state* s = state_of(where);
  return s != nullptr && s->awake.load(std::memory_order_acquire);
}

bool is_there(const device& where) noexcept try {
  return where == device::cpu || state_of(where) != nullptr;
} catch (...) {  // no memory for the modules
  return false;
}

void check(const place_of_work& at, sluice_status status, const sluice_message& message, std::string_view operation) {
  keep_loss(at, status, message);
  check(status, message, operation);
}

void check(sluice_status status, const sluice_message& message, std::string_view operation) {
  if (status == SLUICE_OK) return;
  const bool known = status >= SLUICE_INVALID_ARGUMENT && status <= SLUICE_INTERNAL;
  throw error(known ? static_cast<error_code>(status) : error_code::internal,
              fmt::format("[{}] {}", operation, message.text[0] != '\0' ? message.text : "failed, and gave no reason"));
}

}  // namespace core

inline namespace SLUICE_ABI {

std::string device::str() const {
  if (is_automatic() || *this == cpu) return std::string(backend());
  return fmt::format("{}:{}", backend(), index());
}

device device::parse(std::string_view text) {
  const auto refuse = [&]() -> error {
    return error(error_code::invalid_argument,
                 fmt::format("[device] \"{}\" is not a device: write cpu, cuda, cuda:1 or automatic", text.substr(0, 64)));
  };
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (name.empty() || name.size() > 15) throw refuse();
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) throw refuse();
  int index = 0;
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    if (digits.empty() || digits.size() > 4) throw refuse();
    for (const char c : digits) {
      if (c < '0' || c > '9') throw refuse();
      index = index * 10 + (c - '0');
    }
  }
  if (name == automatic.backend() && index != 0) throw refuse();
  return device(name, index);
}

std::vector<device_info> devices() {
  std::vector<device_info> list;
  for (const auto& b : core::all().backends)
    for (int i = 0; i < b.devices; ++i) {
      sluice_device_info raw{};
      sluice_message message{};
      device_info info;
      info.where = device(b.table.name, i);
      if (b.table.device_info(i, &raw, &message) == SLUICE_OK) {
        info = {info.where,       raw.description, raw.memory_total, raw.memory_free, raw.awake != 0,
                raw.healthy != 0, false,           raw.state};
        if (!info.healthy) {  // the backend may be the first to know
          std::snprintf(message.text, sizeof message.text, "%s", raw.state);
          core::keep_loss({&b.table, i}, SLUICE_DEVICE_LOST, message);
        }
      } else {
        info.healthy = false;
        info.state = message.text;
      }
      if (const char* loss = core::loss_of(info.where)) {
        info.healthy = false;
        info.lost = true;
        info.state = loss;
      }
      list.push_back(std::move(info));
    }
  for (const auto& r : refusals())  // a device that refused to wake is there, and is no use
    for (auto& info : list)
      if (info.where.str() == r.backend && info.healthy) {
        info.healthy = false;
        info.state = r.reason;
      }
  return list;
}

std::vector<refusal> refusals() {
  auto& r = core::all();
  const std::lock_guard lock(r.mutex);
  return r.refusals;
}

device awake_device(const device& wanted) noexcept {
  if (core::woken.load(std::memory_order_acquire) == 0) return device::cpu;
  auto& r = core::all();
  for (std::size_t b = 0; b < r.backends.size(); ++b)
    for (std::size_t i = 0; i < r.states[b].size(); ++i) {
      const auto& s = r.states[b][i];
      if (!s.awake.load(std::memory_order_acquire) || s.lost.load(std::memory_order_acquire)) continue;
      const device d(r.backends[b].table.name, static_cast<int>(i));
      if (wanted.is_automatic() || wanted == d) return d;
    }
  return device::cpu;
}

memory_stats memory_statistics(const device& where, memory kind) {
  const auto p = core::find(where);
  sluice_memory_stats raw{};
  sluice_message message{};
  if (p.table->memory_stats != nullptr)
    core::check(p.table->memory_stats(p.index, static_cast<std::int32_t>(kind), &raw, &message), message,
                "memory_statistics");
  return {raw.in_use, raw.pooled, raw.peak, raw.limit, raw.allocations, raw.reused};
}

void memory_trim(const device& where, memory kind) {
  const auto p = core::find(where);
  if (p.table->memory_trim != nullptr) p.table->memory_trim(p.index, static_cast<std::int32_t>(kind));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
