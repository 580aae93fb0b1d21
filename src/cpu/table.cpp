// The CPU's table of functions, and what it says about itself.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cpu.hpp"
#include "system.hpp"

namespace sluice::cpu {
namespace {

const sluice_host* lent_host = nullptr;

simd_level widest() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  // f16c has no name here in older compilers; every processor with AVX2 has it.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return simd_level::avx512;
  return __builtin_cpu_supports("avx2") ? simd_level::avx2 : simd_level::plain;
#elif defined(__aarch64__)
  return simd_level::neon;
#else
  return simd_level::plain;
#endif
}

simd_level chosen() {
  const simd_level most = widest();
  const char* text = std::getenv("SLUICE_SIMD");
  if (text == nullptr) return most;
  if (std::strcmp(text, "plain") == 0) return simd_level::plain;
  if (std::strcmp(text, "avx2") == 0 && most == simd_level::avx512) return simd_level::avx2;
  return most;  // what was asked for is here already, or cannot be had
}

#if defined(__x86_64__)
constexpr const char* architecture = "x86-64";
#elif defined(__aarch64__)
constexpr const char* architecture = "arm64";
#else
constexpr const char* architecture = "CPU";
#endif

sluice_status device_count(std::int32_t* count, sluice_message*) {
  *count = 1;
  return SLUICE_OK;
}

sluice_status device_info(std::int32_t, sluice_device_info* info, sluice_message*) {
  *info = {};
  char name[80];
  std::snprintf(name, sizeof name, "%s", architecture);
  processor_name(name);
  std::snprintf(info->description, sizeof info->description, "%s, %d threads, %s, %s", name, host().parallel_size(),
                simd_name(), blas_description());
  const memory_sizes memory = system_memory();
  info->memory_total = memory.total;
  info->memory_free = memory.free;
  info->awake = 1;
  info->healthy = 1;
  return SLUICE_OK;
}

// The ops that core finds by name.
struct named_op {
  const char* name;
  sluice_op call;
};
constexpr named_op named_ops[] = {
    {nullptr, nullptr},  // the end
};

sluice_op find_op(const char* name) {
  const named_op* op = named_ops;
  while (op->name != nullptr && std::strcmp(op->name, name) != 0) ++op;
  return op->call;
}

constexpr sluice_backend make_table() {
  sluice_backend t{};
  t.api_version = SLUICE_BACKEND_API_VERSION;
  t.struct_size = sizeof(sluice_backend);
  t.name = "cpu";
  t.device_count = device_count;
  t.device_info = device_info;
  t.allocate = cpu_allocate;
  t.deallocate = cpu_deallocate;
  t.memory_stats = cpu_memory_stats;
  t.memory_trim = cpu_memory_trim;
  t.copy = cpu_copy;
  t.fill = cpu_fill;
  t.matmul = cpu_matmul;
  t.rowsum = cpu_rowsum;
  t.find_op = find_op;
  return t;
}

}  // namespace

const sluice_host& host() { return *lent_host; }

simd_level simd() {
  static const simd_level level = chosen();
  return level;
}

const char* simd_name() {
  switch (simd()) {
    case simd_level::neon: return "neon";
    case simd_level::avx2: return "avx2";
    case simd_level::avx512: return "avx512";
    case simd_level::plain: break;
  }
  return "plain";
}

sluice_status fail(sluice_status status, sluice_message* message, const char* format, ...) {
  if (message == nullptr) return status;
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  return status;
}

const sluice_backend* table(const sluice_host* lent) {
  static constexpr sluice_backend filled = make_table();
  lent_host = lent;
  return &filled;
}

}  // namespace sluice::cpu

const sluice_backend* sluice_cpu_backend(const sluice_host* host) { return sluice::cpu::table(host); }
