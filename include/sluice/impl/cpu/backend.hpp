// The CPU backend's table, and what it reports about itself.
#pragma once

#include <cstdio>
#include <cstring>

#include "sluice/impl/base/memory.hpp"
#include "sluice/impl/base/process.hpp"
#include "sluice/impl/cpu/canny.hpp"
#include "sluice/impl/cpu/copy.hpp"
#include "sluice/impl/cpu/fork.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/matmul.hpp"
#include "sluice/impl/cpu/memory.hpp"
#include "sluice/impl/cpu/resize.hpp"
#include "sluice/impl/cpu/rowsum.hpp"
#include "sluice/impl/cpu/table.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

inline const char* architecture_name() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "CPU";
#endif
}

inline sluice_status cpu_device_count(std::int32_t* count, sluice_message*) {
  *count = 1;
  return SLUICE_OK;
}

inline sluice_status cpu_device_info(std::int32_t, sluice_device_info* info, sluice_message*) {
  *info = {};
  char name[80];
  std::snprintf(name, sizeof name, "%s", architecture_name());
  base::processor_name(name);
  std::snprintf(info->description, sizeof info->description, "%s, %d threads, %s", name, host().parallel_size(),
                simd_name());
  const base::memory_size memory = base::system_memory();
  info->memory_total = memory.total;
  info->memory_free = memory.free;
  info->awake = 1;
  info->healthy = 1;
  return SLUICE_OK;
}

struct named_op {
  const char* name;
  sluice_op call;
};

// The ops that core finds by name.
inline constexpr named_op named_ops[] = {
    {"canny", cpu_canny},
    {"resize", cpu_resize},
    {nullptr, nullptr},  // the end
};

inline sluice_op cpu_find_op(const char* name) {
  const named_op* op = named_ops;
  while (op->name != nullptr && std::strcmp(op->name, name) != 0) ++op;
  return op->call;
}

constexpr sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = "cpu";
  t.device_count = cpu_device_count;
  t.device_info = cpu_device_info;
  t.allocate = cpu_allocate;
  t.deallocate = cpu_deallocate;
  t.memory_stats = cpu_memory_stats;
  t.memory_trim = cpu_memory_trim;
  t.copy = cpu_copy;
  t.fill = cpu_fill;
  t.matmul = cpu_matmul;
  t.rowsum = cpu_rowsum;
  t.find_op = cpu_find_op;
  return t;
}

SLUICE_FUNC const sluice_backend* backend_table(const sluice_host* lent) {
  static constexpr sluice_backend table = make_table();
  lent_host() = lent;
  static_cast<void>(simd());  // here, where no fork can come between
  return &table;
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
