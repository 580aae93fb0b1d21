// This process and the machine it runs on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace base {

// Cores that this process may use: its affinity, limited by the CPU quota of its cgroup and those above it (rounded up). At
// least 1.
int usable_cores();

// The entries of a list of paths as environment variables hold it, empty ones included.
std::vector<std::string> split_paths(const std::string& list);

// Where this user's programs keep what can be made again; "" when unknown.
std::string cache_folder();

// The id and name of this machine: no two machines have both, as far as can be told.
std::string host_id();

std::int64_t process_id() noexcept;

// Replaces `name` by the processor's name, where the system tells it.
void processor_name(char (&name)[80]) noexcept;

// Whether the processor has AMX for bf16 and the system lets this process use its registers, which Linux gives on demand.
bool may_use_amx() noexcept;

}  // namespace base
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(_WIN32)
#include "sluice/impl/base/process_windows.hpp"
#else
#include "sluice/impl/base/process_posix.hpp"
#endif
