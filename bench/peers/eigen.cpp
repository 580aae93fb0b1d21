// Eigen's product, apart: Eigen chooses its kernels when it is compiled, so this file alone is compiled for the machine at
// hand, in matmul_peers_bench; and as a library for each instruction set, for products_peer.
#include "eigen.hpp"

#include <Eigen/Core>

namespace {

template <class T>
void product(const T* a, const T* b, T* c, std::int64_t m, std::int64_t k, std::int64_t n) {
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<matrix>(c, m, n).noalias() = Eigen::Map<const matrix>(a, m, k) * Eigen::Map<const matrix>(b, k, n);
}

}  // namespace

void eigen_product_f32(const float* a, const float* b, float* c, std::int64_t m, std::int64_t k, std::int64_t n) {
  product(a, b, c, m, k, n);
}

void eigen_product_f64(const double* a, const double* b, double* c, std::int64_t m, std::int64_t k, std::int64_t n) {
  product(a, b, c, m, k, n);
}

void eigen_threads(int count) { Eigen::setNbThreads(count); }

const char* eigen_version() {
#ifdef EIGEN_VERSION_STRING
  return EIGEN_VERSION_STRING;
#else
  return "3";
#endif
}
