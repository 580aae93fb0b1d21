// The Open Inference Protocol in the service's document.
#pragma once

#include "execution/endpoint_registry.hpp"
#include "openapi/document.hpp"

namespace sluice::serving {

// `loads`: clients may load and unload models.
void describe_v2(document& d, const endpoint_registry& rows, const service_limits& limits, bool loads);

}  // namespace sluice::serving
