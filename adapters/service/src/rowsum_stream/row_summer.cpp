#include "rowsum_stream/row_summer.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "sluice/ops/rowsum.hpp"

namespace sluice::serving {
namespace {

// A batch of rows, or of their sums: it fits a core's share of the cache and amortises acquiring a worker.
constexpr std::int64_t batch_bytes = 1 << 20;

std::int64_t row_bytes(dtype type, std::int64_t columns) {
  return checked_product(columns, static_cast<std::int64_t>(size_of(type)));
}

// Bytes of complete rows, or of the longest part of a row that rowsum's order of additions has.
std::int64_t buffer_size(dtype type, std::int64_t columns, dtype result) {
  const auto row = row_bytes(type, columns), sum = static_cast<std::int64_t>(size_of(result));
  if (row > batch_bytes) return batch_bytes;
  return row * std::max<std::int64_t>(1, batch_bytes / std::max(row, sum));
}

}  // namespace

row_summer::row_summer(dtype type, std::int64_t columns, dtype result)
    : type_(type),
      result_(result),
      columns_(columns),
      part_(row_bytes(type, columns) > batch_bytes ? batch_bytes / static_cast<std::int64_t>(size_of(type)) : 0),
      memory_(shape{buffer_size(type, columns, result)}, dtype::u8),
      data_(static_cast<char*>(memory_.data())),
      wanted_(memory_.bytes()) {}

void row_summer::sum(const receiver& keep) {
  if (part_ > 0) return sum_part(keep);
  const std::int64_t rows = static_cast<std::int64_t>(filled_) / row_bytes(type_, columns_);
  filled_ = 0;
  if (rows == 0) return;
  const shape extents{rows, columns_};
  keep(rowsum(tensor::wrap(data_, type_, extents, row_major(extents), nullptr), device::cpu, {.dtype = result_}));
}

// Parts begin at multiples of batch_bytes, which is 1,024 * 2^k elements of any type.
void row_summer::sum_part(const receiver& keep) {
  const std::int64_t count = static_cast<std::int64_t>(filled_ / size_of(type_));
  filled_ = 0;
  if (count == 0) return;
  const shape extents{1, count};
  const auto part = rowsum_unrounded(tensor::wrap(data_, type_, extents, row_major(extents), nullptr), device::cpu);
  if (is_floating(type_))
    join(*static_cast<const double*>(part.data()), real_);
  else
    join(*static_cast<const std::int64_t*>(part.data()), whole_);
  at_ += count;
  if (at_ == columns_) {
    at_ = 0;
    parts_ = 0;
    tensor sum(shape{1}, unrounded_rowsum_dtype(type_));
    if (is_floating(type_)) {
      const double total = joined(real_);
      *static_cast<double*>(sum.data()) = total == total ? total : std::numeric_limits<double>::quiet_NaN();
    } else {
      *static_cast<std::int64_t*>(sum.data()) = joined(whole_);
    }
    keep(sum.as(result_));
  }
  wanted_ = static_cast<std::size_t>(std::min(part_, columns_ - at_)) * size_of(type_);
}

template <class T>
void row_summer::join(T part, std::vector<T>& levels) {
  for (auto n = parts_++; n % 2 == 1; n /= 2) {
    std::array pair{levels.back(), part};
    levels.pop_back();
    part = join_rowsums<T>(pair);
  }
  levels.push_back(part);
}

template <class T>
T row_summer::joined(std::vector<T>& levels) {
  T sum = levels.back();
  for (levels.pop_back(); !levels.empty(); levels.pop_back()) {
    std::array pair{levels.back(), sum};
    sum = join_rowsums<T>(pair);
  }
  return sum;
}

}  // namespace sluice::serving
