// c = a b by Eigen, row-major, and how many threads it takes.
#pragma once

#include <cstdint>

void eigen_product(const float* a, const float* b, float* c, std::int64_t m, std::int64_t k, std::int64_t n);
void eigen_threads(int count);
