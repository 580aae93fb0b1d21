// The slots copy and fill: copies between any two dtypes and any strides; a fill is a copy of one element.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "sluice/impl/base/half.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/widen.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, f16> || std::is_same_v<T, bf16>;

template <class T, class S>
inline T round_half(S x) {
  if constexpr (std::is_same_v<T, f16>)
    return base::to_f16(x);
  else
    return base::to_bf16(x);
}

// As C converts, but floats saturate to integers and NaN gives 0.
template <class T, class S>
inline T convert(S x) {
  if constexpr (std::is_same_v<T, S>) {
    return x;
  } else if constexpr (is_half<S>) {
    return convert<T>(to_float(x));
  } else if constexpr (is_half<T> && std::is_same_v<S, float>) {
    return round_half<T>(x);
  } else if constexpr (is_half<T> && std::is_same_v<S, std::int64_t>) {
    // Bits beyond 53 that are lost are or-ed into the lowest one, so that only the rounding to 16 bits counts.
    const bool wide = x >= (std::int64_t{1} << 53) || x <= -(std::int64_t{1} << 53);
    return round_half<T>(static_cast<double>(wide ? (x & ~0x3ff) | ((x & 0x3ff) != 0 ? 0x400 : 0) : x));
  } else if constexpr (is_half<T>) {
    return round_half<T>(static_cast<double>(x));
  } else if constexpr (std::is_floating_point_v<S> && std::is_integral_v<T>) {
    constexpr S above = static_cast<S>(std::numeric_limits<T>::max() / 2 + 1) * S{2};
    if (x >= above) return std::numeric_limits<T>::max();
    if (x <= static_cast<S>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
    return x == x ? static_cast<T>(x) : T{};
  } else {
    return static_cast<T>(x);
  }
}

// One dimension of a copy: its extent, and both strides in elements.
struct copy_axis {
  std::int64_t extent;
  std::int64_t to;
  std::int64_t from;
};

template <class T, class S>
inline void copy_run(T* to, std::int64_t to_stride, const S* from, std::int64_t from_stride, std::int64_t count) {
  if (to_stride == 1 && from_stride == 0) {
    std::fill_n(to, count, convert<T>(*from));
  } else if (to_stride == 1 && from_stride == 1) {
    if constexpr (std::is_same_v<T, S>)
      std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
    else if constexpr (is_half<S> && std::is_same_v<T, float>)
      widen(from, 1, count, to);
    else if constexpr (is_half<T> && std::is_same_v<S, float>)
      narrow(from, count, to);
    else
      for (std::int64_t i = 0; i < count; ++i) to[i] = convert<T>(from[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i * to_stride] = convert<T>(from[i * from_stride]);
  }
}

// Side of the tiles in which a transpose is copied: a cache line of the smallest elements.
inline constexpr std::int64_t transposed_tile = 64;

// Reads along the source's lines and writes along the target's, so that both use whole cache lines.
template <class T, class S>
inline void transpose_tile(T* to, const S* from, const copy_axis& outer, const copy_axis& inner) {
  T turned[transposed_tile][transposed_tile + 1];
  for (std::int64_t j = 0; j < inner.extent; ++j)
    for (std::int64_t i = 0; i < outer.extent; ++i) turned[i][j] = convert<T>(from[i * outer.from + j * inner.from]);
  for (std::int64_t i = 0; i < outer.extent; ++i) copy_run(to + i * outer.to, inner.to, turned[i], 1, inner.extent);
}

template <class T, class S>
inline void copy_tile(char* to, const char* from, const copy_axis& outer, const copy_axis& inner, bool transposed) {
  T* t = reinterpret_cast<T*>(to);
  const S* s = reinterpret_cast<const S*>(from);
  if (transposed) return transpose_tile(t, s, outer, inner);
  for (std::int64_t i = 0; i < outer.extent; ++i)
    copy_run(t + i * outer.to, inner.to, s + i * outer.from, inner.from, inner.extent);
}

using copy_function = void (*)(char* to, const char* from, const copy_axis& outer, const copy_axis& inner, bool transposed);

template <class F>
inline copy_function with_type(std::int32_t dtype, F&& f) {
  switch (dtype) {
    case SLUICE_F64: return f(double{});
    case SLUICE_F32: return f(float{});
    case SLUICE_F16: return f(f16{});
    case SLUICE_BF16: return f(bf16{});
    case SLUICE_I64: return f(std::int64_t{});
    case SLUICE_I32: return f(std::int32_t{});
    case SLUICE_U8: return f(std::uint8_t{});
    default: return nullptr;
  }
}

inline copy_function copy_function_for(std::int32_t to, std::int32_t from) {
  return with_type(to, [&](auto t) {
    return with_type(from, [](auto s) -> copy_function { return copy_tile<decltype(t), decltype(s)>; });
  });
}

// A copy in tiles of two dimensions: the inner one is the target's densest, the outer one the source's where that differs.
class copy_plan {
 public:
  copy_plan(const sluice_array& to, const sluice_array& from, copy_function copy)
      : to_(static_cast<char*>(to.data)),
        from_(static_cast<const char*>(from.data)),
        to_size_(dtype_size[to.dtype]),
        from_size_(dtype_size[from.dtype]),
        copy_(copy) {
    for (int i = 0; i < to.rank; ++i) {
      elements_ *= to.extents[i];
      if (to.extents[i] != 1) axes_[rank_++] = {to.extents[i], to.strides[i], from.strides[i]};
    }
    std::stable_sort(axes_, axes_ + rank_, [](const copy_axis& a, const copy_axis& b) { return a.to > b.to; });
    merge();
    while (rank_ < 2) {
      std::copy_backward(axes_, axes_ + rank_, axes_ + rank_ + 1);
      axes_[0] = {1, 0, 0};
      ++rank_;
    }
    choose_tiles();
  }

  void run() const {
    if (elements_ == 0) return;
    std::int64_t tiles = tiles_in(rank_ - 2) * tiles_in(rank_ - 1);
    for (int i = 0; i < rank_ - 2; ++i) tiles *= axes_[i].extent;
    const std::int64_t bytes = elements_ * (to_size_ + from_size_);
    if (bytes < serial_bytes) {
      for (std::int64_t t = 0; t < tiles; ++t) copy_tile_at(t);
      return;
    }
    const std::int64_t chunks = std::min(tiles, std::max<std::int64_t>(1, bytes / (2 * serial_bytes)));
    parallel_for(chunks, [&](std::int64_t c) {
      for (std::int64_t t = c * tiles / chunks; t < (c + 1) * tiles / chunks; ++t) copy_tile_at(t);
    });
  }

 private:
  // Merges neighbours that step through memory as one dimension does, on both sides.
  void merge() {
    int kept = 0;
    for (int i = 1; i < rank_; ++i) {
      copy_axis& outer = axes_[kept];
      const copy_axis& inner = axes_[i];
      if (outer.to == inner.extent * inner.to && outer.from == inner.extent * inner.from)
        outer = {outer.extent * inner.extent, inner.to, inner.from};
      else
        axes_[++kept] = inner;
    }
    if (rank_ > 0) rank_ = kept + 1;
  }

  void choose_tiles() {
    copy_axis& inner = axes_[rank_ - 1];
    int dense = rank_ - 1;
    for (int i = 0; i < rank_ - 1; ++i)
      if (axes_[i].from > 0 && axes_[i].from < axes_[dense].from) dense = i;
    if (dense != rank_ - 1) {
      std::rotate(axes_ + dense, axes_ + dense + 1, axes_ + rank_ - 1);
      tile_[0] = tile_[1] = transposed_tile;
      transposed_ = true;
      return;
    }
    tile_[1] = std::min(inner.extent, run_elements);
    tile_[0] = std::clamp<std::int64_t>(run_elements / std::max<std::int64_t>(1, tile_[1]), 1, axes_[rank_ - 2].extent);
  }

  std::int64_t tiles_in(int i) const {
    const std::int64_t tile = tile_[i - (rank_ - 2)];
    return (axes_[i].extent + tile - 1) / tile;
  }

  // Copies tile `t`, counted in row-major order.
  void copy_tile_at(std::int64_t t) const {
    std::int64_t to = 0;
    std::int64_t from = 0;
    copy_axis part[2];
    for (int i = rank_ - 1; i >= 0; --i) {
      const copy_axis& a = axes_[i];
      const bool tiled = i >= rank_ - 2;
      const std::int64_t steps = tiled ? tiles_in(i) : a.extent;
      const std::int64_t begin = t % steps * (tiled ? tile_[i - (rank_ - 2)] : 1);
      t /= steps;
      to += begin * a.to;
      from += begin * a.from;
      if (tiled) part[i - (rank_ - 2)] = {std::min(tile_[i - (rank_ - 2)], a.extent - begin), a.to, a.from};
    }
    copy_(to_ + to * to_size_, from_ + from * from_size_, part[0], part[1], transposed_);
  }

  static constexpr std::int64_t run_elements = 1 << 16;

  char* to_;
  const char* from_;
  std::int64_t to_size_, from_size_;  // bytes of an element
  copy_function copy_;
  copy_axis axes_[SLUICE_MAX_RANK + 2];
  int rank_ = 0;
  std::int64_t elements_ = 1;
  std::int64_t tile_[2] = {1, 1};
  bool transposed_ = false;
};

inline sluice_status cpu_copy(std::int32_t, sluice_queue*, const sluice_array* target, const sluice_array* source,
                              sluice_message* message) {
  const copy_function copy = copy_function_for(target->dtype, source->dtype);
  if (copy == nullptr)
    return fail(SLUICE_UNSUPPORTED, message, "[copy] the CPU has no copy from dtype %d to dtype %d", source->dtype,
                target->dtype);
  copy_plan(*target, *source, copy).run();
  return SLUICE_OK;
}

inline sluice_status cpu_fill(std::int32_t device, sluice_queue* queue, const sluice_array* target, double value,
                              sluice_message* message) {
  sluice_array source = *target;
  source.data = &value;
  source.dtype = SLUICE_F64;
  std::fill_n(source.strides, SLUICE_MAX_RANK, 0);
  return cpu_copy(device, queue, target, &source, message);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
