// Copies between any two dtypes and any strides, and fills.
#include <cmath>
#include <limits>

#include "cpu.hpp"
#include "half.hpp"

namespace sluice::cpu {
namespace {

template <class T>
constexpr bool is_half = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

// As C converts, but floats saturate to integers and NaN gives 0.
template <class T, class S>
T convert(S x) {
  if constexpr (std::is_same_v<T, S>) {
    return x;
  } else if constexpr (is_half<S>) {
    return convert<T>(to_float(x));
  } else if constexpr (is_half<T>) {
    const auto near = [](auto y) {
      if constexpr (std::is_same_v<T, f16>)
        return to_f16(y);
      else
        return to_bf16(y);
    };
    if constexpr (std::is_same_v<S, float>) {
      return near(x);
    } else if constexpr (std::is_same_v<S, std::int64_t>) {
      // Beyond 53 bits the lost ones leave a mark, so that the one rounding is to the 16 bits.
      const bool wide = x >= (std::int64_t{1} << 53) || x <= -(std::int64_t{1} << 53);
      return near(static_cast<double>(wide ? (x & ~0x3ff) | ((x & 0x3ff) != 0 ? 0x400 : 0) : x));
    } else {
      return near(static_cast<double>(x));
    }
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<T>) {
    constexpr S above = static_cast<S>(std::numeric_limits<T>::max() / 2 + 1) * S{2};
    if (x >= above) return std::numeric_limits<T>::max();
    if (x <= static_cast<S>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return x == x ? static_cast<T>(x) : T{};
  } else {
    return static_cast<T>(x);
  }
}

template <class F>
void with_type(std::int32_t dtype, F&& f) {
  switch (dtype) {
    case SLUICE_F64: return f(double{});
    case SLUICE_F32: return f(float{});
    case SLUICE_F16: return f(f16{});
    case SLUICE_BF16: return f(bf16{});
    case SLUICE_I64: return f(std::int64_t{});
    case SLUICE_I32: return f(std::int32_t{});
    default: return f(std::uint8_t{});
  }
}

template <class T, class S>
void copy_axis(T* target, const S* source, const sluice_array& t, const sluice_array& s, int axis) {
  if (axis == t.rank) {
    *target = convert<T>(*source);
    return;
  }
  for (std::int64_t i = 0; i < t.extents[axis]; ++i)
    copy_axis(target + i * t.strides[axis], source + i * s.strides[axis], t, s, axis + 1);
}

template <class T>
void fill_axis(T* target, const sluice_array& t, int axis, T value) {
  if (axis == t.rank) {
    *target = value;
    return;
  }
  for (std::int64_t i = 0; i < t.extents[axis]; ++i) fill_axis(target + i * t.strides[axis], t, axis + 1, value);
}

}  // namespace

sluice_status cpu_copy(std::int32_t, sluice_queue*, const sluice_array* target, const sluice_array* source, sluice_message*) {
  with_type(target->dtype, [&](auto t) {
    with_type(source->dtype, [&](auto s) {
      copy_axis(static_cast<decltype(t)*>(target->data), static_cast<const decltype(s)*>(source->data), *target, *source, 0);
    });
  });
  return SLUICE_OK;
}

sluice_status cpu_fill(std::int32_t, sluice_queue*, const sluice_array* target, double value, sluice_message*) {
  with_type(target->dtype, [&](auto t) { fill_axis(static_cast<decltype(t)*>(target->data), *target, 0, convert<decltype(t)>(value)); });
  return SLUICE_OK;
}

}  // namespace sluice::cpu
