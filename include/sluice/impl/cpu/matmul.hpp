// The slot matmul: products in tiles, each one BLAS call on one thread, spread over the process's pool.
//
// The tiling depends on extents and strides alone, never on the number of threads or on which of them take part: the same
// operands give the same bits with any SLUICE_THREADS, for one BLAS on one kind of processor.
#pragma once

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "sluice/impl/base/memory.hpp"
#include "sluice/impl/cpu/blas.hpp"
#include "sluice/impl/cpu/gemv.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/nonfinite.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

// Multiply-adds. A product of at most `tiny` (7 us for f32) takes less time than its turn in the pool.
inline constexpr std::int64_t tiny = std::int64_t{1} << 18;
inline constexpr std::int64_t least_tile = std::int64_t{1} << 22;       // 100 us, about what it takes to wake a worker
inline constexpr std::int64_t least_gemv_tile = std::int64_t{1} << 18;  // 20 us, from the L3 cache
inline constexpr std::int64_t enough_tiles = 16;                        // or more, as long as they are large
inline constexpr std::int64_t many_tiles = 64;
inline constexpr std::int64_t large_tile = std::int64_t{1} << 26;  // 1.5 ms
inline constexpr std::int64_t panel_depth = 256;                   // of operands that are widened or gathered
inline constexpr std::int64_t panel_rows = 256;
inline constexpr std::int64_t panel_columns = 128;

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

template <class T>
inline matmul_operand<T> operand_of(const sluice_array& x) {
  matmul_operand<T> o{static_cast<const T*>(x.data), x.strides[0], x.strides[1], x.strides[2], false};
  o.in_place =
      blas::normalize_strides(x.extents[1], x.extents[2], o.row_stride, o.column_stride) && std::is_same_v<T, sum_of<T>>;
  return o;
}

// Tiles of rows x columns x depth; the last of each may be smaller.
struct matmul_tiling {
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
  std::int64_t row_tiles;
  std::int64_t column_tiles;
  std::int64_t slices;  // of the depth: their sums are added up in order
  std::int64_t tiles;   // in the whole batch
  std::int64_t group;   // tiles handed out together
};

inline matmul_tiling complete(matmul_tiling c, std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k,
                              std::int64_t least) {
  c.row_tiles = divide_up(m, c.rows);
  c.column_tiles = divide_up(n, c.columns);
  c.depth = divide_up(k, c.slices);
  c.slices = divide_up(k, c.depth);
  c.tiles = batch * c.row_tiles * c.column_tiles * c.slices;
  c.group = std::max<std::int64_t>(1, least / (c.rows * c.columns * c.depth));
  return c;
}

// Halves the tiles, keeping them about four times as tall as wide, until there are enough or they are small: each halving
// costs a few percent, as less is done with each packed piece of b.
inline matmul_tiling tile_product(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, bool panels) {
  const auto even = [](std::int64_t extent, std::int64_t most) { return divide_up(extent, divide_up(extent, most)); };
  const auto vectors = [](std::int64_t columns) { return divide_up(columns, 16) * 16; };
  matmul_tiling c{even(m, panels ? panel_rows : blas::tile_rows),
                  even(n, panels ? panel_columns : blas::tile_columns),
                  k,
                  0,
                  0,
                  1,
                  0,
                  1};
  c.columns = std::min(n, vectors(c.columns));
  for (;;) {
    const matmul_tiling now = complete(c, batch, m, n, k, least_tile);
    const std::int64_t work = now.rows * now.columns * now.depth;
    if (now.tiles >= many_tiles || work < 2 * (now.tiles < enough_tiles ? least_tile : large_tile)) return now;
    if (c.rows >= 128 && (c.rows >= 4 * c.columns || c.columns < 32))
      c.rows = divide_up(c.rows, 2);
    else if (c.columns >= 32)
      c.columns = vectors(c.columns / 2);
    else if (now.tiles < enough_tiles && now.depth >= 4096)
      c.slices *= 2;
    else
      return now;
  }
}

// For one row or one column: lines are the extent that is not 1.
inline matmul_tiling tile_gemv(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k) {
  std::int64_t lines = std::min(std::max(m, n), gemv_lines);
  std::int64_t slices = 1;
  for (;;) {
    const matmul_tiling now =
        complete({std::min(m, lines), std::min(n, lines), k, 0, 0, slices, 0, 1}, batch, m, n, k, least_gemv_tile);
    if (now.tiles >= many_tiles || lines * now.depth < 2 * least_gemv_tile) return now;
    if (lines >= 128)
      lines = divide_up(lines, 2);
    else if (now.tiles < enough_tiles && now.depth >= 4 * gemv_depth)
      slices *= 2;
    else
      return now;
  }
}

