// The one BLAS behind matmul, called for products of blocks on the calling thread alone. It changes no library-wide thread
// setting: the application may use the same BLAS independently.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>

#if defined(SLUICE_BLAS_BLIS)
#include <blis.h>
#elif defined(SLUICE_BLAS_OPENBLAS)
#include <cblas.h>
#elif defined(SLUICE_BLAS_MKL)
#include <mkl.h>
#elif defined(SLUICE_BLAS_ACCELERATE)
#include <Accelerate/Accelerate.h>
#else
#error "cmake/SluiceBlas.cmake says which BLAS this is"
#endif

#include "sluice/impl/cpu/fork.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {
namespace blas {

// Element (i, j) is data[i * row_stride + j * column_stride]; normalize_strides() has accepted the strides.
template <class T>
struct block {
  const T* data;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

// The largest extent or stride passed in one call to a BLAS of 32-bit integers.
inline constexpr std::int64_t most = std::int64_t{1} << 30;

// Rewrites the strides of a matrix so that one is 1 and the other no less than the extent it steps over, which every BLAS
// takes; false when the matrix has other strides.
inline bool normalize_strides(std::int64_t rows, std::int64_t columns, std::int64_t& row_stride,
                              std::int64_t& column_stride) {
  const bool by_rows = (column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1);
  const bool by_columns = (row_stride == 1 || rows == 1) && (column_stride >= rows || columns == 1);
  if (!by_rows && !by_columns) return false;
  std::int64_t& unit = by_rows ? column_stride : row_stride;
  std::int64_t& leading = by_rows ? row_stride : column_stride;
  const std::int64_t length = by_rows ? columns : rows;
  if ((by_rows ? rows : columns) == 1) leading = length;
  unit = 1;
  return leading <= most;
}

#if defined(SLUICE_BLAS_BLIS)

// BLIS multiplies small blocks without packing them, which suits tiles, but without packing b it falls to a third of its
// speed when the rows of b are far apart: each then lies on a page of its own. With b packed, tiles run as fast as whole
// products (Zen 3, one thread, GFLOP/s of 91 at 1024 x 1024 x 1024: whole 83; 256 x 128 tiles unpacked 35, b packed 83).
inline constexpr std::int64_t tile_rows = 512;
inline constexpr std::int64_t tile_columns = 128;

// BLIS 1 declares no bli_rntm_init for its callers.
template <class R>
inline void begin(R& runtime) {
  if constexpr (requires { bli_rntm_init(&runtime); })
    bli_rntm_init(&runtime);
  else
    bli_rntm_init_from_global(&runtime);
}

inline rntm_t one_thread(std::int64_t rows, std::int64_t b_stride) {
  rntm_t runtime;
  begin(runtime);
  bli_rntm_set_num_threads(1, &runtime);
  bli_rntm_set_pack_b(b_stride > 256 || (b_stride >= 64 && rows >= 128), &runtime);
  return runtime;
}

// c = a x b, or c += a x b; c is contiguous along its rows. c's old contents are not read unless asked to accumulate.
inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, block<float> a, block<float> b, bool accumulate, float* c,
                 std::int64_t c_stride) {
  const blas_pass inside;
  float one = 1;
  float beta = accumulate ? 1.0f : 0.0f;
  rntm_t runtime = one_thread(m, std::max(b.row_stride, b.column_stride));
  bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one, const_cast<float*>(a.data), a.row_stride,
               a.column_stride, const_cast<float*>(b.data), b.row_stride, b.column_stride, &beta, c, c_stride, 1, nullptr,
               &runtime);
}

inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, block<double> a, block<double> b, bool accumulate,
                 double* c, std::int64_t c_stride) {
  const blas_pass inside;
  double one = 1;
  double beta = accumulate ? 1.0 : 0.0;
  rntm_t runtime = one_thread(m, std::max(b.row_stride, b.column_stride));
  bli_dgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one, const_cast<double*>(a.data), a.row_stride,
               a.column_stride, const_cast<double*>(b.data), b.row_stride, b.column_stride, &beta, c, c_stride, 1, nullptr,
               &runtime);
}

inline std::string describe() { return std::string("BLIS ") + bli_info_get_version_str(); }

#else

// These pack both operands of every call, which larger tiles spread over more work.
inline constexpr std::int64_t tile_rows = 512;
inline constexpr std::int64_t tile_columns = 512;

// Keeps a call on the calling thread, where the library has a setting for it.
class one_thread {
 public:
#if defined(SLUICE_BLAS_MKL)
  one_thread() : before_(mkl_set_num_threads_local(1)) {}
  ~one_thread() { mkl_set_num_threads_local(before_); }
#elif defined(SLUICE_BLAS_OPENBLAS)
  one_thread() {
    if (openblas_get_parallel() == 0) lock_ = std::unique_lock(serial_build());
#if defined(SLUICE_BLAS_OPENBLAS_LOCAL)
    before_ = openblas_set_num_threads_local(1);
#endif
  }
#if defined(SLUICE_BLAS_OPENBLAS_LOCAL)
  ~one_thread() { openblas_set_num_threads_local(before_); }
#endif
#else
  one_thread() {}
#endif
  one_thread(const one_thread&) = delete;

 private:
#if defined(SLUICE_BLAS_OPENBLAS)
  // Builds without threads guard their buffers by no lock unless built with USE_LOCKING=1, which Debian's is not: two calls
  // at once then give wrong numbers. Which build is loaded is known at run time only.
  static std::mutex& serial_build() {
    static std::mutex mutex;
    return mutex;
  }
  std::unique_lock<std::mutex> lock_;
#endif
  [[maybe_unused]] int before_ = 0;
};

template <class T>
inline CBLAS_TRANSPOSE transpose_of(const block<T>& x) {
  return x.column_stride == 1 ? CblasNoTrans : CblasTrans;
}

template <class T>
inline int leading_of(const block<T>& x) {
  return static_cast<int>(x.column_stride == 1 ? x.row_stride : x.column_stride);
}

// c = a x b, or c += a x b; c is contiguous along its rows. c's old contents are not read unless asked to accumulate.
inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, block<float> a, block<float> b, bool accumulate, float* c,
                 std::int64_t c_stride) {
  const blas_pass inside;
  const one_thread here;
  cblas_sgemm(CblasRowMajor, transpose_of(a), transpose_of(b), static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0f, a.data, leading_of(a), b.data, leading_of(b), accumulate ? 1.0f : 0.0f, c, static_cast<int>(c_stride));
}

inline void gemm(std::int64_t m, std::int64_t n, std::int64_t k, block<double> a, block<double> b, bool accumulate,
                 double* c, std::int64_t c_stride) {
  const blas_pass inside;
  const one_thread here;
  cblas_dgemm(CblasRowMajor, transpose_of(a), transpose_of(b), static_cast<int>(m), static_cast<int>(n), static_cast<int>(k),
              1.0, a.data, leading_of(a), b.data, leading_of(b), accumulate ? 1.0 : 0.0, c, static_cast<int>(c_stride));
}

inline std::string describe() {
#if defined(SLUICE_BLAS_OPENBLAS)
  const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  const std::string name = config.substr(0, config.find(' ', config.find(' ') + 1));
  return openblas_get_parallel() == 0 ? name + " (no threads: one call at a time)" : name;
#elif defined(SLUICE_BLAS_MKL)
  MKLVersion v;
  mkl_get_version(&v);
  return "MKL " + std::to_string(v.MajorVersion) + "." + std::to_string(v.MinorVersion) + "." +
         std::to_string(v.UpdateVersion);
#else
  return "Accelerate";
#endif
}

#endif

}  // namespace blas
}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice
