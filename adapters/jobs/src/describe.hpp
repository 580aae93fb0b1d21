// The routes of jobs, for the service's document.
#pragma once

#include "openapi/document.hpp"

namespace sluice::serving {

void describe_jobs(document& d);

}  // namespace sluice::serving
