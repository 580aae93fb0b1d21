// sluice's products for bench/peers/products: f32 and f64 strict, bf16 by tensor_core.
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

driver::call bind(const driver::product& p, const void* a, const void* b, void* c) {
  const auto how = p.dtype == "bf16" ? sluice::precision::tensor_core : sluice::precision::strict;
  return [how, to = over(p, p.m, p.n, c), from_a = over(p, p.m, p.k, const_cast<void*>(a)),
          from_b = over(p, p.k, p.n, const_cast<void*>(b))]() mutable { sluice::matmul_into(to, from_a, from_b, how); };
}

}  // namespace

int main() {
  std::string version = std::to_string(sluice::parallel_size()) + " threads";
  for (const auto& d : sluice::devices())
    if (d.where.is_cpu()) version = d.description;
  return driver::serve({version, bind});
}
