// All definitions of the room, after all its declarations.
#pragma once

#include "sluice/calibration.hpp"
#include "sluice/placement.hpp"

#include "sluice/impl/placement/apply.hpp"
#include "sluice/impl/placement/calibration.hpp"
#include "sluice/impl/placement/decision.hpp"
#include "sluice/impl/placement/reason.hpp"
