// Extents and strides of copies, simplified.
#include <algorithm>

#include "cuda.hpp"

namespace sluice::cuda {

std::size_t element_size(std::int32_t dtype) {
  constexpr std::size_t sizes[] = {8, 4, 2, 2, 8, 4, 1};  // by sluice_dtype
  return sizes[dtype];
}

std::int64_t count_of(const sluice_array& a) {
  std::int64_t count = 1;
  for (int i = 0; i < a.rank; ++i) count *= a.extents[i];
  return count;
}

paired pair(const sluice_array& target, const sluice_array& source) {
  paired p;
  for (int i = 0; i < target.rank; ++i) {
    const std::int64_t extent = target.extents[i];
    if (extent == 1) continue;
    const int last = p.rank - 1;
    if (last >= 0 && p.target[last] == target.strides[i] * extent && p.source[last] == source.strides[i] * extent) {
      p.extents[last] *= extent;
      p.target[last] = target.strides[i];
      p.source[last] = source.strides[i];
    } else {
      p.extents[p.rank] = extent;
      p.target[p.rank] = target.strides[i];
      p.source[p.rank] = source.strides[i];
      ++p.rank;
    }
  }
  return p;
}

sluice_array packed(const sluice_array& a, std::int32_t dtype, void* data) {
  sluice_array p = a;
  p.data = data;
  p.dtype = dtype;
  std::int64_t step = 1;
  for (int i = a.rank - 1; i >= 0; --i) {
    p.strides[i] = step;
    step *= a.extents[i];
  }
  return p;
}

}  // namespace sluice::cuda
