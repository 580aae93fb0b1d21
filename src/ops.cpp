// The room `ops` of the compiled library: each op's public header brings its definitions.
#define SLUICE_DEFINE_OPS
#include "sluice/ops/all.hpp"
