// rowsum's slot: chooses the kernel that reads the rows at the speed of memory, and joins the parts of long rows.
#include <algorithm>
#include <bit>

#include "memory.hpp"
#include "rowsum_across.cuh"
#include "rowsum_narrow.cuh"

namespace sluice::cuda {
namespace {

// One call, over elements of T.
template <class T>
class rowsum_call {
 public:
  rowsum_call(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& out)
      : device_(d),
        queue_(q),
        a_{static_cast<const T*>(a.data), a.extents[0], a.extents[1], a.strides[0], a.strides[1], 1, 1},
        out_{out.dtype == SLUICE_F32   ? sum_sink::f32
             : out.dtype == SLUICE_F64 ? sum_sink::f64
                                       : sum_sink::i64,
             out.data, a.extents[0] == 1 ? 1 : out.strides[0]},
        parts_(d, *d.memory, &q) {
    if (a_.columns == 1) a_.column_stride = 1;
    if (a_.rows == 1) a_.row_stride = a_.columns * a_.column_stride;
  }

  sluice_status run(sluice_message* message) {
    queue_.add_work(4e-6 + static_cast<double>(a_.rows) * static_cast<double>(a_.columns) * sizeof(T) / 3e12);
    if (a_.columns == 1) return finish(by_elements(), message);
    if (in_vectors(16)) return a_.columns <= block_size ? finish(by_vector_rows<16>(), message) : by_vector_blocks(message);
    if (a_.columns <= lane_count) return finish(tiles_fit() ? by_tiles() : by_walk(), message);
    if constexpr (sizeof(T) <= 2)
      if (a_.columns <= block_size) {
        if (in_vectors(8)) return finish(by_vector_rows<8>(), message);
        if (in_vectors(4)) return finish(by_vector_rows<4>(), message);
      }
    if (a_.row_stride < a_.column_stride && a_.rows > 1) return across(message);
    return by_lanes(message);
  }

 private:
  using A = sum_of<T>;
  // Threads that hold the 32 lanes of floats, in vectors of so many bytes.
  template <int Bytes>
  static constexpr int ring_of = is_float<T> ? 32 * static_cast<int>(sizeof(T)) / Bytes : 8;
  static constexpr std::int64_t most_shared = 64 << 10;  // of a tile's two stages, as every device has it

  static unsigned blocks(std::int64_t count, std::int64_t each) { return static_cast<unsigned>((count + each - 1) / each); }

  // Rows begin on so many bytes, and are made of whole vectors of them.
  [[nodiscard]] bool in_vectors(int bytes) const {
    const int n = bytes / static_cast<int>(sizeof(T));
    return a_.column_stride == 1 && reinterpret_cast<std::uintptr_t>(a_.data) % static_cast<unsigned>(bytes) == 0 &&
           a_.row_stride % n == 0 && a_.columns % n == 0;
  }

  sluice_status finish(cudaError_t error, sluice_message* message) { return device_.check(error, "summing rows", message); }

  template <int Bytes, int G, int Steps, int Rows>
  cudaError_t vector_rows_of() {
    vector_rows<T, Bytes, G, Steps, Rows>
        <<<blocks(a_.rows, rowsum_threads / G * Rows), rowsum_threads, 0, queue_.stream>>>(a_, out_);
    return cudaGetLastError();
  }

  // As few threads a row as hold it, so that none idle; several rows at a time while rows are short.
  template <int Bytes>
  cudaError_t by_vector_rows() {
    constexpr int ring = ring_of<Bytes>;
    constexpr int rows = is_half<T> && Bytes == 16 ? 4 : 8;  // more would not fit the registers
    constexpr int more = sizeof(T) == 1 && Bytes < 16 ? 2 : 1;
    const std::int64_t vectors = a_.columns * static_cast<std::int64_t>(sizeof(T)) / Bytes;
    if constexpr (Bytes == 16) {
      if (vectors <= 1) return vector_rows_of<Bytes, 1, 1, 4>();
      if constexpr (ring > 2)
        if (vectors <= 2) return vector_rows_of<Bytes, 2, 1, rows>();
      if constexpr (ring > 4)
        if (vectors <= 4) return vector_rows_of<Bytes, 4, 1, rows>();
      if constexpr (ring > 8)
        if (vectors <= 8) return vector_rows_of<Bytes, 8, 1, rows>();
      if (vectors <= ring) return vector_rows_of<Bytes, ring, 1, rows>();
    }
    if (vectors <= 2 * ring) return vector_rows_of<Bytes, ring, 2, rows / 2>();
    if (vectors <= 4 * ring) return vector_rows_of<Bytes, ring, 4, 2 * more>();
    return vector_rows_of<Bytes, ring, 8, 1>();
  }

