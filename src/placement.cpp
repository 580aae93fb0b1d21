// The room `placement` of the compiled library.
#include "sluice/impl/placement/placement.hpp"
