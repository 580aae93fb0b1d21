#include "prediction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace sluice::serving::models {
namespace {

// std::max would keep or lose a NaN by its place.
float highest_of(std::span<const float> x) {
  float highest = -std::numeric_limits<float>::infinity();
  for (const float value : x) highest = value > highest ? value : highest;
  return highest;
}

void to_probabilities(std::span<float> x) {
  const float highest = highest_of(x);
  double sum = 0;
  for (float& value : x) {
    value = std::exp(value - highest);
    sum += static_cast<double>(value);
  }
  for (float& value : x) value = static_cast<float>(static_cast<double>(value) / sum);
}

}  // namespace

top_classes top_of(const tensor& scores, std::int64_t k, bool softmax) {
  const auto from = scores.contiguous();
  const auto* const first = static_cast<const float*>(from.data());
  std::vector<float> p(first, first + from.count());
  if (softmax) to_probabilities(p);
  std::vector<std::int64_t> order(p.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto of = [&](std::int64_t i) { return p[static_cast<std::size_t>(i)]; };
  // NaN below all numbers: an order in any case.
  const auto before = [&](std::int64_t a, std::int64_t b) {
    const bool a_is_number = !std::isnan(of(a)), b_is_number = !std::isnan(of(b));
    if (a_is_number != b_is_number) return a_is_number;
    if (a_is_number && of(a) != of(b)) return of(a) > of(b);
    return a < b;
  };
  std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
  top_classes top{tensor({k}, dtype::i64), tensor({k}, dtype::f32)};
  const auto indices = top.indices.view<std::int64_t, 1>();
  const auto probabilities = top.probabilities.view<float, 1>();
  for (std::int64_t i = 0; i < k; ++i) {
    indices(i) = order[static_cast<std::size_t>(i)];
    probabilities(i) = of(indices(i));
  }
  return top;
}

}  // namespace sluice::serving::models
