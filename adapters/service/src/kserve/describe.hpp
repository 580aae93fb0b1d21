// The Open Inference Protocol in the service's document.
#pragma once

#include "execution/endpoint_registry.hpp"
#include "openapi/document.hpp"

namespace sluice::serving {

void describe_v2(document& d, const endpoint_registry& rows, const service_limits& limits);

}  // namespace sluice::serving
