// Health, as every protocol tells it.
#pragma once

#include "sluice/service.hpp"

namespace sluice::http {

// Whether the devices are healthy, by options.ready.
bool is_ready(const service_options& options);

}  // namespace sluice::http
