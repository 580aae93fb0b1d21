// c = a b by Eigen, row-major, and how many threads it takes. C's names: products_peer finds them at run time.
#pragma once

#include <cstdint>

extern "C" {
void eigen_product_f32(const float* a, const float* b, float* c, std::int64_t m, std::int64_t k, std::int64_t n);
void eigen_product_f64(const double* a, const double* b, double* c, std::int64_t m, std::int64_t k, std::int64_t n);
void eigen_threads(int count);
const char* eigen_version();
}
