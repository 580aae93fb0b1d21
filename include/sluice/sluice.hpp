/// @file
/// All core headers, in dependency order.
#pragma once

// clang-format off
#include "sluice/config.hpp"
#include "sluice/error.hpp"
#include "sluice/parallel.hpp"
#include "sluice/dtype.hpp"
#include "sluice/shape.hpp"
#include "sluice/device.hpp"
#include "sluice/view.hpp"
#include "sluice/tensor.hpp"
#include "sluice/dlpack.hpp"
#include "sluice/ops/all.hpp"
#include "sluice/placement.hpp"
#include "sluice/calibration.hpp"
#include "sluice/npy.hpp"
#include "sluice/file_stream.hpp"
#include "sluice/pipeline.hpp"
// clang-format on
