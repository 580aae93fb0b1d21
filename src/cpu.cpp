// The CPU backend of the compiled library.
#include "sluice/impl/cpu/backend.hpp"
