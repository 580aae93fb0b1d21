// Other libraries' products for bench/peers/products, opened at run time: products_peer blas|libxsmm|onednn|eigen PATH. How
// many threads a product takes is what the library reads in the environment.
#include <dlfcn.h>

#include <array>

#include "eigen.hpp"
#include "products_driver.hpp"

namespace {

void* opened(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::runtime_error(dlerror());
  return handle;
}

template <class Function>
Function* found(void* handle, const std::string& name) {
  void* symbol = dlsym(handle, name.c_str());
  if (symbol == nullptr) throw std::runtime_error(name + " is not in the library");
  return reinterpret_cast<Function*>(symbol);
}

// CBLAS: BLIS, MKL, and OpenBLAS, whose names begin with scipy_ in the wheels of PyPI.
template <class T>
using cblas_gemm = void(int order, int transpose_a, int transpose_b, int m, int n, int k, T alpha, const T* a, int lda,
                        const T* b, int ldb, T beta, T* c, int ldc);

template <class T>
driver::call cblas_call(cblas_gemm<T>* gemm, const driver::product& p, const void* a, const void* b, void* c) {
  constexpr int row_major = 101, as_is = 111;
  const int m = static_cast<int>(p.m), k = static_cast<int>(p.k), n = static_cast<int>(p.n);
  return [=] {
    gemm(row_major, as_is, as_is, m, n, k, 1, static_cast<const T*>(a), k, static_cast<const T*>(b), n, 0,
         static_cast<T*>(c), n);
  };
}

std::string version_of_blas(void* handle, const std::string& prefix) {
  if (auto* f = dlsym(handle, (prefix + "openblas_get_config").c_str())) return reinterpret_cast<char* (*)()>(f)();
  if (auto* f = dlsym(handle, "bli_info_get_version_str")) {
    found<void()>(handle, "bli_init")();
    std::string text = reinterpret_cast<const char* (*)()>(f)();
    if (auto* arch = dlsym(handle, "bli_arch_query_id"))
      if (auto* name = dlsym(handle, "bli_arch_string"))
        text += std::string(" ") + reinterpret_cast<const char* (*)(int)>(name)(reinterpret_cast<int (*)()>(arch)());
    return text;
  }
  std::array<char, 200> text{};
  if (auto* f = dlsym(handle, "MKL_Get_Version_String"))
    reinterpret_cast<void (*)(char*, int)>(f)(text.data(), static_cast<int>(text.size() - 1));
  return text.data();
}

driver::library blas(const char* path) {
  void* handle = opened(path);
  const std::string prefix = dlsym(handle, "scipy_cblas_sgemm") != nullptr ? "scipy_" : "";
  auto* sgemm = found<cblas_gemm<float>>(handle, prefix + "cblas_sgemm");
  auto* dgemm = found<cblas_gemm<double>>(handle, prefix + "cblas_dgemm");
  return {version_of_blas(handle, prefix),
          [=](const driver::product& p, const void* a, const void* b, void* c) -> driver::call {
            if (p.dtype == "f32") return cblas_call<float>(sgemm, p, a, b, c);
            if (p.dtype == "f64") return cblas_call<double>(dgemm, p, a, b, c);
            return {};
          }};
}

// Fortran's BLAS: libxsmm, which looks its kernel for the shape up in each call. Column-major, so c' = b' a'.
template <class T>
using fortran_gemm = void(const char*, const char*, const int*, const int*, const int*, const T*, const T*, const int*,
                          const T*, const int*, const T*, T*, const int*);

template <class T>
driver::call fortran_call(fortran_gemm<T>* gemm, const driver::product& p, const void* a, const void* b, void* c) {
  const int m = static_cast<int>(p.m), k = static_cast<int>(p.k), n = static_cast<int>(p.n);
  return [=] {
    constexpr char as_is = 'N';
    constexpr T one = 1, zero = 0;
    gemm(&as_is, &as_is, &n, &m, &k, &one, static_cast<const T*>(b), &n, static_cast<const T*>(a), &k, &zero,
         static_cast<T*>(c), &n);
  };
}

driver::library libxsmm(const char* path) {
  void* handle = opened(path);
  found<void()>(handle, "libxsmm_init")();
  auto* sgemm = found<fortran_gemm<float>>(handle, "libxsmm_sgemm");
  auto* dgemm = found<fortran_gemm<double>>(handle, "libxsmm_dgemm");
  auto* target = found<const char*()>(handle, "libxsmm_get_target_arch");
  return {std::string("2.0 ") + target(),
          [=](const driver::product& p, const void* a, const void* b, void* c) -> driver::call {
            if (p.m * p.k * p.n > 128 * 128 * 128) return {};  // its kernels are for small products, on one thread
            if (p.dtype == "f32") return fortran_call<float>(sgemm, p, a, b, c);
            if (p.dtype == "f64") return fortran_call<double>(dgemm, p, a, b, c);
            return {};
          }};
}

// oneDNN's matmul primitive, by the C interface of version 3. The primitive is made once, its execution is the call.
class onednn {
 public:
  explicit onednn(const char* path) : handle_(opened(path)) {
    good(found<int(void**, int, std::size_t)>(handle_, "dnnl_engine_create")(&engine_, cpu, 0));
  }