  cudaError_t by_elements() {
    lone_elements<T><<<blocks(a_.rows, 4 * rowsum_threads), rowsum_threads, 0, queue_.stream>>>(a_, out_);
    return cudaGetLastError();
  }

  sluice_status by_vector_blocks(sluice_message* message) {
    constexpr int ring = ring_of<16>;
    constexpr int groups = 32 / ring;
    const std::int64_t row_blocks = (a_.columns + block_size - 1) / block_size;
    a_.joined = static_cast<int>(
        std::min<std::int64_t>(groups, static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(row_blocks)))));
    a_.parts = (row_blocks + a_.joined - 1) / a_.joined;
    return in_parts(message, [&](const sum_sink& sink) {
      const std::int64_t warps = (a_.rows * a_.parts * a_.joined + groups - 1) / groups;
      vector_blocks<T, ring><<<blocks(warps, rowsum_threads / 32), rowsum_threads, 0, queue_.stream>>>(a_, sink);
    });
  }

  // Elements between 16 bytes and the first.
  [[nodiscard]] int shift() const { return static_cast<int>(reinterpret_cast<std::uintptr_t>(a_.data) % 16 / sizeof(T)); }
  [[nodiscard]] std::int64_t tile_bytes(std::int64_t height) const {  // of both stages
    return 2 * (narrow_threads * height * a_.row_stride * static_cast<std::int64_t>(sizeof(T)) + (shift() != 0 ? 16 : 0));
  }
  // Gaps are read as well, so they must be small.
  [[nodiscard]] bool tiles_fit() const {
    return a_.column_stride == 1 && a_.row_stride >= a_.columns && 2 * a_.row_stride <= 3 * a_.columns &&
           tile_bytes(1) <= most_shared;
  }

  cudaError_t by_tiles() {
    if constexpr (is_half<T>) {
      if (a_.columns <= 4) return tile_rows_of<4>();
      if (a_.columns <= 8) return tile_rows_of<8>();
      if (a_.columns <= 12) return tile_rows_of<12>();
      if (a_.columns <= 16) return tile_rows_of<16>();
      if (a_.columns <= 20) return tile_rows_of<20>();
      if (a_.columns <= 24) return tile_rows_of<24>();
    }
    return tile_rows_of<lane_count>();
  }

