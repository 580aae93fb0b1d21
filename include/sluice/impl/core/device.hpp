#pragma once

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "sluice/device.hpp"
#include "sluice/impl/core/registry.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

SLUICE_FUNC std::string device::str() const {
  if (is_automatic() || *this == cpu) return std::string(backend());
  return fmt::format("{}:{}", backend(), index());
}

SLUICE_FUNC device device::parse(std::string_view text) {
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

namespace core {

// Without waking the device.
inline device_info describe(const backend& b, int index) {
  sluice_device_info raw{};
  sluice_message message{};
  device_info info;
  info.where = device(b.table.name, index);
  if (b.table.device_info(index, &raw, &message) == SLUICE_OK) {
    info = {info.where,       raw.description, raw.memory_total, raw.memory_free, raw.awake != 0,
            raw.healthy != 0, false,           raw.state};
    if (!info.healthy) {  // the backend may be the first to know
      std::snprintf(message.text, sizeof message.text, "%s", raw.state);
      record_loss({&b.table, index}, SLUICE_DEVICE_LOST, message);
    }
  } else {
    info.healthy = false;
    info.state = message.text;
  }
  if (const char* loss = loss_of(info.where)) {
    info.healthy = false;
    info.lost = true;
    info.state = loss;
  }
  return info;
}

}  // namespace core

SLUICE_FUNC std::vector<device_info> devices() {
  std::vector<device_info> list;
  for (const auto& b : core::registry::instance().backends)
    for (int i = 0; i < b.devices; ++i) list.push_back(core::describe(b, i));
  for (const auto& r : refusals())  // a device that failed to initialise is listed as unhealthy
    for (auto& info : list)
      if (info.where.str() == r.backend && info.healthy) {
        info.healthy = false;
        info.state = r.reason;
      }
  return list;
}

SLUICE_FUNC std::vector<refusal> refusals() {
  auto& r = core::registry::instance();
  const core::uninterrupted_lock lock(r.mutex);
  return r.refusals;
}

SLUICE_FUNC void detail::add_backend_folder(const char* folder) { core::package_folders().push_back(folder); }

SLUICE_FUNC device awake_device(const device& wanted) noexcept {
  if (core::registry::devices_awake.load(std::memory_order_acquire) == 0) return device::cpu;
  auto& r = core::registry::instance();
  for (std::size_t b = 0; b < r.backends.size(); ++b)
    for (std::size_t i = 0; i < r.states[b].size(); ++i) {
      const auto& s = r.states[b][i];
      if (!s.awake.load(std::memory_order_acquire) || s.lost.load(std::memory_order_acquire)) continue;
      const device d(r.backends[b].table.name, static_cast<int>(i));
      if (wanted.is_automatic() || wanted == d) return d;
    }
  return device::cpu;
}

SLUICE_FUNC memory_stats memory_statistics(const device& where, memory kind) {
  const auto d = core::find(where);
  sluice_memory_stats raw{};
  sluice_message message{};
  if (d.table->memory_stats != nullptr)
    core::check(d.table->memory_stats(d.index, static_cast<std::int32_t>(kind), &raw, &message), message,
                "memory_statistics");
  return {raw.in_use, raw.pooled, raw.peak, raw.limit, raw.allocations, raw.reused};
}

SLUICE_FUNC void memory_trim(const device& where, memory kind) {
  const auto d = core::find(where);
  if (d.table->memory_trim != nullptr) d.table->memory_trim(d.index, static_cast<std::int32_t>(kind));
}

}  // namespace SLUICE_ABI
}  // namespace sluice
