// A backend's table, and what core lends to backends.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "sluice/backend_api.h"
#include "sluice/error.hpp"
#include "sluice/impl/base/environment.hpp"
#include "sluice/impl/core/fork.hpp"
#include "sluice/impl/cpu/table.hpp"
#include "sluice/parallel.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace core {

// A backend's table, copied so that slots beyond its struct_size are null.
struct backend {
  sluice_backend table{};
  std::string path;  // empty for the CPU's
  int devices = 0;
};

// One device of a backend.
struct backend_device {
  const sluice_backend* table = nullptr;
  std::int32_t index = 0;
};

// SLUICE_LOG (0 debug ... 3 error); 4, which is silent, when it is not set.
inline std::int32_t least_log_level() {
  static const int least = base::environment_number("SLUICE_LOG", 0, 3, 4);
  return least;
}

// Writes to standard error.
inline void log_line(std::int32_t level, const char* text) {
  if (level >= least_log_level()) std::fprintf(stderr, "sluice: %s\n", text);
}

inline const sluice_host& host() {
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

inline const sluice_backend& cpu_table() {
  return first_use([] {
    static_cast<void>(least_log_level());
    return cpu::backend_table(&host());
  });
}

// Throws a status that is a failure as an error: "[operation] message".
inline void check(sluice_status status, const sluice_message& message, std::string_view operation) {
  if (status == SLUICE_OK) return;
  const bool known = status >= SLUICE_INVALID_ARGUMENT && status <= SLUICE_INTERNAL;
  throw error(known ? static_cast<error_code>(status) : error_code::internal,
              fmt::format("[{}] {}", operation, message.text[0] != '\0' ? message.text : "failed, and gave no reason"));
}

}  // namespace core
}  // namespace SLUICE_ABI
}  // namespace sluice