  template <int Most>
  cudaError_t tile_rows_of() {
    const auto kernel = tile_rows<T, Most>;
    const auto row_bytes = a_.row_stride * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t tile = is_half<T> && row_bytes > 16 ? 16 << 10 : 8 << 10;
    const auto height = static_cast<int>(std::max<std::int64_t>(1, tile / (narrow_threads * row_bytes)));
    const auto bytes = static_cast<std::size_t>(tile_bytes(height));
    if constexpr (sizeof(T) >= 4) {  // may need more than the 48 KiB that any kernel gets; one figure for all threads' calls
      const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_shared);
      if (error != cudaSuccess) return error;
    }
    int resident = 0;
    const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, narrow_threads, bytes);
    if (error != cudaSuccess) return error;
    const auto most = static_cast<unsigned>(std::max(1, resident) * std::max(1, device_.multiprocessors));
    kernel<<<std::min(blocks(a_.rows, narrow_threads * height), most), narrow_threads, bytes, queue_.stream>>>(
        a_, out_, height, shift());
    return cudaGetLastError();
  }

  cudaError_t by_walk() {
    walk_rows<T><<<blocks(a_.rows, narrow_threads), narrow_threads, 0, queue_.stream>>>(a_, out_);
    return cudaGetLastError();
  }

  sluice_status across(sluice_message* message) {
    a_.parts = (a_.columns + block_size - 1) / block_size;
    return in_parts(message, [&](const sum_sink& sink) {
      constexpr int side = sizeof(T) < 4 ? 4 / sizeof(T) : 1;
      // Short rows keep a thread busy for as long as it takes to fold them when it has twice the lanes.
      const bool short_rows = a_.parts == 1 && a_.rows >= std::int64_t{256} * side * std::max(1, device_.multiprocessors);
      if (in_sides(side))
        short_rows && sizeof(T) > 1 ? across_with<8, side>(64, sink) : across_with<4, side>(32, sink);
      else if (short_rows)
        across_with<8, 1>(64, sink);
      else if (a_.rows > 16)
        across_with<4, 1>(32, sink);
      else if (a_.rows > 8)
        across_with<2, 1>(16, sink);
      else
        across_with<1, 1>(static_cast<int>(std::bit_ceil(static_cast<std::uint64_t>(a_.rows))), sink);
    });
  }

  // Rows side by side that make words, which are read at once.
  [[nodiscard]] bool in_sides(int side) const {
    return side > 1 && a_.row_stride == 1 && a_.rows % side == 0 && a_.rows > 16 * side && a_.column_stride % side == 0 &&
           reinterpret_cast<std::uintptr_t>(a_.data) % 4 == 0;
  }

  template <int Lanes, int Side>
  void across_with(int tile, const sum_sink& sink) {
    const int side_by_side = rowsum_threads * Lanes / (tile * lane_count);
    const std::int64_t grid = ((a_.rows + tile * Side - 1) / (tile * Side)) * ((a_.parts + side_by_side - 1) / side_by_side);
    cross_blocks<T, Lanes, Side><<<blocks(grid, 1), rowsum_threads, 0, queue_.stream>>>(a_, sink, tile);
  }

  sluice_status by_lanes(sluice_message* message) {
    a_.parts = (a_.columns + block_size - 1) / block_size;
    constexpr std::int64_t warps = rowsum_threads / 32;
    return in_parts(message, [&](const sum_sink& sink) {
      if (a_.columns <= 64)
        lane_blocks<T, 8, 2><<<blocks(a_.rows, warps * 8), rowsum_threads, 0, queue_.stream>>>(a_, sink);
      else if (a_.columns <= 256)
        lane_blocks<T, 4, 4><<<blocks(a_.rows, warps * 4), rowsum_threads, 0, queue_.stream>>>(a_, sink);
      else
        lane_blocks<T, 1, 16><<<blocks(a_.rows * a_.parts, warps), rowsum_threads, 0, queue_.stream>>>(a_, sink);
    });
  }

  // `kernel` writes the sums of parts of rows, which are then joined level by level; a single part is the row's sum.
  template <class F>
  sluice_status in_parts(sluice_message* message, F&& kernel) {
    std::int64_t count = a_.parts;
    if (count == 1) {
      kernel(out_);
      return finish(cudaGetLastError(), message);
    }
    const std::int64_t next_count = (count + join_threads - 1) / join_threads;
    const auto bytes = static_cast<std::size_t>(a_.rows * (count + next_count)) * sizeof(A);
    if (const auto s = parts_.allocate(bytes, message); s != SLUICE_OK) return s;
    A* from = static_cast<A*>(parts_.data());
    A* to = from + a_.rows * count;
    kernel(sum_sink{sum_sink::part, from, 1});
    if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return finish(error, message);
    for (; count > 32; std::swap(from, to)) {
      const std::int64_t groups = (count + join_threads - 1) / join_threads;
      const sum_sink sink = groups == 1 ? out_ : sum_sink{sum_sink::part, to, 1};
      join_many<A><<<static_cast<unsigned>(a_.rows * groups), join_threads, 0, queue_.stream>>>(from, a_.rows, count, sink);
      if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess || groups == 1) return finish(error, message);
      count = groups;
    }
    join_few<A><<<blocks(a_.rows, rowsum_threads / 32), rowsum_threads, 0, queue_.stream>>>(from, a_.rows,
                                                                                            static_cast<int>(count), out_);
    return finish(cudaGetLastError(), message);
  }

  device& device_;
  sluice_queue& queue_;
  sum_rows<T> a_;
  const sum_sink out_;
  scratch parts_;
};

template <class T>
sluice_status sum(device& d, sluice_queue& q, const sluice_array& a, const sluice_array& out, sluice_message* message) {
  return rowsum_call<T>(d, q, a, out).run(message);
}

}  // namespace

sluice_status cuda_rowsum(std::int32_t index, sluice_queue* queue, const sluice_array* a, const sluice_array* out,
                          sluice_message* message) {
  device& d = device_at(index);
  const device_scope scope(d, message);
  if (scope.refused()) return scope.status();
  if (a->extents[0] == 0) return SLUICE_OK;
  if (a->extents[1] == 0) return d.check(fill(*queue, *out, 0), "writing zeros", message);
  switch (a->dtype) {
    case SLUICE_F64: return sum<double>(d, *queue, *a, *out, message);
    case SLUICE_F32: return sum<float>(d, *queue, *a, *out, message);
    case SLUICE_F16: return sum<f16>(d, *queue, *a, *out, message);
    case SLUICE_BF16: return sum<bf16>(d, *queue, *a, *out, message);
    case SLUICE_I64: return sum<std::int64_t>(d, *queue, *a, *out, message);
    case SLUICE_I32: return sum<std::int32_t>(d, *queue, *a, *out, message);
    case SLUICE_U8: return sum<std::uint8_t>(d, *queue, *a, *out, message);
    default: return fail(SLUICE_UNSUPPORTED, message, "cuda knows no row sums of dtype %d", a->dtype);
  }
}

}  // namespace sluice::cuda
