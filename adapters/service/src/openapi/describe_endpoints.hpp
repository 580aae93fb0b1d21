// Endpoints in the service's document.
#pragma once

#include "codec/codec_registry.hpp"

namespace sluice::serving {

// POST /v1/NAME, in the media types of `codecs`.
route_description describe_call(document& d, const endpoint& row, const service_limits& limits,
                                const codec_registry& codecs);

}  // namespace sluice::serving
