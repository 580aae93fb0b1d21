// The definitions of the public headers of core, for the compiled library.
#include "sluice/impl/core/device.hpp"
#include "sluice/impl/core/dlpack.hpp"
#include "sluice/impl/core/dtype.hpp"
#include "sluice/impl/core/error.hpp"
#include "sluice/impl/core/parallel.hpp"
#include "sluice/impl/core/tensor.hpp"