// Memory for the panels of this thread, kept from call to call: at most a few hundred KiB. Null when there is none.
template <class S>
inline S* panel_memory(std::int64_t count) {
  constexpr std::size_t page = 4096;
  struct block {
    ~block() {
      if (data != nullptr) base::free_aligned(data, size, page);
    }
    void* data = nullptr;
    std::size_t size = 0;
  };
  thread_local block memory;
  const auto bytes = static_cast<std::size_t>(count) * sizeof(S);
  if (bytes > memory.size) {
    if (memory.data != nullptr) base::free_aligned(memory.data, memory.size, page);
    memory.data = base::allocate_aligned(bytes, page);
    memory.size = memory.data != nullptr ? bytes : 0;
  }
  return static_cast<S*>(memory.data);
}

template <class T>
class matmul_call {
 public:
  using sum = sum_of<T>;

  matmul_call(const sluice_array& a, const sluice_array& b, const sluice_array& out)
      : a_(operand_of<T>(a)),
        b_(operand_of<T>(b)),
        out_(static_cast<T*>(out.data)),
        batch_(out.extents[0]),
        m_(out.extents[1]),
        n_(out.extents[2]),
        k_(a.extents[2]) {
    fold_batch(a);
    direct_ = std::is_same_v<T, sum> && n_ <= blas::most;
    gemv_ = m_ == 1 || n_ == 1;
    const bool panels = !a_.in_place || !b_.in_place || !direct_;
    tiling_ = gemv_ ? tile_gemv(batch_, m_, n_, k_) : tile_product(batch_, m_, n_, k_, panels);
  }

  bool run() {
    std::unique_ptr<sum[]> partial;
    if (tiling_.slices > 1) {
      partial.reset(new (std::nothrow) sum[static_cast<std::size_t>(tiling_.slices * batch_ * m_ * n_)]);
      if (!partial) return false;
    }
    partial_ = partial.get();
    if (batch_ * m_ * n_ <= tiny / k_) {
      for (std::int64_t i = 0; i < tiling_.tiles; ++i) tile(i);
    } else {
      parallel_for(divide_up(tiling_.tiles, tiling_.group), [this](std::int64_t group) {
        const std::int64_t end = std::min(tiling_.tiles, (group + 1) * tiling_.group);
        for (std::int64_t i = group * tiling_.group; i < end; ++i) tile(i);
      });
    }
    if (partial_ != nullptr) join();
    return !out_of_memory_.load() && mend();
  }

 private:
  // Where the batch of a is one tall matrix in memory and b is the same for all, it is one product.
  void fold_batch(const sluice_array& a) {
    if (batch_ <= 1 || b_.batch_stride != 0) return;
    if (m_ != 1 && a.strides[0] != m_ * a.strides[1]) return;
    sluice_array tall = a;
    tall.extents[0] = 1;
    tall.extents[1] = batch_ * m_;
    tall.strides[1] = m_ == 1 ? a.strides[0] : a.strides[1];
    a_ = operand_of<T>(tall);
    m_ *= batch_;
    batch_ = 1;
  }

  void tile(std::int64_t index) {
    const std::int64_t slice = index % tiling_.slices;
    index /= tiling_.slices;
    const std::int64_t column = index % tiling_.column_tiles * tiling_.columns;
    index /= tiling_.column_tiles;
    const std::int64_t row = index % tiling_.row_tiles * tiling_.rows;
    const std::int64_t batch = index / tiling_.row_tiles;
    const std::int64_t rows = std::min(tiling_.rows, m_ - row);
    const std::int64_t columns = std::min(tiling_.columns, n_ - column);
    const std::int64_t depth = std::min(tiling_.depth, k_ - slice * tiling_.depth);
    const T* a = a_.at(batch, row, slice * tiling_.depth);
    const T* b = b_.at(batch, slice * tiling_.depth, column);
    const std::int64_t place = (batch * m_ + row) * n_ + column;
    if (partial_ != nullptr) {
      multiply(a, b, rows, columns, depth, partial_ + slice * batch_ * m_ * n_ + place, n_);
      return;
    }
    if constexpr (std::is_same_v<T, sum>) {
      if (direct_ || gemv_) return multiply(a, b, rows, columns, depth, out_ + place, n_);
    }
    sum* c = panel_memory<sum>(panel_size());
    if (c == nullptr) return out_of_memory_.store(true);
    c += panel_size() - tiling_.rows * tiling_.columns;
    multiply(a, b, rows, columns, depth, c, columns);
    for (std::int64_t r = 0; r < rows; ++r) narrow(c + r * columns, columns, out_ + place + r * n_);
  }

  void multiply(const T* a, const T* b, std::int64_t rows, std::int64_t columns, std::int64_t depth, sum* c,
                std::int64_t c_stride) {
    if (gemv_) return multiply_gemv(a, b, rows, columns, depth, c);
    if constexpr (std::is_same_v<T, sum>) {
      if (a_.in_place && b_.in_place) return multiply_in_place(a, b, rows, columns, depth, c, c_stride);
    }
    multiply_panels(a, b, rows, columns, depth, c, c_stride);
  }

  void multiply_gemv(const T* a, const T* b, std::int64_t rows, std::int64_t columns, std::int64_t depth, sum* y) {
    if (n_ == 1)
      gemv<T>({a, a_.row_stride, a_.column_stride, b, b_.row_stride}, rows, depth, y);
    else
      gemv<T>({b, b_.column_stride, b_.row_stride, a, a_.column_stride}, columns, depth, y);
  }

