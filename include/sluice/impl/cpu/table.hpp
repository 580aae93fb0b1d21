// The CPU backend as core sees it: its table. The header-only form includes the definitions here, the compiled one in
// src/cpu.cpp.
#pragma once

#include "sluice/backend_api.h"
#include "sluice/config.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Keeps `lent`, which must stay valid, for the slots' use.
const sluice_backend* backend_table(const sluice_host* lent);

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#if defined(SLUICE_HEADER_ONLY)
#include "sluice/impl/cpu/backend.hpp"
#endif
