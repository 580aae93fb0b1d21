// What a classifier's scores mean: probabilities, and the classes where they are highest.
#pragma once

#include "sluice/tensor.hpp"

namespace sluice::serving::models {

struct top_classes {
  tensor indices;        // i64 (k)
  tensor probabilities;  // f32 (k), descending; of equal ones the lower index comes first
};

// The `k` highest classes of `scores`, f32 (1, classes) on the CPU. `softmax`: they are logits, and become probabilities:
// exp(x - max) in f32, divided by the sum in ascending order in f64; else they are probabilities already. NaN comes last.
top_classes top_of(const tensor& scores, std::int64_t k, bool softmax);

}  // namespace sluice::serving::models
