// Two matrices multiplied, on whatever device there is.
#include <cstdio>

#include "sluice/sluice.hpp"

int main() {
  const auto a = sluice::tensor::of<float>({{1, 2, 3}, {4, 5, 6}});
  const auto b = sluice::tensor::of<float>({{1, 0}, {0, 1}, {1, 1}});
  const auto c = sluice::matmul(a, b).to("cpu");

  const auto v = c.view<float, 2>();
  for (std::int64_t i = 0; i < v.extent(0); ++i) std::printf("%g %g\n", double{v(i, 0)}, double{v(i, 1)});
}
