// Row sums in one fixed order: see cpu_rowsum.
#include <bit>
#include <limits>

#include "cpu.hpp"
#include "half.hpp"

namespace sluice::cpu {
namespace {

template <class T>
struct accumulator {
  using type = std::int64_t;
};
template <>
struct accumulator<double> {
  using type = double;
};
template <>
struct accumulator<float> {
  using type = double;
};
template <>
struct accumulator<f16> {
  using type = double;
};
template <>
struct accumulator<bf16> {
  using type = double;
};

template <class A>
A add(A a, A b) {
  if constexpr (std::is_same_v<A, double>) return a + b;
  return static_cast<A>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

template <class T>
auto widen(T x) {
  if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>)
    return static_cast<double>(to_float(x));
  else
    return static_cast<typename accumulator<T>::type>(x);
}

template <class T, class A = typename accumulator<T>::type>
A sum_row(const T* a, std::int64_t n, std::int64_t stride) {
  const A nothing = std::is_same_v<A, double> ? static_cast<A>(-0.0) : A{};
  if (n == 0) return A{};
  A sums[64];
  std::int64_t ranks[64];
  int depth = 0;
  for (std::int64_t block = 0; block * 1024 < n; ++block) {
    A lanes[32];
    for (A& lane : lanes) lane = nothing;
    for (std::int64_t i = block * 1024; i < n && i < block * 1024 + 1024; ++i) lanes[i % 32] = add(lanes[i % 32], widen(a[i * stride]));
    for (int half = 16; half > 0; half /= 2)
      for (int j = 0; j < half; ++j) lanes[j] = add(lanes[j], lanes[j + half]);
    sums[depth] = lanes[0];
    ranks[depth++] = 0;
    for (; depth > 1 && ranks[depth - 1] == ranks[depth - 2]; --depth) {
      sums[depth - 2] = add(sums[depth - 2], sums[depth - 1]);
      ++ranks[depth - 2];
    }
  }
  for (; depth > 1; --depth) sums[depth - 2] = add(sums[depth - 2], sums[depth - 1]);
  return sums[0];
}

template <class T>
void sum_rows(const sluice_array& a, const sluice_array& out) {
  for (std::int64_t r = 0; r < a.extents[0]; ++r) {
    const auto sum = sum_row(static_cast<const T*>(a.data) + r * a.strides[0], a.extents[1], a.strides[1]);
    const std::int64_t at = r * out.strides[0];
    if (out.dtype == SLUICE_I64)
      static_cast<std::int64_t*>(out.data)[at] = static_cast<std::int64_t>(sum);
    else if (out.dtype == SLUICE_F64)
      static_cast<double*>(out.data)[at] = sum == sum ? static_cast<double>(sum) : std::numeric_limits<double>::quiet_NaN();
    else
      static_cast<float*>(out.data)[at] = sum == sum ? static_cast<float>(sum) : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace

sluice_status cpu_rowsum(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* out, sluice_message* message) {
  switch (a->dtype) {
    case SLUICE_F64: sum_rows<double>(*a, *out); return SLUICE_OK;
    case SLUICE_F32: sum_rows<float>(*a, *out); return SLUICE_OK;
    case SLUICE_F16: sum_rows<f16>(*a, *out); return SLUICE_OK;
    case SLUICE_BF16: sum_rows<bf16>(*a, *out); return SLUICE_OK;
    case SLUICE_I64: sum_rows<std::int64_t>(*a, *out); return SLUICE_OK;
    case SLUICE_I32: sum_rows<std::int32_t>(*a, *out); return SLUICE_OK;
    case SLUICE_U8: sum_rows<std::uint8_t>(*a, *out); return SLUICE_OK;
    default: return fail(SLUICE_UNSUPPORTED, message, "[rowsum] the CPU knows no dtype %d", a->dtype);
  }
}

}  // namespace sluice::cpu
