// Copies, conversions and fills on the device, of arrays with any strides: chooses the kernel that runs at memory's speed.
#include <algorithm>

#include "transform_kernels.cuh"

namespace sluice::cuda {
namespace {

template <class F>
cudaError_t with_type(std::int32_t dtype, F&& f) {
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

// As many bits as the size has.
template <class F>
cudaError_t with_bits(std::size_t size, F&& f) {
  switch (size) {
    case 16: return f(uint4{});
    case 8: return f(std::uint64_t{});
    case 4: return f(std::uint32_t{});
    case 2: return f(std::uint16_t{});
    default: return f(std::uint8_t{});
  }
}

walk walk_over(const paired& p) {
  walk w{};
  w.rank = std::max(p.rank, 1);
  w.count = 1;
  w.extents[0] = 1;
  for (int i = 0; i < p.rank; ++i) {
    w.count *= p.extents[i];
    w.extents[i] = p.extents[i];
    w.target[i] = p.target[i];
    w.source[i] = p.source[i];
  }
  return w;
}

unsigned blocks(std::int64_t count, std::int64_t each) { return static_cast<unsigned>((count + each - 1) / each); }

bool on_16_bytes(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }

// Rows without gaps inside are copied in words of up to 16 bytes; what is left of `size` is that of a word.
std::size_t widen(paired& p, const void* target, const void* source, std::size_t size) {
  const int inner = p.rank - 1;
  if (p.rank == 0 || p.target[inner] != 1 || p.source[inner] != 1) return size;
  const auto ends = reinterpret_cast<std::uintptr_t>(target) | reinterpret_cast<std::uintptr_t>(source);
  const auto fits = [&](std::int64_t twice) {
    for (int i = 0; i < inner; ++i)
      if (p.target[i] % twice != 0 || p.source[i] % twice != 0) return false;
    return p.extents[inner] % twice == 0;
  };
  for (; size < 16 && ends % (2 * size) == 0 && fits(2); size *= 2) {
    p.extents[inner] /= 2;
    for (int i = 0; i < inner; ++i) {
      p.target[i] /= 2;
      p.source[i] /= 2;
    }
  }
  return size;
}

template <class T, class S>
cudaError_t launch(sluice_queue& q, void* target, const void* source, const walk& w) {
  auto* to = static_cast<T*>(target);
  auto* from = static_cast<const S*>(source);
  if constexpr (!std::is_same_v<T, S>)
    if (w.rank == 1 && w.target[0] == 1 && w.source[0] == 1 && on_16_bytes(to) && on_16_bytes(from)) {
      const unsigned grid = blocks(w.count, transform_threads * conversion<T, S>::each * conversion<T, S>::group);
      convert_kernel<T, S><<<grid, transform_threads, 0, q.stream>>>(to, from, w.count);
      return cudaGetLastError();
    }
  constexpr int each = sizeof(T) == 16 ? 1 : 4;
  const unsigned grid = blocks(w.count, transform_threads * each);
  if (w.count < (std::int64_t{1} << 31))
    transform_kernel<T, S, std::uint32_t, each><<<grid, transform_threads, 0, q.stream>>>(to, from, w);
  else
    transform_kernel<T, S, std::uint64_t, each><<<grid, transform_threads, 0, q.stream>>>(to, from, w);
  return cudaGetLastError();
}

bool is_transpose(const walk& w) {
  const auto tiles = [](std::int64_t extent) { return (extent + tile - 1) / tile; };
  return w.rank == 2 && w.source[0] == 1 && w.target[1] == 1 && w.extents[0] > 8 && w.extents[1] > 8 &&
         tiles(w.extents[0]) * tiles(w.extents[1]) < (std::int64_t{1} << 31);
}

template <class T>
cudaError_t transpose(sluice_queue& q, void* target, const void* source, const walk& w) {
  const unsigned grid = blocks(w.extents[0], tile) * blocks(w.extents[1], tile);
  transpose_kernel<T><<<grid, tile_threads, 0, q.stream>>>(static_cast<T*>(target), static_cast<const T*>(source), w);
  return cudaGetLastError();
}

template <class T>
cudaError_t fill_with(sluice_queue& q, void* target, T value, const walk& w, bool contiguous) {
  auto* to = static_cast<T*>(target);
  if (value == 0 && contiguous) return cudaMemsetAsync(to, 0, static_cast<std::size_t>(w.count) * sizeof(T), q.stream);
  if (contiguous && on_16_bytes(to)) {
    constexpr std::size_t each = 16 / sizeof(T);
    group_of<T, each> pattern;
    std::fill_n(pattern.x, each, value);
    fill_whole_kernel<T><<<blocks(w.count, transform_threads * each), transform_threads, 0, q.stream>>>(
        to, value, bits_as<uint4>(pattern), w.count);
  } else if (w.count < (std::int64_t{1} << 31)) {
    fill_kernel<T, std::uint32_t><<<blocks(w.count, transform_threads), transform_threads, 0, q.stream>>>(to, value, w);
  } else {
    fill_kernel<T, std::uint64_t><<<blocks(w.count, transform_threads), transform_threads, 0, q.stream>>>(to, value, w);
  }
  return cudaGetLastError();
}

double seconds_for(std::int64_t count) { return 4e-6 + static_cast<double>(count) * 8e-12; }

}  // namespace

cudaError_t transform(sluice_queue& queue, const sluice_array& target, const sluice_array& source) {
  paired p = pair(target, source);
  walk w = walk_over(p);
  if (w.count == 0) return cudaSuccess;
  queue.add_work(seconds_for(w.count));
  if (target.dtype == source.dtype) {
    const std::size_t size = widen(p, target.data, source.data, element_size(target.dtype));
    w = walk_over(p);
    return with_bits(size, [&](auto t) {
      using T = decltype(t);
      if constexpr (sizeof(T) <= 8)
        if (is_transpose(w)) return transpose<T>(queue, target.data, source.data, w);
      return launch<T, T>(queue, target.data, source.data, w);
    });
  }
  return with_type(target.dtype, [&](auto t) {
    return with_type(source.dtype, [&](auto s) {
      using T = decltype(t);
      using S = decltype(s);
      if constexpr (std::is_same_v<T, S>)
        return cudaErrorInvalidValue;  // handled above
      else
        return launch<T, S>(queue, target.data, source.data, w);
    });
  });
}

cudaError_t fill(sluice_queue& queue, const sluice_array& target, double value) {
  const paired p = pair(target, target);
  const walk w = walk_over(p);
  if (w.count == 0) return cudaSuccess;
  queue.add_work(seconds_for(w.count));
  return with_type(target.dtype, [&](auto t) {
    using T = decltype(t);
    const T element = convert<T>(value);
    return with_bits(sizeof(T), [&](auto b) {
      using B = decltype(b);
      if constexpr (sizeof(B) != sizeof(T))
        return cudaErrorInvalidValue;  // the sizes are the same at run time
      else
        return fill_with<B>(queue, target.data, bits_as<B>(element), w, p.target_contiguous());
    });
  });
}

cudaError_t write_out(sluice_queue& queue, void* target, const void* source, std::size_t bytes) {
  write_out_kernel<<<blocks(static_cast<std::int64_t>(bytes), 16 * transform_threads), transform_threads, 0, queue.stream>>>(
      static_cast<char*>(target), static_cast<const char*>(source), static_cast<unsigned>(bytes));
  return cudaGetLastError();
}

}  // namespace sluice::cuda