  void multiply_in_place(const T* a, const T* b, std::int64_t rows, std::int64_t columns, std::int64_t depth, sum* c,
                         std::int64_t c_stride) {
    for (std::int64_t d = 0; d < depth; d += blas::most)
      blas::gemm(rows, columns, std::min(blas::most, depth - d), {a + d * a_.column_stride, a_.row_stride, a_.column_stride},
                 {b + d * b_.row_stride, b_.row_stride, b_.column_stride}, d > 0, c, c_stride);
  }

  // Operands of 16 bits, and those whose strides no BLAS takes: copied a panel at a time into memory that stays in the
  // cache.
  void multiply_panels(const T* a, const T* b, std::int64_t rows, std::int64_t columns, std::int64_t depth, sum* c,
                       std::int64_t c_stride) {
    sum* memory = panel_memory<sum>(panel_size());
    if (memory == nullptr) return out_of_memory_.store(true);
    for (std::int64_t d = 0; d < depth; d += panel_depth) {
      const std::int64_t step = std::min(panel_depth, depth - d);
      const auto x = panel(a_, a + d * a_.column_stride, rows, step, memory);
      const auto y = panel(b_, b + d * b_.row_stride, step, columns, memory + tiling_.rows * panel_depth);
      blas::gemm(rows, columns, step, x, y, d > 0, c, c_stride);
    }
  }

  std::int64_t panel_size() const {
    return (gemv_ ? 0 : (tiling_.rows + tiling_.columns) * panel_depth) + tiling_.rows * tiling_.columns;
  }

  static blas::block<sum> panel(const matmul_operand<T>& o, const T* from, std::int64_t rows, std::int64_t columns,
                                sum* memory) {
    if constexpr (std::is_same_v<T, sum>) {
      if (o.in_place) return {from, o.row_stride, o.column_stride};
    }
    if (o.column_stride <= o.row_stride || rows == 1) {
      for (std::int64_t r = 0; r < rows; ++r) widen(from + r * o.row_stride, o.column_stride, columns, memory + r * columns);
      return {memory, columns, 1};
    }
    for (std::int64_t j = 0; j < columns; ++j) widen(from + j * o.column_stride, o.row_stride, rows, memory + j * rows);
    return {memory, 1, rows};
  }

  // What the BLAS may have lost; gemv loses nothing.
  bool mend() {
    if (gemv_ || !(nonfinite::any(a_, batch_, m_, k_) || nonfinite::any(b_, batch_, k_, n_))) return true;
    return nonfinite::mended_product<T>(a_, b_, out_, m_, n_, k_).run(batch_);
  }

  // Adds up the slices, in order.
  void join() {
    const std::int64_t size = batch_ * m_ * n_;
    for (std::int64_t s = 1; s < tiling_.slices; ++s)
      for (std::int64_t i = 0; i < size; ++i) partial_[i] += partial_[s * size + i];
    narrow(partial_, size, out_);
  }

  matmul_operand<T> a_;
  matmul_operand<T> b_;
  T* out_;
  std::int64_t batch_;
  std::int64_t m_;
  std::int64_t n_;
  std::int64_t k_;
  bool direct_ = false;  // tiles are written in place
  bool gemv_ = false;
  matmul_tiling tiling_{};
  sum* partial_ = nullptr;
  std::atomic<bool> out_of_memory_{false};
};

template <class T>
inline sluice_status matmul_as(const sluice_array& a, const sluice_array& b, const sluice_array& out,
                               sluice_message* message) {
  const std::int64_t size = out.extents[0] * out.extents[1] * out.extents[2];
  if (size == 0) return SLUICE_OK;
  if (a.extents[2] == 0) {
    std::memset(out.data, 0, static_cast<std::size_t>(size) * sizeof(T));
    return SLUICE_OK;
  }
  if (matmul_call<T>(a, b, out).run()) return SLUICE_OK;
  return fail(SLUICE_OUT_OF_MEMORY, message,
              "[matmul] no memory on cpu for the panels of a (%lld,%lld) x (%lld,%lld) product",
              static_cast<long long>(a.extents[1]), static_cast<long long>(a.extents[2]),
              static_cast<long long>(b.extents[1]), static_cast<long long>(b.extents[2]));
}

inline const char* blas_description() {
  static const std::string text = blas::describe();
  return text.c_str();
}

inline sluice_status cpu_matmul(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* b,
                                const sluice_array* out, std::int32_t, sluice_message* message) {
  switch (out->dtype) {
    case SLUICE_F64: return matmul_as<double>(*a, *b, *out, message);
    case SLUICE_F32: return matmul_as<float>(*a, *b, *out, message);
    case SLUICE_F16: return matmul_as<f16>(*a, *b, *out, message);
    case SLUICE_BF16: return matmul_as<bf16>(*a, *b, *out, message);
    default: return fail(SLUICE_UNSUPPORTED, message, "[matmul] dtype %d has no product on cpu", out->dtype);
  }
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
