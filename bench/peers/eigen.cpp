// Eigen's product, apart: Eigen chooses its kernels when it is compiled, so this file alone is compiled for the machine at
// hand.
#include "eigen.hpp"

#include <Eigen/Core>

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void eigen_product(const float* a, const float* b, float* c, std::int64_t m, std::int64_t k, std::int64_t n) {
  Eigen::Map<matrix>(c, m, n).noalias() = Eigen::Map<const matrix>(a, m, k) * Eigen::Map<const matrix>(b, k, n);
}

void eigen_threads(int count) { Eigen::setNbThreads(count); }
