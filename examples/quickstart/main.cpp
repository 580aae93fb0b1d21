// The library on one screen: two matrices, their product on whatever device there is, and a typed view of it.
#include <cstdio>

#include "sluice/sluice.hpp"

int main() {
  for (const auto& d : sluice::devices()) std::printf("%s: %s\n", d.where.str().c_str(), d.description.c_str());
  for (const auto& r : sluice::refusals()) std::printf("%s\n", r.str().c_str());

  const auto a = sluice::tensor::of<float>({{1, 2, 3}, {4, 5, 6}});
  const auto b = sluice::tensor::of<float>({{1, 0}, {0, 1}, {1, 1}});

  const auto why = sluice::place(sluice::work_of(sluice::matmul_op(), {a, b})).reason();
  const auto c = sluice::matmul(a, b).to("cpu");  // placement chose the device; the result comes back to be looked at
  const auto s = sluice::rowsum(c).to("cpu");

  std::printf("a x b is %s, by %s\n", c.shape().str().c_str(), why.c_str());
  const auto v = c.view<float, 2>();
  const auto sums = s.view<float, 1>();
  for (std::int64_t i = 0; i < v.extent(0); ++i) {
    for (std::int64_t j = 0; j < v.extent(1); ++j) std::printf("%6g", static_cast<double>(v(i, j)));
    std::printf("   sum %g\n", static_cast<double>(sums(i)));
  }
}
