// The Open Inference Protocol in the service's document.
#pragma once

#include "catalogue.hpp"
#include "document.hpp"

namespace sluice::http {

void describe_v2(document& d, const catalogue& rows, const service_limits& limits);

}  // namespace sluice::http
