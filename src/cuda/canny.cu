// The op canny: memory for its bitmaps, and the launches of its kernels.
#include <algorithm>
#include <bit>

#include "canny_kernels.cuh"
#include "memory.hpp"
#include "named_ops.hpp"
#include "sluice/impl/base/canny.hpp"

namespace sluice::cuda {
namespace {

constexpr std::int64_t most_tiles = 1 << 20;  // of one launch, unless one image has more: 680 MB of memory

struct image_batch {
  const std::uint8_t* image;
  std::uint8_t* result;
  std::int64_t images = 1;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels = 1;

  image_batch(const sluice_array& in, const sluice_array& out)
      : image(static_cast<const std::uint8_t*>(in.data)), result(static_cast<std::uint8_t*>(out.data)) {
    const std::int64_t* const sides = out.extents + out.rank - 2;
    height = sides[0];
    width = sides[1];
    for (int i = 0; i < out.rank - 2; ++i) images *= out.extents[i];
    if (in.rank > 2) channels = in.extents[in.rank - 1];
  }
};

// f16's bits of an integer in [0, 2047].
unsigned f16_bits(std::int32_t n) {
  if (n == 0) return 0;
  const int power = std::bit_width(static_cast<unsigned>(n)) - 1;
  return static_cast<unsigned>((15 + power) << 10 | ((n << (10 - power)) & 0x3ff));
}

// One call.
class canny_call {
 public:
  canny_call(device& d, sluice_queue& q, const image_batch& b, const base::canny_thresholds& t)
      : device_(d), queue_(q), batch_(b), squared_(t.squared), memory_(d, *d.memory, &q) {
    const auto threshold = [&](std::int32_t n) {
      return squared_ ? static_cast<word>(std::min(n, 1 << 23)) : both(f16_bits(std::min(n, 2047)));
    };
    low_ = threshold(t.low);
    high_ = threshold(t.high);
  }

  sluice_status run(sluice_message* message) {
    const std::int64_t columns = (batch_.width + tile_side - 1) / tile_side;
    const std::int64_t rows = (batch_.height + tile_side - 1) / tile_side;
    if (columns > (1 << 25) || rows > (1 << 25) || columns * rows > (1 << 25))
      return fail(SLUICE_UNSUPPORTED, message,
                  "cuda finds the edges of images of at most 2^35 pixels; this one is %lld x %lld",
                  static_cast<long long>(batch_.height), static_cast<long long>(batch_.width));
    const std::int64_t most = std::clamp<std::int64_t>(most_tiles / (columns * rows), 1, batch_.images);
    queue_.add_work(20e-6 + 3e-12 * static_cast<double>(batch_.images * batch_.height * batch_.width));
    if (const auto s = allocate(columns * rows * most, message); s != SLUICE_OK) return s;
    for (std::int64_t first = 0; first < batch_.images; first += most) {
      const auto images = static_cast<unsigned>(std::min(most, batch_.images - first));
      const tile_grid grid{static_cast<unsigned>(columns), static_cast<unsigned>(rows), images};
      const cudaError_t error = launch(grid, first * batch_.height * batch_.width);
      if (error != cudaSuccess) return device_.check(error, "finding edges", message);
    }
    return SLUICE_OK;
  }

 private:
  sluice_status allocate(std::int64_t tiles, sluice_message* message) {
    const auto count = static_cast<std::size_t>(tiles);
    const std::size_t words = count * (3 * tile_side + tile_nodes + 2) + 2;
    if (const auto s = memory_.allocate(words * sizeof(word), message); s != SLUICE_OK) return s;
    word* at = static_cast<word*>(memory_.data());
    const auto take = [&](std::size_t n) {
      word* const taken = at;
      at += n;
      return taken;
    };
    parts_.candidates = take(count * tile_side);
    parts_.reached = take(count * tile_side);
    parts_.slots = take(count * tile_side);
    parts_.parents = take(count * tile_nodes + 1);
    parts_.pending = take(count);
    parts_.nodes = take(count);
    parts_.pending_count = take(1);
    return SLUICE_OK;
  }

  cudaError_t launch(const tile_grid& grid, std::int64_t first_pixel) const {
    const edge_arguments edges{
        batch_.image + first_pixel * batch_.channels, batch_.width, batch_.height, grid, low_, high_, parts_};
    const cudaError_t error = batch_.channels == 1 ? find_edges<1>(edges) : find_edges<3>(edges);
    if (error != cudaSuccess) return error;
    const hysteresis_arguments h{batch_.result + first_pixel, batch_.width, batch_.height, grid, parts_};
    const bool vectors = batch_.width % 16 == 0 && reinterpret_cast<std::uintptr_t>(h.result) % 16 == 0;
    return vectors ? connect<true>(h) : connect<false>(h);
  }

  template <int C>
  cudaError_t find_edges(const edge_arguments& a) const {
    constexpr int l1_columns = C == 1 ? 8 : 4;
    return squared_ ? find_edges_of<l2_magnitudes, C, 4>(a) : find_edges_of<l1_magnitudes, C, l1_columns>(a);
  }

  template <template <class> class Magnitudes, int C, int Columns>
  cudaError_t find_edges_of(const edge_arguments& a) const {
    const unsigned threads = a.grid.count() * (tile_side / Columns);
    const unsigned blocks = (threads + edge_threads - 1) / edge_threads;
    const bool aligned = a.width % Columns == 0 && reinterpret_cast<std::uintptr_t>(a.image) % (Columns == 8 ? 8 : 4) == 0;
    if (aligned)
      canny_edges<Magnitudes, C, Columns, true><<<blocks, edge_threads, 0, queue_.stream>>>(a);
    else
      canny_edges<Magnitudes, C, Columns, false><<<blocks, edge_threads, 0, queue_.stream>>>(a);
    return cudaGetLastError();
  }

  // Of the steps after the first, no more blocks than run at once: most images leave them little.
  template <bool Vectors>
  cudaError_t connect(const hysteresis_arguments& a) const {
    const unsigned blocks = (a.grid.count() - 1) / (hysteresis_threads / 32) + 1;
    const unsigned some =
        std::min(blocks, static_cast<unsigned>(std::max(1, device_.multiprocessors)) * (2048 / hysteresis_threads));
    settle_tiles<Vectors><<<blocks, hysteresis_threads, 0, queue_.stream>>>(a);
    join_tiles<<<some, hysteresis_threads, 0, queue_.stream>>>(a);
    finish_tiles<Vectors><<<some, hysteresis_threads, 0, queue_.stream>>>(a);
    return cudaGetLastError();
  }

  device& device_;
  sluice_queue& queue_;
  const image_batch batch_;
  const bool squared_;
  word low_ = 0;
  word high_ = 0;
  scratch memory_;
  canny_memory parts_{};
};

sluice_status cuda_canny(std::int32_t index, sluice_queue* queue, const sluice_array* inputs, std::int32_t,
                         const sluice_array* outputs, std::int32_t, const void* options, std::size_t options_size,
                         sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  const image_batch batch(inputs[0], outputs[0]);
  if (batch.images * batch.height * batch.width == 0) return SLUICE_OK;
  return canny_call(d, *queue, batch, base::canny_thresholds_of<sluice_canny_options>(options, options_size)).run(message);
}

const named_op canny("canny", cuda_canny);

}  // namespace
}  // namespace sluice::cuda
