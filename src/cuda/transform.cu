// Kernels over the elements of arrays with any strides: copies, conversions, fills.
#include <algorithm>

#include "convert.cuh"
#include "cuda.hpp"

namespace sluice::cuda {
namespace {

constexpr int threads = 256;

// Offsets of element i, counted in row-major order, in target and source.
struct walk {
  int rank;
  std::int64_t count;
  std::int64_t extents[SLUICE_MAX_RANK];
  std::int64_t target[SLUICE_MAX_RANK];
  std::int64_t source[SLUICE_MAX_RANK];

  template <class I>
  __device__ void offsets(I i, std::int64_t& to, std::int64_t& from) const {
    to = 0;
    from = 0;
    for (int axis = rank - 1; axis > 0; --axis) {
      const I extent = static_cast<I>(extents[axis]);
      const I next = i / extent;
      const auto step = static_cast<std::int64_t>(i - next * extent);
      to += step * target[axis];
      from += step * source[axis];
      i = next;
    }
    to += static_cast<std::int64_t>(i) * target[0];
    from += static_cast<std::int64_t>(i) * source[0];
  }
};

// I: 32 bits where the count allows, since 64-bit divisions take several times as long.
template <class T, class S, class I>
__global__ void __launch_bounds__(threads) transform_kernel(T* target, const S* source, walk w) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < w.count; i += step) {
    std::int64_t to;
    std::int64_t from;
    w.offsets(static_cast<I>(i), to, from);
    target[to] = convert<T>(source[from]);
  }
}

template <class T, class I>
__global__ void __launch_bounds__(threads) fill_kernel(T* target, T value, walk w) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < w.count; i += step) {
    std::int64_t to;
    std::int64_t from;
    w.offsets(static_cast<I>(i), to, from);
    target[to] = value;
  }
}

// A transpose in tiles, so that both sides are read and written along their unit strides. T: as many bits as an element has.
constexpr int tile = 32;

template <class T>
__global__ void __launch_bounds__(threads) transpose_kernel(T* target, const T* source, walk w) {
  __shared__ T cells[tile][tile + 1];
  const int x = static_cast<int>(threadIdx.x) % tile;
  const int y = static_cast<int>(threadIdx.x) / tile;
  const std::int64_t i0 = static_cast<std::int64_t>(blockIdx.x) * tile;  // along the source's unit stride
  for (std::int64_t j0 = static_cast<std::int64_t>(blockIdx.y) * tile; j0 < w.extents[1];
       j0 += static_cast<std::int64_t>(gridDim.y) * tile) {
    for (int k = y; k < tile; k += threads / tile)
      if (i0 + x < w.extents[0] && j0 + k < w.extents[1]) cells[k][x] = source[i0 + x + (j0 + k) * w.source[1]];
    __syncthreads();
    for (int k = y; k < tile; k += threads / tile)
      if (i0 + k < w.extents[0] && j0 + x < w.extents[1]) target[(i0 + k) * w.target[0] + j0 + x] = cells[x][k];
    __syncthreads();
  }
}

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

// As many bits as the dtype has.
template <class F>
cudaError_t with_bits(std::int32_t dtype, F&& f) {
  switch (element_size(dtype)) {
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

unsigned grid_for(const sluice_queue& q, std::int64_t count) {
  const std::int64_t most = static_cast<std::int64_t>(std::max(q.owner->multiprocessors, 1)) * 32;
  return static_cast<unsigned>(std::min((count + threads - 1) / threads, most));
}

template <class T, class S>
cudaError_t launch(sluice_queue& q, void* target, const void* source, const walk& w) {
  const unsigned grid = grid_for(q, w.count);
  auto* to = static_cast<T*>(target);
  auto* from = static_cast<const S*>(source);
  if (w.count < (std::int64_t{1} << 31))
    transform_kernel<T, S, std::uint32_t><<<grid, threads, 0, q.stream>>>(to, from, w);
  else
    transform_kernel<T, S, std::uint64_t><<<grid, threads, 0, q.stream>>>(to, from, w);
  return cudaGetLastError();
}

bool is_transpose(const walk& w) {
  return w.rank == 2 && w.source[0] == 1 && w.target[1] == 1 && w.extents[0] > 8 && w.extents[1] > 8;
}

template <class T>
cudaError_t transpose(sluice_queue& q, void* target, const void* source, const walk& w) {
  const auto tiles = [](std::int64_t extent) { return (extent + tile - 1) / tile; };
  const dim3 grid(static_cast<unsigned>(tiles(w.extents[0])),
                  static_cast<unsigned>(std::min<std::int64_t>(tiles(w.extents[1]), 65535)));
  transpose_kernel<T><<<grid, threads, 0, q.stream>>>(static_cast<T*>(target), static_cast<const T*>(source), w);
  return cudaGetLastError();
}

double seconds_for(std::int64_t count) { return 4e-6 + static_cast<double>(count) * 8e-12; }

}  // namespace

cudaError_t transform(sluice_queue& queue, const sluice_array& target, const sluice_array& source) {
  const walk w = walk_over(pair(target, source));
  if (w.count == 0) return cudaSuccess;
  queue.add_work(seconds_for(w.count));
  if (target.dtype == source.dtype)
    return with_bits(target.dtype, [&](auto t) {
      using T = decltype(t);
      return is_transpose(w) ? transpose<T>(queue, target.data, source.data, w)
                             : launch<T, T>(queue, target.data, source.data, w);
    });
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
    return with_bits(target.dtype, [&](auto b) {
      using B = decltype(b);
      if constexpr (sizeof(B) != sizeof(T)) {
        return cudaErrorInvalidValue;  // the sizes are the same at run time
      } else {
        const B bits = bits_of<B>(element);
        auto* to = static_cast<B*>(target.data);
        if (bits == 0 && p.target_contiguous())
          return cudaMemsetAsync(to, 0, static_cast<std::size_t>(w.count) * sizeof(B), queue.stream);
        if (w.count < (std::int64_t{1} << 31))
          fill_kernel<B, std::uint32_t><<<grid_for(queue, w.count), threads, 0, queue.stream>>>(to, bits, w);
        else
          fill_kernel<B, std::uint64_t><<<grid_for(queue, w.count), threads, 0, queue.stream>>>(to, bits, w);
        return cudaGetLastError();
      }
    });
  });
}

}  // namespace sluice::cuda
