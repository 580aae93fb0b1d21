// A second translation unit of the program.
#include "sluice/sluice.hpp"

#include "sluice/impl/core/pool.hpp"

const void* pool_elsewhere() { return &sluice::core::the_pool(); }

std::int64_t count_elsewhere(const sluice::tensor& t) { return t.clone().count(); }
