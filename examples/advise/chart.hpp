// Advice as a picture: seconds of a call and calls a second over sizes, a line a device, in SVG.
#pragma once

#include <string>
#include <vector>

#include "advice.hpp"

// Seconds that calls really took, by row and device; NaN where they were not measured.
using measurements = std::vector<std::vector<double>>;

std::string chart_of(const advice& a, const std::string& title, const measurements& measured);
