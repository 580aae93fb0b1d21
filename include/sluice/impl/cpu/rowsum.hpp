// The slot rowsum: spreads the work over the pool and joins partial sums in the one order. The sums are in
// rowsum_kernels.hpp.
//
// The order is a function of the row length alone: element i of a block of 1,024 is added, in order, to lane i mod 32; the
// lanes fold by halves; block sums join as adjacent pairs, level by level, an odd one carried up.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "sluice/impl/base/pairwise.hpp"
#include "sluice/impl/cpu/host.hpp"
#include "sluice/impl/cpu/ieee_arithmetic.hpp"
#include "sluice/impl/cpu/rowsum_common.hpp"

#include "sluice/impl/base/strict_float_begin.hpp"

#if defined(__clang__)
#define SLUICE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SLUICE_UNROLL _Pragma("GCC unroll 32")
#endif

namespace sluice {
inline namespace SLUICE_ABI {
namespace cpu {

namespace simd_plain {
#define SLUICE_TARGET
inline constexpr int width = 2;
#include "sluice/impl/cpu/rowsum_kernels.hpp"
#undef SLUICE_TARGET
}  // namespace simd_plain

#if defined(__x86_64__)
namespace simd_avx2 {
#define SLUICE_TARGET __attribute__((target("avx2,f16c")))
inline constexpr int width = 4;
#include "sluice/impl/cpu/rowsum_kernels.hpp"
#undef SLUICE_TARGET
}  // namespace simd_avx2

namespace simd_avx512 {
#define SLUICE_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,f16c")))
inline constexpr int width = 8;
#include "sluice/impl/cpu/rowsum_kernels.hpp"
#undef SLUICE_TARGET
}  // namespace simd_avx512
#endif

#define SLUICE_KERNELS(T, rows, short_rows, columns) \
  { rows<T>, short_rows<T>, columns<T> }
#define SLUICE_LEVEL(rows, short_rows, columns, round_f32)                                                             \
  {                                                                                                                    \
    {SLUICE_KERNELS(double, rows, short_rows, columns),       SLUICE_KERNELS(float, rows, short_rows, columns),        \
     SLUICE_KERNELS(f16, rows, short_rows, columns),          SLUICE_KERNELS(bf16, rows, short_rows, columns),         \
     SLUICE_KERNELS(std::int64_t, rows, short_rows, columns), SLUICE_KERNELS(std::int32_t, rows, short_rows, columns), \
     SLUICE_KERNELS(std::uint8_t, rows, short_rows, columns)},                                                         \
        round_f32                                                                                                      \
  }

inline const rowsum_level& rowsum_level_in_use() {
#if defined(__x86_64__)
  static constexpr rowsum_level avx512_level = SLUICE_LEVEL(simd_avx512::sum_rows, simd_avx2::sum_short_rows,
                                                            simd_avx2::sum_columns, simd_avx2::round_f32<simd_avx2::narrow>);
  static constexpr rowsum_level avx2_level = SLUICE_LEVEL(simd_avx2::sum_rows, simd_avx2::sum_short_rows,
                                                          simd_avx2::sum_columns, simd_avx2::round_f32<simd_avx2::narrow>);
  static constexpr rowsum_level plain_level = SLUICE_LEVEL(
      simd_plain::sum_rows, simd_plain::sum_rows, simd_plain::sum_columns, simd_plain::round_f32<simd_plain::narrow>);
  if (simd() == simd_level::avx512) return avx512_level;
  if (simd() == simd_level::avx2) return avx2_level;
#else
  static constexpr rowsum_level plain_level = SLUICE_LEVEL(
      simd_plain::sum_rows, simd_plain::sum_short_rows, simd_plain::sum_columns, simd_plain::round_f32<simd_plain::narrow>);
#endif
  return plain_level;
}
#undef SLUICE_LEVEL
#undef SLUICE_KERNELS
#undef SLUICE_UNROLL

// One call, with A for its accumulators.
template <class A>
class rowsum_call {
 public:
  rowsum_call(const sluice_array& a, const sluice_array& out)
      : data_(static_cast<const char*>(a.data)),
        rows_(a.extents[0]),
        columns_(a.extents[1]),
        row_stride_(a.strides[0]),
        column_stride_(columns_ == 1 ? 1 : a.strides[1]),
        size_(dtype_size[a.dtype]),
        kernels_(rowsum_level_in_use().of[a.dtype]),
        out_(out) {
    contiguous_ = column_stride_ == 1 && (row_stride_ == columns_ || rows_ == 1);
    stream_ = out.dtype == SLUICE_F32 && out.strides[0] == 1 && rows_ * 4 >= stream_bytes &&
              reinterpret_cast<std::uintptr_t>(out.data) % 16 == 0;
  }

  sluice_status run(sluice_message* message) const {
    if (columns_ == 0) {
      constexpr A zeros[batch_rows] = {};
      for (std::int64_t r = 0; r < rows_; r += batch_rows) finish(r, std::min(batch_rows, rows_ - r), zeros);
      return SLUICE_OK;
    }
    const std::int64_t bytes = rows_ * columns_ * size_;
    if (bytes < serial_bytes) {
      sum_range(0, rows_);
      return SLUICE_OK;
    }
    // Chunks are large enough to repay their turn in the pool, and small enough to spread evenly.
    const std::int64_t threads = host().parallel_size();
    const std::int64_t chunk = std::clamp(bytes / (threads * 8), serial_bytes, max_chunk) / size_;  // elements
    const std::int64_t chunk_rows = (std::max<std::int64_t>(1, chunk / columns_) + 15) / 16 * 16;
    if (columns_ > 2 * chunk && (rows_ + chunk_rows - 1) / chunk_rows < 4 * threads) return sum_split(chunk, message);
    parallel_for((rows_ + chunk_rows - 1) / chunk_rows,
                 [&](std::int64_t i) { sum_range(i * chunk_rows, std::min(rows_, (i + 1) * chunk_rows)); });
    return SLUICE_OK;
  }

 private:
  static constexpr std::int64_t max_chunk = 2 << 20;
  static constexpr std::int64_t stream_bytes = 16 << 20;  // results this large leave the caches before they are read

  void sum_range(std::int64_t begin, std::int64_t end) const {
    const ieee_arithmetic guard;
    A sums[batch_rows];
    for (std::int64_t r = begin; r < end; r += batch_rows) {
      const std::int64_t count = std::min(batch_rows, end - r);
      sum_part(r, count, 0, columns_, sums);
      finish(r, count, sums);
    }
#if defined(__x86_64__)
    if (stream_) _mm_sfence();
#endif
  }

  // Few long rows: each is divided into aligned groups of blocks, whose sums join as those of the blocks do.
  sluice_status sum_split(std::int64_t chunk, sluice_message* message) const {
    std::int64_t group = block_size;
    while (group * 2 <= chunk) group *= 2;
    const std::int64_t groups = (columns_ + group - 1) / group;
    const std::int64_t batches = (rows_ + batch_rows - 1) / batch_rows;
    const std::unique_ptr<A[]> parts(new (std::nothrow) A[static_cast<std::size_t>(rows_ * groups)]);
    if (parts == nullptr)
      return fail(SLUICE_OUT_OF_MEMORY, message, "[rowsum] no memory for %lld sums of parts of rows",
                  static_cast<long long>(rows_ * groups));
    parallel_for(batches * groups, [&](std::int64_t i) {
      const ieee_arithmetic guard;
      const std::int64_t r = i / groups * batch_rows;
      const std::int64_t g = i % groups;
      const std::int64_t count = std::min(batch_rows, rows_ - r);
      A sums[batch_rows];
      sum_part(r, count, g * group, std::min(group, columns_ - g * group), sums);
      for (std::int64_t j = 0; j < count; ++j) parts[static_cast<std::size_t>((r + j) * groups + g)] = sums[j];
    });
    const ieee_arithmetic guard;
    for (std::int64_t r = 0; r < rows_; ++r) {
      const A total = base::join_pairwise(std::span(parts.get() + r * groups, static_cast<std::size_t>(groups)));
      finish(r, 1, &total);
    }
    return SLUICE_OK;
  }

  // The sums of a rectangle at most `batch_rows` high.
  void sum_part(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns, A* sums) const {
    const std::int64_t offset = row * row_stride_ + column * column_stride_;
    const char* a = data_ + offset * size_;
    if (column_stride_ == 1)
      (columns > short_columns ? kernels_.rows : kernels_.short_rows)(a, rows, columns, row_stride_,
                                                                      contiguous_ ? rows_ * columns_ - offset : 0, sums);
    else if (row_stride_ == 1)
      kernels_.columns(a, rows, columns, column_stride_, sums);
    else
      for (std::int64_t r = 0; r < rows; ++r) sums[r] = sum_gathered(a + r * row_stride_ * size_, columns);
  }

  // A row of any stride: packed, then summed, block by block.
  A sum_gathered(const char* a, std::int64_t columns) const {
    alignas(64) char packed[block_size * 8];
    pairwise<A> sum;
    for (std::int64_t begin = 0; begin < columns; begin += block_size) {
      const std::int64_t count = std::min(block_size, columns - begin);
      const char* p = a + begin * column_stride_ * size_;
      switch (size_) {
        case 1: gather<std::uint8_t>(p, count, packed); break;
        case 2: gather<std::uint16_t>(p, count, packed); break;
        case 4: gather<std::uint32_t>(p, count, packed); break;
        default: gather<std::uint64_t>(p, count, packed); break;
      }
      A part[4];
      (count > short_columns ? kernels_.rows : kernels_.short_rows)(packed, 1, count, count, block_size, part);
      sum.push(part[0]);
    }
    return sum.total();
  }

  template <class E>
  void gather(const char* p, std::int64_t count, char* packed) const {
    for (std::int64_t i = 0; i < count; ++i)
      std::memcpy(packed + i * std::int64_t{sizeof(E)}, p + i * column_stride_ * std::int64_t{sizeof(E)}, sizeof(E));
  }

  // Rounds sums to the dtype of `out`, and stores them.
  void finish(std::int64_t row, std::int64_t rows, const A* sums) const {
    const std::int64_t stride = out_.strides[0];
    if constexpr (std::is_same_v<A, double>) {
      if (out_.dtype == SLUICE_F32) {
        float* to = static_cast<float*>(out_.data) + row * stride;
        if (stride == 1) return rowsum_level_in_use().round_f32(sums, rows, to, stream_);
        for (std::int64_t r = 0; r < rows; ++r) rowsum_level_in_use().round_f32(sums + r, 1, to + r * stride, false);
      } else {
        double* to = static_cast<double*>(out_.data) + row * stride;
        for (std::int64_t r = 0; r < rows; ++r) to[r * stride] = canonical(sums[r]);
      }
    } else {
      std::int64_t* to = static_cast<std::int64_t*>(out_.data) + row * stride;
      for (std::int64_t r = 0; r < rows; ++r) to[r * stride] = static_cast<std::int64_t>(sums[r]);
    }
  }

  const char* data_;
  std::int64_t rows_, columns_, row_stride_, column_stride_;
  std::int64_t size_;  // bytes of an element
  rowsum_kernels kernels_;
  sluice_array out_;
  bool contiguous_;
  bool stream_;
};

inline sluice_status cpu_rowsum(std::int32_t, sluice_queue*, const sluice_array* a, const sluice_array* out,
                                sluice_message* message) {
  if (a->dtype < SLUICE_F64 || a->dtype > SLUICE_U8)
    return fail(SLUICE_UNSUPPORTED, message, "[rowsum] the CPU knows no dtype %d", a->dtype);
  return a->dtype <= SLUICE_BF16 ? rowsum_call<double>(*a, *out).run(message)
                                 : rowsum_call<std::uint64_t>(*a, *out).run(message);
}

}  // namespace cpu
}  // namespace SLUICE_ABI
}  // namespace sluice

#include "sluice/impl/base/strict_float_end.hpp"
