// The routes of jobs, for the service's document.
#pragma once

#include "document.hpp"

namespace sluice::http {

void describe_jobs(document& d);

}  // namespace sluice::http
