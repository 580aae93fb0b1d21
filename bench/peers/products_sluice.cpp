// sluice's products for bench/peers/products: f32 and f64 strict, bf16 by tensor_core.
#include <utility>

#include "products_driver.hpp"
#include "sluice/ops/matmul.hpp"
#include "sluice/parallel.hpp"

namespace {

sluice::dtype dtype_of(const driver::product& p) {
  return p.dtype == "f64" ? sluice::dtype::f64 : p.dtype == "f32" ? sluice::dtype::f32 : sluice::dtype::bf16;
}

sluice::tensor over(const driver::product& p, std::int64_t rows, std::int64_t columns, void* data) {
  return sluice::tensor::wrap(data, dtype_of(p), {rows, columns}, {columns, 1}, nullptr);
}

// A template, so that it compiles where matmul_into is not declared: then a product has memory of its own, and the first
// alone is copied to `result`, for the check.
template <class Tensor>
driver::call into(Tensor c, Tensor a, Tensor b, sluice::precision how) {
  if constexpr (requires { matmul_into(c, a, b, how); }) {
    return [=]() mutable { matmul_into(c, a, b, how); };
  } else {
    return [=, first = true]() mutable {
      const Tensor made = matmul(a, b, sluice::device_request{}, how);
      if (std::exchange(first, false)) std::memcpy(c.data(), made.data(), made.bytes());
    };
  }
}

driver::call bind(const driver::product& p, const void* a, const void* b, void* c) {
  const auto how = p.dtype == "bf16" ? sluice::precision::tensor_core : sluice::precision::strict;
  return into(over(p, p.m, p.n, c), over(p, p.m, p.k, const_cast<void*>(a)), over(p, p.k, p.n, const_cast<void*>(b)), how);
}

}  // namespace

int main() {
  std::string version = std::to_string(sluice::parallel_size()) + " threads";
  for (const auto& d : sluice::devices())
    if (d.where.is_cpu()) version = d.description;
  return driver::serve({version, bind});
}