  [[nodiscard]] std::string version() const {
    const int* v = found<const int*()>(handle_, "dnnl_version")();
    return std::to_string(v[0]) + "." + std::to_string(v[1]) + "." + std::to_string(v[2]);
  }

  [[nodiscard]] driver::call bind(const driver::product& p, const void* a, const void* b, void* c) const {
    if (p.dtype == "f64") return {};  // its reference implementation alone
    const int type = p.dtype == "f32" ? 3 : 2;
    void *from_a = described(type, p.m, p.k), *from_b = described(type, p.k, p.n), *to = described(type, p.m, p.n);
    void *plan = nullptr, *primitive = nullptr, *stream = nullptr;
    good(found<int(void**, void*, void*, void*, void*, void*, void*)>(handle_, "dnnl_matmul_primitive_desc_create")(
        &plan, engine_, from_a, from_b, nullptr, to, nullptr));
    good(found<int(void**, void*)>(handle_, "dnnl_primitive_create")(&primitive, plan));
    good(found<int(void**, void*, unsigned)>(handle_, "dnnl_stream_create")(&stream, engine_, 1));
    const std::array<argument, 3> arguments = {
        {{1, memory(from_a, a)}, {33, memory(from_b, b)}, {17, memory(to, c)}}};  // DNNL_ARG_SRC, _WEIGHTS, _DST
    auto* execute = found<int(void*, void*, int, const argument*)>(handle_, "dnnl_primitive_execute");
    auto* wait = found<int(void*)>(handle_, "dnnl_stream_wait");
    return [=] {
      good(execute(primitive, stream, 3, arguments.data()));
      good(wait(stream));
    };
  }

 private:
  static constexpr int cpu = 1;
  struct argument {
    int which;
    void* memory;
  };

  static void good(int status) {
    if (status != 0) throw std::runtime_error("oneDNN's status is " + std::to_string(status));
  }
  [[nodiscard]] void* described(int type, std::int64_t rows, std::int64_t columns) const {
    void* out = nullptr;
    const std::array<std::int64_t, 12> extents = {rows, columns}, steps = {columns, 1};
    good(found<int(void**, int, const std::int64_t*, int, const std::int64_t*)>(
        handle_, "dnnl_memory_desc_create_with_strides")(&out, 2, extents.data(), type, steps.data()));
    return out;
  }
  [[nodiscard]] void* memory(void* description, const void* data) const {
    void* out = nullptr;
    good(found<int(void**, void*, void*, void*)>(handle_, "dnnl_memory_create")(&out, description, engine_,
                                                                                const_cast<void*>(data)));
    return out;
  }

  void* handle_;
  void* engine_ = nullptr;
};

template <class T>
driver::call eigen_call(void (*product)(const T*, const T*, T*, std::int64_t, std::int64_t, std::int64_t),
                        const driver::product& p, const void* a, const void* b, void* c) {
  return [=, m = p.m, k = p.k, n = p.n] {
    product(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c), m, k, n);
  };
}

// eigen.cpp, built for one instruction set.
driver::library eigen(const char* path) {
  void* handle = opened(path);
  auto* f32 = found<decltype(eigen_product_f32)>(handle, "eigen_product_f32");
  auto* f64 = found<decltype(eigen_product_f64)>(handle, "eigen_product_f64");
  return {found<decltype(eigen_version)>(handle, "eigen_version")(),
          [=](const driver::product& p, const void* a, const void* b, void* c) -> driver::call {
            if (p.dtype == "f32") return eigen_call(f32, p, a, b, c);
            if (p.dtype == "f64") return eigen_call(f64, p, a, b, c);
            return {};
          }};
}

driver::library library_of(const std::string& kind, const char* path) {
  if (kind == "blas") return blas(path);
  if (kind == "libxsmm") return libxsmm(path);
  if (kind == "eigen") return eigen(path);
  if (kind != "onednn") throw std::runtime_error(kind + " is none of blas, libxsmm, onednn, eigen");
  const auto dnn = std::make_shared<onednn>(path);
  return {dnn->version(), [dnn](const auto& p, const void* a, const void* b, void* c) { return dnn->bind(p, a, b, c); }};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw std::runtime_error("products_peer blas|libxsmm|onednn|eigen PATH");
  return driver::serve(library_of(argv[1], argv[2]));
} catch (const std::exception& e) {
  std::fprintf(stderr, "products_peer: %s\n", e.what());
  return 1;
}
