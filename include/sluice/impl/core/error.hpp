#pragma once

#include "sluice/error.hpp"

namespace sluice {
inline namespace SLUICE_ABI {

SLUICE_FUNC error::~error() = default;

SLUICE_FUNC std::string_view name_of(error_code code) noexcept {
  switch (code) {
    case error_code::invalid_argument: return "invalid_argument";
    case error_code::unsupported: return "unsupported";
    case error_code::out_of_memory: return "out_of_memory";
    case error_code::device_lost: return "device_lost";
    case error_code::unavailable: return "unavailable";
    case error_code::internal: return "internal";
    case error_code::io: return "io";
    case error_code::malformed: return "malformed";
    case error_code::cancelled: return "cancelled";
    case error_code::limit_exceeded: return "limit_exceeded";
  }
  return "unknown";
}

}  // namespace SLUICE_ABI
}  // namespace sluice
